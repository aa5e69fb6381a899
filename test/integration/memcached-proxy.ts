import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";

/** Stands between a tier and memcached, and holds back what is sent from a certain command on. */
export interface HoldingProxy {
  readonly port: number;
  /** Holds back the next command that begins like this, and all after it; resolves when all before it was answered. */
  hold(start: string): Promise<void>;
  /** Lets go of what is held. */
  release(): void;
  close(): void;
}

const OWN_QUESTION = "mn\r\n";
const OWN_ANSWER = "MN\r\n";

/** @param port of the server. */
export async function holdingProxy(port: number): Promise<HoldingProxy> {
  const sockets = new Set<Socket>();
  let waited: { readonly start: string; readonly came: () => void } | undefined;
  let held: (() => void)[] | undefined;

  const server = createServer((near) => {
    const far = createConnection({ port, host: "127.0.0.1" });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        near.destroy();
        far.destroy();
      });
    }
    let answered: (() => void) | undefined;
    far.on("data", (chunk: Buffer) => {
      // The proxy's own question is the last, and nobody else's answer.
      const isLast = answered !== undefined && chunk.toString("latin1").endsWith(OWN_ANSWER);
      near.write(isLast ? chunk.subarray(0, -OWN_ANSWER.length) : chunk);
      if (isLast) answered?.();
    });
    let rest = "";
    near.on("data", (chunk: Buffer) => {
      // Payloads of tests hold no line that begins like a command.
      const lines = (rest + chunk.toString("latin1")).split(/(?<=\r\n)/);
      rest = lines.at(-1)?.endsWith("\r\n") === true ? "" : (lines.pop() ?? "");
      for (const line of lines) {
        if (waited !== undefined && line.startsWith(waited.start)) {
          held = [];
          const { came } = waited;
          waited = undefined;
          answered = () => {
            answered = undefined;
            came();
          };
          far.write(OWN_QUESTION);
        }
        const send = (): void => void far.write(Buffer.from(line, "latin1"));
        if (held === undefined) send();
        else held.push(send);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    hold: (start) => new Promise((resolve) => (waited = { start, came: resolve })),
    release() {
      const sends = held ?? [];
      held = undefined;
      for (const send of sends) send();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
