/** What of `http.ServerOptions` bounds a client. */
export interface ServerLimits {
  /** Longest time for a request's head to come whole; milliseconds. @default 15_000 */
  readonly headersTimeout: number;
  /** Longest time for a request to come whole, its body included; milliseconds. @default 120_000 */
  readonly requestTimeout: number;
  /** How long a connection may lie idle between requests; milliseconds. @default 5_000 */
  readonly keepAliveTimeout: number;
  /** How often the two first are looked at; milliseconds. @default 1_000 */
  readonly connectionsCheckingInterval: number;
  /** Most bytes of a request's head. @default 16_384 */
  readonly maxHeaderSize: number;
  /** Always off: what it lets through is how requests are smuggled. */
  readonly insecureHTTPParser: false;
  readonly requireHostHeader: true;
}

/**
 * Options for `http.createServer` that bound what one client may hold: Node's own let a head take a minute, a request five, and
 * look every half minute.
 *
 * @example
 * createServer(serverLimits(), web.handler(listener));
 */
export function serverLimits(
  overrides: Partial<Omit<ServerLimits, "insecureHTTPParser" | "requireHostHeader">> = {},
): ServerLimits {
  return { ...SERVER_LIMITS, ...overrides, insecureHTTPParser: false, requireHostHeader: true };
}

/** The defaults, as data. */
export const SERVER_LIMITS = {
  headersTimeout: 15_000,
  requestTimeout: 120_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 16_384,
} as const;
