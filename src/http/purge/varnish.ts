import { knownOptions, optionError } from "../../policy.js";
import { headerOption, serverUrls } from "./options.js";
import type { HttpPurger, NormalTarget } from "./purger.js";
import type { PurgeQueueOptions } from "./queue-options.js";
import { queuedPurger } from "./queue.js";
import { failedBy, sendCall } from "./send.js";
import { isTagText, ofKind, type PurgeCall, type PurgeVendor } from "./vendor.js";

/** Varnish servers whose VCL takes the requests of docs/purge.md. */
export interface VarnishOptions {
  /** Each of them is told: `["http://10.0.0.1:6081", "http://10.0.0.2:6081"]`. */
  servers: string | URL | readonly (string | URL)[];
  /** How tags are purged: by the module `xkey`, or by a ban on Surrogate-Key, xkey and Cache-Tag. @default "xkey" */
  tags?: "xkey" | "ban" | undefined;
  /** A header that the VCL asks for, besides its list of addresses: `["x-purge-token", "…"]`. */
  header?: readonly [name: string, value: string] | undefined;
  queue?: PurgeQueueOptions | undefined;
}

const RATE = { perSecond: 200, burst: 1_000, concurrency: 8 };
/** Longest header sent, below Varnish's `http_req_hdr_len` of 8 KB; longest tag. */
const MAX_HEADER = 4_000;
const MAX_TAG_LENGTH = 1_024;

/**
 * Purges Varnish: by URL (`PURGE`), tag (`xkey`, or `BAN`), prefix and all (`BAN`). By URL and by xkey softly as well. A target is
 * acknowledged when every server has said 200.
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function varnish(options: VarnishOptions): HttpPurger {
  knownOptions(options, ["servers", "tags", "header", "queue"], "varnish");
  return queuedPurger(varnishVendor(options), options.queue);
}

function varnishVendor(options: VarnishOptions): PurgeVendor {
  const servers = serverUrls(options.servers, "servers");
  const own = headerOption(options.header, "header");
  const by = options.tags ?? "xkey";
  if (by !== "xkey" && by !== "ban") throw optionError("tags", '"xkey" or "ban"', by);
  const calls = (
    targets: readonly NormalTarget[],
    method: "PURGE" | "BAN",
    path: string,
    headers: Readonly<Record<string, string>>,
  ): PurgeCall[] =>
    servers.map((server) => ({
      targets,
      cost: 1,
      send: (signal) => {
        const all = own === undefined ? headers : { ...headers, [own[0]]: own[1] };
        const secrets = own === undefined ? [] : [own[1]];
        return sendCall({ url: new URL(server.origin + path), method, headers: all, signal, secrets }, (response) =>
          response.status === 200 ? { kind: "done" } : failedBy(response),
        );
      },
    }));
  return {
    name: "varnish",
    rate: RATE,
    refusal: (target) =>
      target.kind === "tag" && !isTagText(target.tag, MAX_TAG_LENGTH) ? "not a surrogate key" : undefined,
    calls: (targets, soft) => [
      ...ofKind(targets, "all").flatMap((target) =>
        calls([target], "BAN", "/", { "x-ban-host": ".", "x-ban-url": "." }),
      ),
      ...ofKind(targets, "url").flatMap((target) => {
        const { host, pathname, search } = target.url;
        return calls([target], "PURGE", pathname + search, { host, ...(soft ? { "x-purge-soft": "1" } : {}) });
      }),
      ...ofKind(targets, "prefix").flatMap((target) =>
        calls([target], "BAN", "/", {
          "x-ban-host": exactly(target.url.host),
          "x-ban-url": below(target.url.pathname),
        }),
      ),
      ...fitting(ofKind(targets, "tag")).flatMap((some) => {
        const tags = some.map(({ tag }) => tag);
        if (by === "ban") return calls(some, "BAN", "/", { "x-ban-tags": anyOf(tags) });
        return calls(some, "PURGE", "/", { [soft ? "xkey-softpurge" : "xkey-purge"]: tags.join(" ") });
      }),
    ],
  };
}

/** As many tags together as a header can hold; escaped they are at most twice as long. */
function fitting<T extends { readonly tag: string }>(targets: readonly T[]): T[][] {
  const pieces: T[][] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const target of targets) {
    length += target.tag.length * 2 + 1;
    if (length > MAX_HEADER) {
      pieces.push([]);
      length = target.tag.length * 2 + 1;
    }
    pieces.at(-1)?.push(target);
  }
  return pieces;
}

function exactly(text: string): string {
  return `^${escaped(text)}$`;
}

/** The path and what lies below it, by whole segments. */
function below(path: string): string {
  const own = path.replace(/\/$/, "");
  return `^${escaped(own)}([/?]|$)`;
}

function anyOf(tags: readonly string[]): string {
  return String.raw`(^|[\s,])(${tags.map(escaped).join("|")})([\s,]|$)`;
}

/** As text in a regular expression, and without the quotes and blanks that would end it in a ban. */
function escaped(text: string): string {
  return text.replace(/[^\w/:~@%=-]/g, (one) => String.raw`\x` + one.charCodeAt(0).toString(16).padStart(2, "0"));
}
