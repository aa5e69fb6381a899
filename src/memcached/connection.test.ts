import { createServer, type AddressInfo, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../clock.js";
import { FakeClock } from "../testing/index.js";
import { MemcachedConnection, type Answer } from "./connection.js";
import { Items } from "./items.js";

interface FakeServer {
  readonly port: number;
  readonly sockets: Socket[];
  /** All that came, as text. */
  said: string;
}

/** A server that answers each packet by a function. */
async function fakeServer(answer: (said: string, socket: Socket) => string | Buffer | undefined): Promise<FakeServer> {
  const fake = { port: 0, sockets: [] as Socket[], said: "" };
  const server = createServer((socket) => {
    fake.sockets.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      fake.said += chunk.toString("latin1");
      const reply = answer(chunk.toString("latin1"), socket);
      if (reply !== undefined) socket.write(reply);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of fake.sockets) socket.destroy();
    server.close();
  });
  fake.port = (server.address() as AddressInfo).port;
  return fake;
}

function connect(port: number, clock = systemClock): MemcachedConnection {
  const connection = new MemcachedConnection("127.0.0.1", port, clock);
  onTestFinished(() => connection.close());
  return connection;
}

const codes = (answers: readonly Answer[]): readonly string[] => answers.map(({ code }) => code);

describe("a connection", () => {
  it("sends the commands of a tick together, payloads as they are, and gives answers in order", async () => {
    const fake = await fakeServer(() => "EN\r\nHD c1\r\nMN\r\n");
    const connection = connect(fake.port);
    const payload = Uint8Array.from([0, 13, 10, 255]);
    const answers = await Promise.all([
      connection.send("mg a v"),
      connection.send("ms a 4", payload),
      connection.send("mn"),
    ]);
    expect(codes(answers)).toEqual(["EN", "HD", "MN"]);
    expect(fake.said).toBe("mg a v\r\nms a 4\r\n\0\r\n\u00ff\r\nmn\r\n");
    expect(fake.sockets).toHaveLength(1);
  });

  it("rejects all that waits when the server closes it, and sends nothing twice", async () => {
    let closing = true;
    const fake = await fakeServer((_said, socket) => {
      if (!closing) return "MN\r\n";
      socket.destroy();
      return undefined;
    });
    const clock = new FakeClock();
    const connection = connect(fake.port, clock);
    const waiting = [connection.send("mn"), connection.send("md a")];
    for (const promise of waiting) await expect(promise).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    closing = false;
    // Not at once: a server that is down is not stormed.
    await expect(connection.send("mn")).rejects.toThrow("could not be reached");
    await clock.advance(100);
    expect((await connection.send("mn")).epoch).toBe(2);
    expect(fake.said).toBe("mn\r\nmd a\r\nmn\r\n");
  });

  it("waits longer after each failure, up to a bound, and no longer once it was answered", async () => {
    let isUp = false;
    const fake = await fakeServer((_said, socket) => {
      if (isUp) return "MN\r\n";
      socket.destroy();
      return undefined;
    });
    const clock = new FakeClock();
    const connection = connect(fake.port, clock);
    const waitOfNext = async (): Promise<number> => {
      await expect(connection.send("mn")).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
      for (let waited = 0; ; waited += 50) {
        const refused = await connection.send("md x").then(
          () => false,
          (error: Error) => error.message.includes("could not be reached"),
        );
        if (!refused) return waited;
        await clock.advance(50);
      }
    };
    const waits = [];
    for (let round = 0; round < 8; round++) waits.push(await waitOfNext());
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect(waits.at(-1)).toBe(2_000);
    await clock.advance(2_000);
    isUp = true;
    await connection.send("mn");
    isUp = false;
    expect(await waitOfNext()).toBe(50);
  });

  it("takes a server that does not answer for dead, and then what is answered late for nothing", async () => {
    const fake = await fakeServer(() => undefined);
    const clock = new FakeClock();
    const connection = connect(fake.port, clock);
    const waiting = connection.send("mn");
    await expect.poll(() => fake.said).toBe("mn\r\n");
    const rejected = expect(waiting).rejects.toThrow("did not answer for long");
    await clock.advance(4_999);
    await clock.advance(1);
    await rejected;
    fake.sockets[0]?.write("MN\r\n");
    await clock.advance(100);
    const next = connection.send("mg a v");
    await expect.poll(() => fake.sockets.length).toBe(2);
    fake.sockets[1]?.write("EN\r\n");
    expect((await next).code).toBe("EN");
  });

  it("is not taken for dead because nothing was asked for a while", async () => {
    const fake = await fakeServer(() => undefined);
    const clock = new FakeClock();
    const connection = connect(fake.port, clock);
    for (let round = 1; round <= 3; round++) {
      const sent = connection.send("mn");
      await expect.poll(() => fake.said).toBe("mn\r\n".repeat(round));
      // Late enough that the first watch, begun with the first command, looks at the second.
      await clock.advance(round === 1 ? 0 : 20);
      fake.sockets[0]?.write("MN\r\n");
      expect((await sent).epoch).toBe(1);
      await clock.advance(4_990);
    }
  });

  it.each([
    ["garbage", "\0\0\0\r\n"],
    ["a huge length", "VA 99999999 c1\r\n"],
    ["an answer too many", "MN\r\nMN\r\n"],
    ["an error that may be answered twice", "CLIENT_ERROR bad command line format\r\nERROR\r\n"],
  ])("is closed after %s", async (_what, reply) => {
    const fake = await fakeServer(() => reply);
    const connection = connect(fake.port);
    const sent = connection.send("mn");
    await Promise.allSettled([sent]);
    await expect.poll(() => fake.sockets[0]?.destroyed ?? false).toBe(true);
    if (reply.startsWith("MN")) expect((await sent).code).toBe("MN");
    else await expect(sent).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
  });

  it("stays after an error of the server's, which is one command's", async () => {
    const fake = await fakeServer((said) => (said.startsWith("ms") ? "SERVER_ERROR out of memory\r\n" : "MN\r\n"));
    const connection = connect(fake.port);
    await expect(connection.send("ms a 1", new Uint8Array(1))).rejects.toThrow("out of memory");
    expect((await connection.send("mn")).epoch).toBe(1);
  });

  it("does not send what belongs to an earlier one", async () => {
    const fake = await fakeServer((_said, socket) => {
      if (fake.sockets.length === 1) socket.destroy();
      return "MN\r\n";
    });
    const clock = new FakeClock();
    const connection = connect(fake.port, clock);
    await expect(connection.send("mn")).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    await clock.advance(100);
    await expect(connection.send("md a C1", undefined, 1)).rejects.toThrow("lost in between");
    await connection.send("mn", undefined, 2);
    expect(fake.said).not.toContain("md");
  });

  it("keeps no more commands than it may for a server that does not answer", async () => {
    const fake = await fakeServer(() => undefined);
    const connection = connect(fake.port);
    const waiting = Array.from({ length: 50_000 }, () => connection.send("mn"));
    const ended = Promise.allSettled(waiting);
    await expect(connection.send("mn")).rejects.toThrow("too much waits");
    connection.close();
    expect((await ended).every(({ status }) => status === "rejected")).toBe(true);
    await expect(connection.send("mn")).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
  });

  it("keeps no more bytes than it may, either", async () => {
    const fake = await fakeServer((_said, socket) => void socket.pause());
    const connection = connect(fake.port);
    const large = new Uint8Array(1 << 20);
    const sent = Array.from({ length: 80 }, () => connection.send("ms a 1048576", large));
    const reasons = sent.map((promise) => promise.catch((error: Error) => error.message));
    connection.close();
    const said = await Promise.all(reasons);
    expect(said.filter((text) => typeof text === "string" && text.includes("too much waits")).length).toBeGreaterThan(
      10,
    );
  });

  it("knows when the server was started, asked once on each connection", async () => {
    const fake = await fakeServer(() => "STAT pid 7\r\nSTAT uptime 10\r\nSTAT time 1700000010\r\nEND\r\n");
    const connection = connect(fake.port);
    expect(await Promise.all([connection.started(), connection.started()])).toEqual([17e14, 17e14]);
    expect(await connection.started()).toBe(17e14);
    expect(fake.said).toBe("stats\r\n");
  });

  it.each(["END\r\n", "STAT uptime x\r\nSTAT time 1\r\nEND\r\n", "STAT uptime 5\r\nSTAT time 5\r\nEND\r\n"])(
    "refuses statistics that do not tell the time: %j",
    async (reply) => {
      const connection = connect((await fakeServer(() => reply)).port);
      await expect(connection.started()).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    },
  );

  it("refuses statistics without an end", async () => {
    const connection = connect((await fakeServer(() => "STAT a b\r\n".repeat(2_000))).port);
    await expect(connection.started()).rejects.toThrow("no end");
  });
});

describe("items", () => {
  it("say that the server must give CAS values", async () => {
    const items = new Items(connect((await fakeServer(() => "HD c0\r\n")).port));
    await expect(items.store("a", new Uint8Array(0), { ttl: 0 })).rejects.toThrow("-C");
  });

  it("say that the server must be a newer one", async () => {
    const items = new Items(connect((await fakeServer(() => "VERSION 1.4\r\n")).port));
    await expect(items.get("a")).rejects.toThrow("1.6 or later");
  });
});
