import { inspect } from "node:util";

/** Fields whose names hold one of these are never shown, whoever asks. */
const SECRETS = [
  "password",
  "passwd",
  "secret",
  "token",
  "apikey",
  "authorization",
  "cookie",
  "credential",
  "privatekey",
  "ssn",
  "iban",
  "cardnumber",
  "cvv",
];
const REDACTED = "[redacted]";
const DEEPER = "[deeper]";
const MOST_DEPTH = 8;
const MOST_ITEMS = 200;
/** Longest text that is sent of a value. */
const MOST_TEXT = 64 * 1_024;
/** Longest text that is looked into for JSON; what is longer is not shown. */
const MOST_JSON = 1_024 * 1_024;

export interface ShownValue {
  readonly text: string;
  /** Fields, or more, that are not shown. */
  readonly redacted: boolean;
  readonly cut: boolean;
}

/**
 * A value as text, for somebody to look at: never as anything that a page could take for more than text. Fields that are
 * secret are taken out here, on the server.
 *
 * @param sensitive what the value's entity says must not be seen: fields, or all of it
 * @param redact the option of `createAdmin`
 */
export function showValue(
  key: string,
  value: unknown,
  sensitive: true | readonly string[],
  redact: readonly string[] | ((key: string, value: unknown) => unknown),
): ShownValue {
  if (sensitive === true) return { text: REDACTED, redacted: true, cut: false };
  const names = [...sensitive, ...(typeof redact === "function" ? [] : redact)].map(plain);
  const state = { redacted: false };
  const seen = typeof redact === "function" ? redact(key, value) : value;
  const shown = without(seen, (name) => isHidden(name, names), state, 0);
  const text = inspect(shown, {
    depth: MOST_DEPTH,
    maxArrayLength: MOST_ITEMS,
    maxStringLength: 4_096,
    breakLength: 96,
    sorted: false,
    getters: false,
    customInspect: false,
  });
  return {
    text: visible(text.slice(0, MOST_TEXT)),
    redacted: state.redacted || (typeof redact === "function" && seen !== value),
    cut: text.length > MOST_TEXT,
  };
}

/** With what a page would not show, or would show in another order, written out (Unicode TR 36, 3.1). */
function visible(text: string): string {
  return text.replace(
    /[\u00AD\u061C\u180E\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function isHidden(name: string, names: readonly string[]): boolean {
  const text = plain(name);
  return names.includes(text) || SECRETS.some((secret) => text.includes(secret));
}

/** `api_key`, `apiKey` and `API-Key` are one name. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

function without(
  value: unknown,
  hides: (name: string) => boolean,
  state: { redacted: boolean },
  depth: number,
): unknown {
  if (typeof value === "string") return withoutInJson(value, hides, state, depth);
  if (typeof value !== "object" || value === null) return value;
  if (depth > MOST_DEPTH) {
    state.redacted = true;
    return DEEPER;
  }
  if (Array.isArray(value)) return value.slice(0, MOST_ITEMS + 1).map((item) => without(item, hides, state, depth + 1));
  if (value instanceof Map) {
    const entries = [...value].slice(0, MOST_ITEMS + 1);
    return new Map(
      entries.map(([name, item]: readonly [unknown, unknown]) => [
        without(name, hides, state, depth + 1),
        hidden(String(name), item, hides, state, depth),
      ]),
    );
  }
  if (value instanceof Set) return new Set([...value].map((item) => without(item, hides, state, depth + 1)));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const entries = Object.entries(value).map(([name, item]) => [name, hidden(name, item, hides, state, depth)] as const);
  return Object.fromEntries(entries);
}

/** A value that was stored as the JSON of another; what is no JSON is shown as it is. */
function withoutInJson(
  text: string,
  hides: (name: string) => boolean,
  state: { redacted: boolean },
  depth: number,
): string {
  if (!/^\s*[[{]/.test(text)) return text;
  if (text.length > MOST_JSON) {
    state.redacted = true;
    return REDACTED;
  }
  try {
    const inside = { redacted: false };
    const shown = without(JSON.parse(text), hides, inside, depth + 1);
    if (!inside.redacted) return text;
    state.redacted = true;
    return JSON.stringify(shown);
  } catch {
    return text;
  }
}

function hidden(
  name: string,
  item: unknown,
  hides: (name: string) => boolean,
  state: { redacted: boolean },
  depth: number,
): unknown {
  if (!hides(name)) return without(item, hides, state, depth + 1);
  state.redacted = true;
  return REDACTED;
}
