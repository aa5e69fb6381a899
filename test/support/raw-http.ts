import { connect } from "node:net";

/** What comes back on a connection for these bytes, until the server ends it or has sent `until`. */
export function raw(port: number, text: string, until?: string | RegExp): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    let received = "";
    const end = (): void => {
      socket.destroy();
      resolve(received);
    };
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      received += chunk;
      if (until !== undefined && (typeof until === "string" ? received.includes(until) : until.test(received))) end();
    });
    socket.on("close", end);
    // A connection that is reset is one that has ended.
    socket.on("error", () => undefined);
  });
}
