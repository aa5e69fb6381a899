import { connect } from "node:net";

const CONNECTIONS = 32;

/** So many requests for one path over connections that stay open, each of which sends its next when it has its answer. */
export function drive(port: number, path: string, requests: number, connections: number = CONNECTIONS): Promise<void> {
  const text = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n`;
  let left = requests;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      socket.setNoDelay(true).on("error", reject).on("close", resolve);
      let received = "";
      const next = (): void => {
        received = "";
        if (left-- > 0) socket.write(text);
        else socket.destroy();
      };
      socket.setEncoding("latin1").on("connect", next);
      socket.on("data", (chunk: string) => {
        received += chunk;
        const length = lengthOf(received);
        if (length === undefined || received.length < length) return;
        if (received.length > length || !received.startsWith("HTTP/1.1 200")) reject(new Error(received.slice(0, 300)));
        else next();
      });
    });
  return Promise.all(Array.from({ length: connections }, one)).then(() => undefined);
}

/** Characters of the whole answer, once its head is there. */
function lengthOf(received: string): number | undefined {
  const end = received.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const length = /content-length: (\d+)/i.exec(received.slice(0, end))?.[1];
  if (length === undefined) throw new Error(`An answer without a length: ${received.slice(0, end)}`);
  return end + 4 + Number(length);
}
