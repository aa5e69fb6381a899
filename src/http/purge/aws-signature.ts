import { createHash, createHmac } from "node:crypto";

/** Keys of an AWS identity. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary keys. */
  readonly sessionToken?: string | undefined;
}

/** What is signed. */
export interface SignedRequest {
  readonly method: string;
  readonly url: URL;
  /** Names in lower case; all of them are signed, `host` with them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly region: string;
  readonly service: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

const ALGORITHM = "AWS4-HMAC-SHA256";

/**
 * The headers of a request with its signature: AWS Signature Version 4 ("Authenticating Requests", AWS General
 * Reference; the path is canonical as `URL` gives it).
 */
export function awsSigned(request: SignedRequest, credentials: AwsCredentials): Readonly<Record<string, string>> {
  const stamp = new Date(request.time).toISOString().replace(/[-:]|\.\d{3}/g, "");
  const day = stamp.slice(0, 8);
  const headers: Record<string, string> = { ...request.headers, host: request.url.host, "x-amz-date": stamp };
  if (credentials.sessionToken !== undefined) headers["x-amz-security-token"] = credentials.sessionToken;
  const names = Object.keys(headers).sort();
  const canonical = [
    request.method,
    canonicalPath(request.url.pathname, request.service),
    canonicalQuery(request.url),
    ...names.map((name) => `${name}:${(headers[name] ?? "").trim().replace(/ +/g, " ")}`),
    "",
    names.join(";"),
    sha256(request.body),
  ].join("\n");
  const scope = `${day}/${request.region}/${request.service}/aws4_request`;
  const key = [day, request.region, request.service, "aws4_request"].reduce<string | Buffer>(
    (secret, part) => hmac(secret, part),
    `AWS4${credentials.secretAccessKey}`,
  );
  const signature = hmac(key, [ALGORITHM, stamp, scope, sha256(canonical)].join("\n")).toString("hex");
  const credential = `Credential=${credentials.accessKeyId}/${scope}`;
  return {
    ...headers,
    authorization: `${ALGORITHM} ${credential}, SignedHeaders=${names.join(";")}, Signature=${signature}`,
  };
}

/** Each segment encoded once more, as every service but S3 has it. */
function canonicalPath(path: string, service: string): string {
  return service === "s3" ? path : path.split("/").map(encoded).join("/");
}

function canonicalQuery(url: URL): string {
  return Array.from(url.searchParams, ([name, value]) => [encoded(name), encoded(value)] as const)
    .sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
