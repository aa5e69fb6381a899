import { formatHttpDate } from "../../src/http/dates.js";
import type { HttpCacheOptions } from "../../src/http/options.js";
import { world, type Told, type World } from "./http-engine.js";

/** The HTTP date so many seconds from now, by the world's clock. */
export const at = (world_: World, seconds: number): string => formatHttpDate(world_.clock.wall() + seconds * 1_000);

/** How many times the origin is asked for two equal requests, `seconds` apart. */
export async function asks(
  told: Told | ((world: World, number: number) => Told),
  {
    seconds = 1,
    first = {},
    second = {},
    ...options
  }: HttpCacheOptions & {
    seconds?: number;
    first?: Record<string, string>;
    second?: Record<string, string>;
  } = {},
): Promise<number> {
  const one: World = world(
    (_asked, number) => ({ body: "x", ...(typeof told === "function" ? told(one, number) : told) }),
    options,
  );
  await one.text(first);
  await one.clock.advance(seconds * 1_000);
  await one.text(second);
  return one.asked.length;
}
/** The second request was answered from the store. */
export const STORED = 1;
/** It went to the origin as well. */
export const NOT_REUSED = 2;
/** An answer with this Cache-Control. */
export const cc = (value: string, more: Told = {}): Told => ({ "cache-control": value, ...more });
