import { display } from "../policy.js";
import { fieldValue } from "../http/fields.js";
import type { NodeOutcome, NodeRequest } from "../http/node/answer.js";
import type { SeenRequest } from "./request.js";
import { parameterName } from "./routes.js";

/** A request as the log has it: nothing of Cookie and Authorization, and no values of secrets in the query. */
export interface AccessEntry {
  /** ISO 8601, when it was answered. */
  readonly time: string;
  readonly client: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly protocol: string;
  /** 0 when the client went away before. */
  readonly status: number;
  /** Of the body. */
  readonly bytes: number;
  /** Milliseconds from its head to the end of the answer. */
  readonly duration: number;
  /** The answer's Cache-Status. */
  readonly cache: string | undefined;
  readonly ending: NodeOutcome["ending"];
  readonly error: string | undefined;
}

const LONGEST_PATH = 2_048;

export function accessEntry(
  incoming: NodeRequest,
  seen: SeenRequest | undefined,
  outcome: NodeOutcome,
  secrets: ReadonlySet<string>,
  times: { readonly wall: number; readonly duration: number },
): AccessEntry {
  const { status, bytes, ending, error, fields } = outcome;
  return {
    time: new Date(times.wall).toISOString(),
    client: seen?.client ?? incoming.socket?.remoteAddress ?? "",
    method: incoming.method ?? "",
    host: seen?.url.host ?? "",
    path: withoutSecrets(seen === undefined ? (incoming.url ?? "") : `${seen.url.pathname}${seen.url.search}`, secrets),
    protocol: `HTTP/${incoming.httpVersion}`,
    status,
    bytes,
    duration: Math.round(times.duration * 10) / 10,
    cache: fieldValue(fields, "cache-status"),
    ending,
    error: error === undefined || ending === "gone" ? undefined : messageOf(error),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : display(error);
}

function withoutSecrets(target: string, secrets: ReadonlySet<string>): string {
  // A target that was refused may be a whole URL, with a password before its host.
  const path = target.startsWith("/") ? target : target.replace(/\/\/[^/?#]*@/, "//***@");
  const query = path.indexOf("?");
  const shown =
    query === -1
      ? path
      : `${path.slice(0, query)}?${path
          .slice(query + 1)
          .split("&")
          .map((pair) => (secrets.has(parameterName(pair).toLowerCase()) ? `${pair.split("=")[0]}=***` : pair))
          .join("&")}`;
  return shown.slice(0, LONGEST_PATH);
}
