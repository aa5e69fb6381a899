import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CacheError } from "../errors.js";
import {
  MasterSubscriptions,
  type MasterConnection,
  type MasterListener,
  type Masters,
} from "./master-subscriptions.js";

/** A connection to one of the servers, as the server sees it. */
interface Opened {
  readonly address: string;
  readonly hears: MasterListener;
  readonly channels: Set<string>;
  closed: boolean;
}

/** Servers that have the channels they are told to have. */
class Servers implements Masters {
  /** Where each channel is. */
  readonly places = new Map<string, string>();
  /** Where the client believes it is. */
  readonly believed = new Map<string, string>();
  readonly opened: Opened[] = [];
  readonly refreshed: string[] = [];
  /** Servers that do not answer, and those that refuse connections. */
  readonly hung = new Set<string>();
  readonly dead = new Set<string>();
  /** Servers that let themselves be connected to, and then say nothing. */
  readonly mute = new Set<string>();
  refusal: Error | undefined;
  over = false;
  isOver = (): boolean => this.over;
  admission: () => Promise<void> = async () => undefined;

  place(channel: string, address: string, known = true): void {
    this.places.set(channel, address);
    if (known) this.believed.set(channel, address);
  }

  admit(): Promise<void> {
    return this.admission();
  }

  addressOf(channel: string): string | undefined {
    return this.believed.get(channel);
  }

  async refresh(channel: string): Promise<void> {
    this.refreshed.push(channel);
    const place = this.places.get(channel);
    if (place !== undefined) this.believed.set(channel, place);
  }

  async open(address: string, hears: MasterListener): Promise<MasterConnection> {
    const one: Opened = { address, hears, channels: new Set(), closed: false };
    this.opened.push(one);
    const answer = async (): Promise<void> => {
      if (this.hung.has(address)) await new Promise(() => undefined);
      if (this.dead.has(address) || one.closed) throw new Error("connect ECONNREFUSED");
    };
    return {
      connect: answer,
      subscribe: async (channel) => {
        await answer();
        if (this.mute.has(address)) await new Promise(() => undefined);
        if (this.refusal !== undefined) throw this.refusal;
        if (this.places.get(channel) !== address) throw new Error(`MOVED 1 ${this.places.get(channel)}`);
        one.channels.add(channel);
      },
      unsubscribe: (channel) => void one.channels.delete(channel),
      close: () => {
        one.closed = true;
      },
    };
  }

  standing(): Opened[] {
    return this.opened.filter(({ closed }) => !closed);
  }
}

let servers: Servers;
let subscriptions: MasterSubscriptions;

