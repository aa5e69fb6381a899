import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A small API of books: each answer says for how long it holds, and what it is about. */
export async function startApi(): Promise<{ server: Server; url: string }> {
  const titles = new Map([
    ["1", "Solaris"],
    ["2", "Ubik"],
  ]);
  const server = createServer((incoming, outgoing) => {
    const [, id = ""] = /^\/books\/(\w+)$/.exec(incoming.url ?? "") ?? [];
    const title = titles.get(id);
    if (title === undefined) return void outgoing.writeHead(404, { "cache-control": "max-age=10" }).end();
    if (incoming.method === "PUT") {
      incoming.setEncoding("utf8").on("data", (text: string) => titles.set(id, text));
      return void incoming.on("end", () => outgoing.writeHead(204).end());
    }
    outgoing.writeHead(200, {
      "content-type": "application/json",
      "cache-control": "max-age=60, stale-while-revalidate=600",
      "surrogate-key": `books book:${id}`,
    });
    outgoing.end(JSON.stringify({ id, title }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { server, url: `http://127.0.0.1:${port}` };
}
