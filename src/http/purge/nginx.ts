import { createHash } from "node:crypto";
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { knownOptions, optionError } from "../../policy.js";
import { headerOption, serverUrls } from "./options.js";
import type { HttpPurger, NormalTarget } from "./purger.js";
import type { PurgeQueueOptions } from "./queue-options.js";
import { queuedPurger } from "./queue.js";
import { failedBy, sendCall } from "./send.js";
import { ofKind, type CallResult, type PurgeCall, type PurgeVendor } from "./vendor.js";

/** How an nginx is made to forget: it has no tags and no soft purge of its own. */
export type NginxOptions = NginxByRequest | NginxByFiles;

/** Requests to its servers, as docs/purge.md configures them. */
export interface NginxByRequest {
  /** Each of them is told. */
  servers: string | URL | readonly (string | URL)[];
  /**
   * `purge`: the method PURGE of the module ngx_cache_purge. `bypass`: a GET with `header`, which `proxy_cache_bypass` looks at, so
   * that nginx asks the origin and stores what it says. @default "purge"
   */
  by?: "purge" | "bypass" | undefined;
  /** The module takes a "*" at the end of a path (nginx-modules' fork, 2.5 and later), so it purges by prefix, and all of a host. @default false */
  wildcards?: boolean | undefined;
  /** A header that the configuration asks for: `["x-purge-token", "…"]`; needed for `bypass`. */
  header?: readonly [name: string, value: string] | undefined;
  queue?: PurgeQueueOptions | undefined;
}

/** Its files, on this machine. */
export interface NginxByFiles {
  by: "files";
  /** The folder of `proxy_cache_path`. */
  folder: string;
  /** Its `levels`. @default "1:2" */
  levels?: string | undefined;
  /** `proxy_cache_key` for a URL. @default that of `$scheme$host$request_uri` */
  key?: ((url: URL) => string) | undefined;
  queue?: PurgeQueueOptions | undefined;
}

const RATE = { perSecond: 200, burst: 1_000, concurrency: 8 };
const REQUEST_FIELDS = ["servers", "by", "wildcards", "header", "queue"];
const FILE_FIELDS = ["by", "folder", "levels", "key", "queue"];

/**
 * Purges nginx by URL: by `PURGE` requests, by requests that pass its cache by, or by removing its files. `soft` is done
 * hard. What was not stored counts as purged.
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function nginx(options: NginxOptions): HttpPurger {
  if (options.by === "files") {
    knownOptions(options, FILE_FIELDS, "nginx");
    return queuedPurger(byFiles(options), options.queue);
  }
  knownOptions(options, REQUEST_FIELDS, "nginx");
  return queuedPurger(byRequest(options), options.queue);
}

function byRequest(options: NginxByRequest): PurgeVendor {
  const servers = serverUrls(options.servers, "servers");
  const own = headerOption(options.header, "header");
  const by = options.by ?? "purge";
  if (by !== "purge" && by !== "bypass") throw optionError("by", '"purge", "bypass" or "files"', by);
  if (by === "bypass" && own === undefined) throw optionError("header", 'a name and a value for "bypass"', own);
  const isWild = options.wildcards === true && by === "purge";
  const method = by === "purge" ? "PURGE" : "GET";
  const call = (server: URL, target: NormalTarget, host: string, path: string): PurgeCall => ({
    targets: [target],
    cost: 1,
    send: (signal) => {
      const headers = own === undefined ? { host } : { host, [own[0]]: own[1] };
      const secrets = own === undefined ? [] : [own[1]];
      return sendCall({ url: new URL(server.origin + path), method, headers, signal, secrets }, (response) => {
        // 404 and 412 are the module's words for "was not stored".
        const isDone = by === "purge" ? [200, 404, 412].includes(response.status) : response.status < 500;
        return isDone ? { kind: "done" } : failedBy(response);
      });
    },
  });
  return {
    name: "nginx",
    rate: RATE,
    refusal: ({ kind }) => {
      if (kind === "tag") return "nginx has no tags";
      if (kind === "prefix" && !isWild) return "this nginx does not purge by prefix";
      return kind === "all" ? "nginx does not purge all hosts at once" : undefined;
    },
    calls: (targets) =>
      servers.flatMap((server) => [
        ...ofKind(targets, "url").map((target) =>
          call(server, target, target.url.host, target.url.pathname + target.url.search),
        ),
        ...ofKind(targets, "prefix").map((target) => call(server, target, target.url.host, `${target.url.pathname}*`)),
      ]),
  };
}

function byFiles(options: NginxByFiles): PurgeVendor {
  const { folder } = options;
  if (typeof folder !== "string" || folder === "") throw optionError("folder", "a path", folder);
  const levels = options.levels ?? "1:2";
  if (!/^[12](?::[12]){0,2}$/.test(levels)) throw optionError("levels", 'one to three of 1 and 2, as in "1:2"', levels);
  const key = options.key ?? ((url) => url.protocol.slice(0, -1) + url.host + url.pathname + url.search);
  return {
    name: "nginx",
    rate: { ...RATE, perSecond: 2_000 },
    refusal: ({ kind }) => (kind === "url" ? undefined : "by its files nginx is purged by URL only"),
    calls: (targets) =>
      ofKind(targets, "url").map((target) => ({
        targets: [target],
        cost: 1,
        send: () => removed(join(folder, ...cacheFile(key(target.url), levels))),
      })),
  };
}

/** Where nginx keeps a key: the MD5 of it, in folders named by its last digits. */
function cacheFile(key: string, levels: string): string[] {
  const name = createHash("md5").update(key).digest("hex");
  let end = name.length;
  const folders = levels.split(":").map((digits) => {
    end -= Number(digits);
    return name.slice(end, end + Number(digits));
  });
  return [...folders, name];
}

async function removed(file: string): Promise<CallResult> {
  try {
    await unlink(file);
    return { kind: "done" };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (code === "ENOENT") return { kind: "done" };
    return {
      kind: "failed",
      reason: `the file was not removed (${code})`,
      again: code === "EBUSY" || code === "EMFILE",
    };
  }
}
