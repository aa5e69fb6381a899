export { cloudflare } from "./cloudflare.js";
export { cloudFront } from "./cloudfront.js";
export { fastly } from "./fastly.js";
export { forwardInvalidations } from "./forward.js";
export { cachedResponses } from "./cached-responses.js";
export { nginx } from "./nginx.js";
export { varnish } from "./varnish.js";

export type { AwsCredentials } from "./aws-signature.js";
export type { CloudflareOptions } from "./cloudflare.js";
export type { CloudFrontOptions } from "./cloudfront.js";
export type { FastlyOptions } from "./fastly.js";
export type { Forwarding, ForwardEvent, ForwardOptions } from "./forward.js";
export type { NginxByFiles, NginxByRequest, NginxOptions } from "./nginx.js";
export type { HttpPurger, PurgeEvent, PurgeFailure, PurgeOptions, PurgeReport } from "./purger.js";
export type { PurgeQueueOptions } from "./queue-options.js";
export type { VarnishOptions } from "./varnish.js";
