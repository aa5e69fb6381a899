import type { Examination } from "../../src/admin/doctor/doctor.js";
import type { Found } from "../../src/admin/explore.js";
import type { AuditLine, PurgePreview, PurgeResult } from "../../src/admin/purges.js";
import type { ProcessReport } from "../../src/admin/report.js";
import type { ShownValue } from "../../src/admin/show-value.js";
import type { AdminTarget } from "../../src/admin/target.js";
import type { EntryFacts, InspectedEntry } from "../../src/inspect/inspect-entry.js";

export interface CacheFacts {
  readonly name: string;
  readonly self: string;
  readonly entities: readonly { readonly name: string; readonly scope: string | null }[];
  readonly tiers: { readonly memory: boolean; readonly shared: string | null };
  readonly processes: boolean;
}

export interface Me {
  readonly actor: string;
  readonly role: string;
  readonly environment: string;
  readonly readOnly: boolean;
  readonly canPurge: boolean;
  readonly canPurgeAll: boolean;
  readonly canSeeValues: boolean;
  readonly canAudit: boolean;
  readonly caches: readonly CacheFacts[];
}

export interface Reports {
  readonly cache: string;
  /** Reports of other processes cannot be read: the shared tier does not answer. */
  readonly failing: boolean;
  readonly reports: readonly ProcessReport[];
}

type ShownFacts = Omit<EntryFacts, "value"> & { readonly value: ShownValue | null };
export type ShownEntry = Omit<InspectedEntry, "memory" | "shared" | "sensitive"> & {
  readonly memory: ShownFacts | null;
  readonly shared: ShownFacts | null;
  readonly hidden: "role" | "settings" | null;
};

/** What the server answered instead. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** What went wrong, for people. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function call<T>(path: string, init?: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`api/${path}`, { ...init, credentials: "same-origin", cache: "no-store" });
  } catch {
    throw new ApiError(0, "unreachable", "The process does not answer");
  }
  const data = (await response.json().catch(() => ({}))) as { error?: { code: string; message: string } } & T;
  if (response.ok) return data;
  throw new ApiError(response.status, data.error?.code ?? "unknown", data.error?.message ?? response.statusText);
}

function post<T>(path: string, body: unknown): Promise<T> {
  return call<T>(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

function query(params: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(params).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== "",
  );
  return new URLSearchParams(given).toString();
}

/** A target as an address has it. */
export function asParams({ kind, text, scope, canonical }: AdminTarget): Record<string, string | undefined> {
  return { kind, text, scope, canonical: canonical === true ? "true" : undefined };
}

export const api = {
  signIn: (token: string): Promise<unknown> => post("session", { token }),
  me: (): Promise<Me> => call("me"),
  reports: (cache: string): Promise<Reports> => call(`reports?${query({ cache })}`),
  keys: (cache: string, target: AdminTarget): Promise<Found> => call(`keys?${query({ cache, ...asParams(target) })}`),
  entry: (cache: string, path: string): Promise<ShownEntry> => call(`entry?${query({ cache, path })}`),
  doctor: (cache: string): Promise<Examination> => call(`doctor?${query({ cache })}`),
  preview: (cache: string, target: AdminTarget, soft: boolean): Promise<PurgePreview> =>
    post("preview", { cache, target, soft }),
  purge: (token: string, confirm: string | undefined): Promise<PurgeResult> => post("purge", { token, confirm }),
  audit: (): Promise<{ readonly lines: readonly AuditLine[] }> => call("audit"),
};
