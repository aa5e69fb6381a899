import { knownOptions } from "../../policy.js";
import { apiUrl, textOption } from "./options.js";
import type { HttpPurger, NormalTarget } from "./purger.js";
import type { PurgeQueueOptions } from "./queue-options.js";
import { queuedPurger } from "./queue.js";
import { failedBy, parsedJson, sendCall, type VendorResponse } from "./send.js";
import { chunks, isTagText, ofKind, type CallResult, type PurgeCall, type PurgeVendor } from "./vendor.js";

/** A Fastly service. */
export interface FastlyOptions {
  serviceId: string;
  /** An API token that may purge the service. */
  token: string;
  /** @default "https://api.fastly.com" */
  api?: string | URL | undefined;
  queue?: PurgeQueueOptions | undefined;
}

/** Keys in one request; longest key. */
const MAX_KEYS = 256;
const MAX_KEY_LENGTH = 1_024;
/** 100,000 purges in an hour. */
const RATE = { perSecond: 27, burst: 2_000, concurrency: 4 };

/**
 * Purges a Fastly service by surrogate key (256 in a request), by URL, or all of it; softly as well, except all of it. By
 * prefix it cannot: give responses a key for that.
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function fastly(options: FastlyOptions): HttpPurger {
  knownOptions(options, ["serviceId", "token", "api", "queue"], "fastly");
  return queuedPurger(fastlyVendor(options), options.queue);
}

function fastlyVendor(options: FastlyOptions): PurgeVendor {
  const service = encodeURIComponent(textOption(options.serviceId, "serviceId"));
  const token = textOption(options.token, "token", true);
  const api = apiUrl(options.api ?? "https://api.fastly.com", "api");
  const call = (
    targets: readonly NormalTarget[],
    path: string,
    soft: boolean,
    keys: readonly string[] | undefined,
    judge: (response: VendorResponse) => CallResult,
  ): PurgeCall => ({
    targets,
    cost: targets.length,
    send: (signal) =>
      sendCall(
        {
          url: new URL(api.origin + path),
          method: "POST",
          headers: {
            "fastly-key": token,
            accept: "application/json",
            ...(keys === undefined ? {} : { "content-type": "application/json" }),
            ...(soft ? { "fastly-soft-purge": "1" } : {}),
          },
          body: keys === undefined ? undefined : JSON.stringify({ surrogate_keys: keys }),
          signal,
          secrets: [token],
        },
        judge,
      ),
  });
  return {
    name: "fastly",
    rate: RATE,
    refusal: (target) => {
      if (target.kind === "prefix") return "Fastly does not purge by prefix";
      const isKey = target.kind !== "tag" || isTagText(target.tag, MAX_KEY_LENGTH);
      return isKey ? undefined : "not a surrogate key";
    },
    calls: (targets, soft) => [
      ...ofKind(targets, "all").map((target) =>
        call([target], `/service/${service}/purge_all`, false, undefined, judgeOne),
      ),
      ...chunks(ofKind(targets, "tag"), MAX_KEYS).map((some) => {
        const keys = some.map(({ tag }) => tag);
        return call(some, `/service/${service}/purge`, soft, keys, (response) => judgeKeys(response, some));
      }),
      ...ofKind(targets, "url").map((target) => {
        const { host, pathname, search } = target.url;
        return call([target], `/purge/${host}${pathname}${search}`, soft, undefined, judgeOne);
      }),
    ],
  };
}

function judgeOne(response: VendorResponse): CallResult {
  const answer = parsedJson(response.body);
  if (response.status !== 200) return failedBy(response);
  const isOk = typeof answer === "object" && answer !== null && "status" in answer && answer.status === "ok";
  return isOk ? { kind: "done" } : { kind: "failed", reason: "answered 200 and not ok", again: false };
}

/** The answer names each key with the id of its purge. */
function judgeKeys(response: VendorResponse, targets: readonly Extract<NormalTarget, { kind: "tag" }>[]): CallResult {
  if (response.status !== 200) return failedBy(response);
  const answer = parsedJson(response.body);
  if (typeof answer !== "object" || answer === null)
    return { kind: "failed", reason: "answered 200 and no JSON", again: false };
  return { kind: "done", missing: targets.filter(({ tag }) => !Object.hasOwn(answer, tag)) };
}
