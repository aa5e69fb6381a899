import { knownOptions, optionError } from "../../policy.js";
import { apiUrl, textOption } from "./options.js";
import type { HttpPurger, NormalTarget } from "./purger.js";
import type { PurgeQueueOptions } from "./queue-options.js";
import { queuedPurger } from "./queue.js";
import { failedBy, parsedJson, sendCall, type VendorResponse } from "./send.js";
import { chunks, isTagText, ofKind, type CallResult, type PurgeCall, type PurgeVendor } from "./vendor.js";

/** A Cloudflare zone. */
export interface CloudflareOptions {
  zoneId: string;
  /** An API token with "Cache Purge" for the zone. */
  token: string;
  /** Sets the rate and the burst. @default "free" */
  plan?: "free" | "pro" | "business" | "enterprise" | undefined;
  /** URLs, tags or prefixes in one request. @default 100 */
  perRequest?: number | undefined;
  /** @default "https://api.cloudflare.com/client/v4" */
  api?: string | URL | undefined;
  queue?: PurgeQueueOptions | undefined;
}

const PLANS = {
  free: { perSecond: 5 / 60, burst: 25 },
  pro: { perSecond: 5, burst: 25 },
  business: { perSecond: 10, burst: 50 },
  enterprise: { perSecond: 50, burst: 500 },
} as const;

const PER_REQUEST = 100;
const MAX_TAG_LENGTH = 1_024;
const FIELDS = ["zoneId", "token", "plan", "perRequest", "api", "queue"];

type Field = "files" | "tags" | "prefixes";

/**
 * Purges a Cloudflare zone (`purge_cache`), or makes stale (`invalidate_cache`, which is its soft purge), by URL, tag,
 * prefix, or all of it. Tags are compared without case there.
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function cloudflare(options: CloudflareOptions): HttpPurger {
  knownOptions(options, FIELDS, "cloudflare");
  return queuedPurger(cloudflareVendor(options), options.queue);
}

function cloudflareVendor(options: CloudflareOptions): PurgeVendor {
  const zone = encodeURIComponent(textOption(options.zoneId, "zoneId"));
  const token = textOption(options.token, "token", true);
  const api = apiUrl(options.api ?? "https://api.cloudflare.com/client/v4", "api");
  const plan = options.plan ?? "free";
  if (!Object.hasOwn(PLANS, plan)) throw optionError("plan", Object.keys(PLANS).join(", "), plan);
  const perRequest = options.perRequest ?? PER_REQUEST;
  if (!Number.isSafeInteger(perRequest) || perRequest < 1 || perRequest > 500) {
    throw optionError("perRequest", "an integer from 1 to 500", perRequest);
  }
  const base = api.href.replace(/\/$/, "");
  const call = (targets: readonly NormalTarget[], soft: boolean, body: unknown): PurgeCall => ({
    targets,
    cost: 1,
    send: (signal) =>
      sendCall(
        {
          url: new URL(`${base}/zones/${zone}/${soft ? "invalidate_cache" : "purge_cache"}`),
          method: "POST",
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          body: JSON.stringify(body),
          signal,
          secrets: [token],
        },
        judge,
      ),
  });
  const batches = <T extends NormalTarget>(
    list: readonly T[],
    soft: boolean,
    field: Field,
    text: (one: T) => string,
  ): PurgeCall[] => chunks(list, perRequest).map((some) => call(some, soft, { [field]: some.map(text) }));
  return {
    name: "cloudflare",
    rate: { ...PLANS[plan], concurrency: 4 },
    refusal: (target) =>
      target.kind === "tag" && !isTagText(target.tag, MAX_TAG_LENGTH) ? "not a cache tag" : undefined,
    calls: (targets, soft) => [
      ...ofKind(targets, "all").map((target) => call([target], soft, { purge_everything: true })),
      ...batches(ofKind(targets, "tag"), soft, "tags", ({ tag }) => tag),
      ...batches(ofKind(targets, "url"), soft, "files", ({ url }) => url.href),
      // Without a scheme, which is how it names them.
      ...batches(ofKind(targets, "prefix"), soft, "prefixes", ({ url }) => url.host + url.pathname.replace(/\/$/, "")),
    ],
  };
}

/** The envelope of all of its answers: `{ success, errors: [{ code, message }], … }`. */
function judge(response: VendorResponse): CallResult {
  const answer = parsedJson(response.body);
  const isEnvelope = typeof answer === "object" && answer !== null;
  if (response.status === 200 && isEnvelope && "success" in answer && answer.success === true) return { kind: "done" };
  const errors: unknown = isEnvelope && "errors" in answer ? answer.errors : undefined;
  const told = Array.isArray(errors) ? errors.slice(0, 3).map(errorText).join("; ") : "";
  if (response.status === 200) return { kind: "failed", reason: `answered 200 and no success: ${told}`, again: false };
  return failedBy(response, told);
}

function errorText(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const code: unknown = "code" in error ? error.code : "";
  const message: unknown = "message" in error ? error.message : "";
  return `${typeof code === "number" ? code : ""} ${typeof message === "string" ? message : ""}`.trim();
}
