import { InvalidArgumentError, Option } from "commander";
import { toMilliseconds } from "../duration.js";
import { CacheError } from "../errors.js";
import { toLatency, type Latency } from "../simulate/latency.js";
import { POLICY_NAMES, type OnlinePolicy, type PolicyName } from "../simulate/policies/names.js";
import { toCacheSize, type CacheSize } from "../simulate/sizes.js";
import { columnNamed, type CsvColumn } from "../simulate/trace/csv.js";
import { toBytes } from "../tiers/memory/limits.js";

/* What the text of an option means. Each throws commander's error, which names the option. */

export const ONLINE_POLICIES: readonly OnlinePolicy[] = POLICY_NAMES.filter((name) => name !== "opt");

export function sizeList(text: string): readonly CacheSize[] {
  return split(text).map((part) => told(() => toCacheSize(part, "size")));
}

export function oneSize(text: string): CacheSize {
  return told(() => toCacheSize(text, "size"));
}

/** Sizes among which `none` may be. */
export function optionalSizeList(text: string): readonly (CacheSize | undefined)[] {
  return split(text).map((part) =>
    part === "none" || part === "0" ? undefined : told(() => toCacheSize(part, "size")),
  );
}

export function policyList(text: string): readonly PolicyName[] {
  return split(text).map((part) => {
    const name = POLICY_NAMES.find((known) => known === part.toLowerCase());
    if (name === undefined) throw new InvalidArgumentError(`Expected policies among ${POLICY_NAMES.join(", ")}.`);
    return name;
  });
}

export function columnList(text: string): readonly CsvColumn[] {
  const columns = text.split(",").map((part) => (part.trim() === "_" ? "_" : columnNamed(part)));
  if (columns.includes("key")) return columns;
  throw new InvalidArgumentError("Expected a key among the columns, such as time,key,size; _ skips one.");
}

export function duration(text: string): number {
  return told(() => toMilliseconds(/^\d+$/.test(text) ? Number(text) : text, "duration"));
}

export function latency(text: string): Latency {
  return told(() => toLatency(text, "latency"));
}

export function byteSize(text: string): number {
  return told(() => toBytes(/^\d+$/.test(text) ? Number(text) : text, "size"));
}

/** `0.125`, `1/8`, `12.5%`; above 0, at most 1. */
export function fraction(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(?:\/\s*(\d+(?:\.\d+)?)|(%))?\s*$/.exec(text);
  const divisor = match?.[3] === undefined ? Number(match?.[2] ?? 1) : 100;
  const value = Number(match?.[1] ?? Number.NaN) / divisor;
  if (value > 0 && value <= 1) return value;
  throw new InvalidArgumentError('Expected a part such as "1/8", "0.125" or "12.5%".');
}

export function positive(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("Expected a number above 0.");
}

export function amount(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError("Expected a number of 0 or more.");
}

export function count(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError("Expected an integer of 1 or more.");
}

/** An option with a default, which the help prints as a user would write it. */
export function withDefault<T>(flags: string, description: string, parse: (text: string) => T, text: string): Option {
  return new Option(flags, description).argParser(parse).default(parse(text), text);
}

function split(text: string): readonly string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** The rule without the name of the option, which commander says. */
function told<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    throw new InvalidArgumentError(
      `${error.message.replace(/^Expected `\w+` to be/, "Expected").replace(/, got `.*$/, "")}.`,
    );
  }
}