beforeEach(() => {
  vi.useFakeTimers();
  servers = new Servers();
  subscriptions = new MasterSubscriptions(servers);
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** Subscribes, and notes what is heard. */
function hear(channel: string): { said: string[]; standing: Promise<void>; close: () => void } {
  const said: string[] = [];
  const push = subscriptions.subscribe(channel, {
    up: () => said.push("up"),
    down: () => said.push("down"),
    message: (text) => said.push(text),
  });
  push.standing.catch(() => undefined);
  return { said, standing: push.standing, close: () => push.close() };
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

describe("subscriptions at masters", () => {
  it("share one connection to each master, and give it back with the last channel", async () => {
    for (const [i, channel] of ["a", "b", "c"].entries()) servers.place(channel, `server:${i % 2}`);
    const all = ["a", "b", "c"].map(hear);
    await pass(0);
    expect(servers.opened.map(({ address, channels }) => [address, [...channels]])).toEqual([
      ["server:0", ["a", "c"]],
      ["server:1", ["b"]],
    ]);
    expect(all.map(({ said }) => said)).toEqual([["up"], ["up"], ["up"]]);
    all[0]?.close();
    all[0]?.close();
    expect([...(servers.opened[0]?.channels ?? [])]).toEqual(["c"]);
    all[1]?.close();
    all[2]?.close();
    expect(servers.standing()).toEqual([]);
  });

  it("give each listener what its channel says, once", async () => {
    servers.place("a", "server:0");
    servers.place("b", "server:0");
    const [first, second, other] = [hear("a"), hear("a"), hear("b")] as const;
    await pass(0);
    servers.opened[0]?.hears.message("a", "hello");
    first.close();
    servers.opened[0]?.hears.message("a", "again");
    expect([first.said, second.said, other.said]).toEqual([["up", "hello"], ["up", "hello", "again"], ["up"]]);
    expect([...(servers.opened[0]?.channels ?? [])]).toEqual(["a", "b"]);
    second.close();
    expect([...(servers.opened[0]?.channels ?? [])]).toEqual(["b"]);
    other.close();
  });

  it("are down when the connection is lost, and stand again on another", async () => {
    servers.place("a", "server:0");
    const { said, close } = hear("a");
    await pass(0);
    servers.opened[0]?.hears.lost();
    expect(said).toEqual(["up", "down"]);
    expect(servers.opened[0]?.closed).toBe(true);
    await pass(0);
    expect(said).toEqual(["up", "down", "up"]);
    servers.opened[0]?.hears.message("a", "late");
    expect(said).toHaveLength(3);
    close();
  });

  it("find the replica that took a dead master's place", async () => {
    servers.place("a", "server:0");
    const { said, close } = hear("a");
    await pass(0);
    servers.dead.add("server:0");
    servers.opened[0]?.hears.lost();
    await pass(10_000);
    expect(said).toEqual(["up", "down"]);
    const tries = servers.opened.length;
    // Once a second at the most, after the first few.
    expect(tries).toBeLessThan(30);
    servers.place("a", "server:1", false);
    await pass(1_000);
    expect(said).toEqual(["up", "down", "up"]);
    expect(servers.standing().map(({ address }) => address)).toEqual(["server:1"]);
    close();
  });

  it("follow a channel that the server takes away, and leave the others where they are", async () => {
    servers.place("a", "server:0");
    servers.place("b", "server:0");
    const [moving, staying] = [hear("a"), hear("b")] as const;
    await pass(0);
    servers.place("a", "server:1", false);
    servers.opened[0]?.hears.moved("a");
    expect(moving.said).toEqual(["up", "down"]);
    await pass(0);
    // The client was made to look before the old place was tried again.
    expect(servers.refreshed).toEqual(["a"]);
    expect([moving.said, staying.said]).toEqual([["up", "down", "up"], ["up"]]);
    expect(servers.opened.map(({ address }) => address)).toEqual(["server:0", "server:1"]);
    servers.opened[0]?.hears.message("a", "from the old server");
    servers.opened[1]?.hears.message("a", "from the new one");
    expect(moving.said.slice(3)).toEqual(["from the new one"]);
    moving.close();
    staying.close();
  });

  it("leave a master that says nothing once the client knows another", async () => {
    servers.place("a", "server:0");
    const { said, close } = hear("a");
    await pass(0);
    servers.hung.add("server:0");
    servers.place("a", "server:1");
    await pass(5_000);
    expect(said).toEqual(["up", "down", "up"]);
    expect(servers.standing().map(({ address }) => address)).toEqual(["server:1"]);
    close();
  });

  it("wait for no server longer than five seconds", async () => {
    servers.place("a", "server:0");
    servers.hung.add("server:0");
    const { said, close } = hear("a");
    await pass(4_900);
    expect(servers.standing()).toHaveLength(1);
    servers.hung.clear();
    await pass(1_000);
    expect(said).toEqual(["up"]);
    expect(servers.opened.map(({ closed }) => closed)).toEqual([true, false]);
    close();
  });

  it("take a connection for lost on which one of them is not answered", async () => {
    for (const channel of ["a", "b"]) servers.place(channel, "server:0");
    const standing = hear("b");
    await pass(0);
    servers.mute.add("server:0");
    const asking = hear("a");
    await pass(4_900);
    expect([standing.said, asking.said]).toEqual([["up"], []]);
    servers.mute.clear();
    await pass(1_000);
    expect([standing.said, asking.said]).toEqual([["up", "down", "up"], ["up"]]);
    expect(servers.opened.map(({ closed }) => closed)).toEqual([true, false]);
    standing.close();
    asking.close();
  });

  it("wait a moment for a client that does not find out", async () => {
    servers.place("a", "server:0");
    servers.refresh = () => new Promise(() => undefined);
    const { said, close } = hear("a");
    await pass(0);
    servers.opened[0]?.hears.moved("a");
    await pass(900);
    expect(said).toEqual(["up", "down"]);
    await pass(200);
    expect(said).toEqual(["up", "down", "up"]);
    close();
  });

  it("that are refused reject at first, and are tried again if they stood before", async () => {
    servers.place("a", "server:0");
    const stood = hear("a");
    await pass(0);
    servers.refusal = new Error("NOPERM this user has no permissions to access one of the channels");
    const refused = hear("a");
    await expect(refused.standing).rejects.toMatchObject({ code: "ERR_CACHE_TIER", cause: servers.refusal });
    servers.opened[0]?.hears.lost();
    await pass(5_000);
    expect(stood.said).toEqual(["up", "down"]);
    servers.refusal = undefined;
    await pass(1_000);
    expect(stood.said).toEqual(["up", "down", "up"]);
    stood.close();
  });

  it("reject when the client is closed, and as the admission does when it is for good", async () => {
    servers.place("a", "server:0");
    servers.dead.add("server:0");
    servers.over = true;
    await expect(hear("a").standing).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    servers.over = false;
    const wrong = new CacheError("ERR_CACHE_OPTION", "Expected `shards` to be 16");
    servers.admission = () => Promise.reject(wrong);
    await expect(hear("a").standing).rejects.toBe(wrong);
    expect(servers.standing()).toEqual([]);
  });

  it("are not admitted while nobody can be asked, and then are", async () => {
    servers.place("a", "server:0");
    servers.admission = () => Promise.reject(new Error("connect ECONNREFUSED"));
    const { said, close } = hear("a");
    await pass(1_000);
    expect(servers.opened).toEqual([]);
    servers.admission = async () => undefined;
    await pass(1_000);
    expect(said).toEqual(["up"]);
    close();
  });

  it("closed at any moment leave nothing open and say nothing", async () => {
    for (let steps = 0; steps < 20; steps++) {
      servers.place("a", "server:0");
      const { said, close, standing } = hear("a");
      for (let i = 0; i < steps; i++) await Promise.resolve();
      const before = said.length;
      close();
      await pass(0);
      expect(said).toHaveLength(before);
      expect(servers.standing()).toEqual([]);
      if (before === 0) await expect(standing).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    }
  });
});
