import { randomUUID } from "node:crypto";
import { systemClock } from "../../clock.js";
import { knownOptions, optionError } from "../../policy.js";
import { awsSigned, type AwsCredentials } from "./aws-signature.js";
import { apiUrl, textOption } from "./options.js";
import type { HttpPurger, NormalTarget } from "./purger.js";
import type { PurgeQueueOptions } from "./queue-options.js";
import { queuedPurger } from "./queue.js";
import { failedBy, sendCall, type VendorResponse } from "./send.js";
import { chunks, isTagText, type CallResult, type PurgeCall, type PurgeVendor } from "./vendor.js";

/** A CloudFront distribution. */
export interface CloudFrontOptions {
  distributionId: string;
  /** Keys that may call `cloudfront:CreateInvalidation`, or what gives them, asked before each request. */
  credentials: AwsCredentials | (() => AwsCredentials | Promise<AwsCredentials>);
  /** The distribution has a `CacheTagConfig`, so that it can be invalidated by tag. @default true */
  tags?: boolean | undefined;
  /** @default "https://cloudfront.amazonaws.com" */
  api?: string | URL | undefined;
  queue?: PurgeQueueOptions | undefined;
}

/** Items of one invalidation, those with a wildcard among them: as many as may be in progress at once. */
const MAX_ITEMS = 3_000;
const MAX_WILDCARDS = 15;
const MAX_TAG_LENGTH = 256;
const VERSION = "2020-05-31";
const RATE = { perSecond: 2, burst: 10, concurrency: 1 };
/** Failures by their name that go well when other invalidations have ended. */
const PASSING = /TooManyInvalidationsInProgress|Throttling|ServiceUnavailable|RequestTimeout/;

/**
 * Invalidates at a CloudFront distribution by URL, prefix (with what else begins with its text), tag or all of it. It has no soft
 * purge: `soft` is done hard. Acknowledged means accepted: CloudFront is through with it a little later.
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function cloudFront(options: CloudFrontOptions): HttpPurger {
  knownOptions(options, ["distributionId", "credentials", "tags", "api", "queue"], "cloudFront");
  return queuedPurger(cloudFrontVendor(options), options.queue);
}

function cloudFrontVendor(options: CloudFrontOptions): PurgeVendor {
  const id = encodeURIComponent(textOption(options.distributionId, "distributionId"));
  const api = apiUrl(options.api ?? "https://cloudfront.amazonaws.com", "api");
  const url = new URL(`${api.origin}/${VERSION}/distribution/${id}/invalidation`);
  const credentials = credentialsOf(options.credentials);
  const clock = options.queue?.clock ?? systemClock;
  const call = (targets: readonly NormalTarget[]): PurgeCall => {
    // The same for each attempt: CloudFront takes what it has had already for the same invalidation.
    const body = invalidationXml(targets.map(itemOf), randomUUID());
    return {
      targets,
      cost: 1,
      send: async (signal) => {
        let keys: AwsCredentials;
        try {
          keys = await credentials();
        } catch {
          return { kind: "failed", reason: "no credentials", again: true };
        }
        const headers = { "content-type": "application/xml" };
        const time = clock.wall();
        const signed = awsSigned(
          { method: "POST", url, headers, body, region: "us-east-1", service: "cloudfront", time },
          keys,
        );
        const secrets = [keys.secretAccessKey, keys.sessionToken ?? "", keys.accessKeyId];
        return sendCall({ url, method: "POST", headers: signed, body, signal, secrets }, judge);
      },
    };
  };
  return {
    name: "cloudfront",
    rate: RATE,
    refusal: (target) => {
      if (target.kind !== "tag") return undefined;
      if (options.tags === false) return "the distribution has no cache tags";
      return isTagText(target.tag, MAX_TAG_LENGTH) ? undefined : "not a cache tag";
    },
    calls: (targets) => {
      const isWide = ({ kind }: NormalTarget): boolean => kind === "prefix" || kind === "all";
      return [
        ...chunks(targets.filter(isWide), MAX_WILDCARDS),
        ...chunks(
          targets.filter((one) => !isWide(one)),
          MAX_ITEMS,
        ),
      ].map(call);
    },
  };
}

function credentialsOf(given: CloudFrontOptions["credentials"]): () => AwsCredentials | Promise<AwsCredentials> {
  if (typeof given === "function") return given;
  if (typeof given !== "object" || given === null) throw optionError("credentials", "keys, or a function", given);
  textOption(given.accessKeyId, "accessKeyId", true);
  textOption(given.secretAccessKey, "secretAccessKey", true);
  return () => given;
}

/** A path from "/", one that ends in "*", or "#" and a tag. */
function itemOf(target: NormalTarget): string {
  switch (target.kind) {
    case "all":
      return "/*";
    case "tag":
      return `#${target.tag}`;
    case "prefix":
      return `${literal(target.url.pathname).replace(/\/$/, "")}${target.url.pathname === "/" ? "/" : ""}*`;
    case "url":
      return literal(target.url.pathname + target.url.search);
  }
}

/** A "*" of the URL's own must not be a wildcard. */
function literal(path: string): string {
  return path.replaceAll("*", "%2A");
}

function invalidationXml(items: readonly string[], reference: string): string {
  const list = items.map((item) => `<Path>${escapedXml(item)}</Path>`).join("");
  return (
    `<?xml version="1.0" encoding="UTF-8"?><InvalidationBatch xmlns="http://cloudfront.amazonaws.com/doc/${VERSION}/">` +
    `<CallerReference>${reference}</CallerReference><Paths><Items>${list}</Items><Quantity>${items.length}</Quantity></Paths>` +
    "</InvalidationBatch>"
  );
}

function escapedXml(text: string): string {
  return text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);
}

function judge(response: VendorResponse): CallResult {
  if (response.status === 201) return { kind: "done" };
  const name = /<Code>(\w{1,60})<\/Code>/.exec(response.body)?.[1] ?? "";
  const result = failedBy(response, name);
  return result.kind === "failed" && PASSING.test(name) ? { ...result, again: true } : result;
}
