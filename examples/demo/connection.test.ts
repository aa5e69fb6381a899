import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { createServer as createHttpServer } from "node:http";
import { afterEach, expect, it } from "vitest";
import { Connection } from "./connection.js";

let server: Server | undefined;
afterEach(() => new Promise<void>((resolve) => void server?.close(() => resolve())));

async function listen(created: Server): Promise<number> {
  server = created;
  await new Promise<void>((resolve) => created.listen(0, "127.0.0.1", resolve));
  return (created.address() as AddressInfo).port;
}

/** A server that sends these bytes, one after the other, for each request it gets. */
function scripted(onRequest: (socket: Socket, nth: number) => void): Promise<number> {
  let requests = 0;
  return listen(createServer((socket) => socket.on("data", () => onRequest(socket, requests++))));
}

it("sends a body and reads the answer, many times on one connection", async () => {
  let connections = 0;
  const port = await listen(
    createHttpServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.from(`${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`);
        response.writeHead(201, { "content-length": body.length }).end(body);
      });
    }).on("connection", () => (connections += 1)),
  );
  const connection = new Connection(port);
  for (const text of ["", "é😀", "x".repeat(300_000)]) {
    const answer = await connection.request("POST", "/here", text);
    expect([answer.status, answer.body.toString()]).toEqual([201, `POST /here ${text}`]);
  }
  expect(connections).toBe(1);
  connection.close();
});

it("puts together an answer that arrives in pieces", async () => {
  const port = await scripted((socket) => {
    const bytes = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let at = 0;
    const next = (): void => {
      if (at < bytes.length) {
        socket.write(bytes.subarray(at, (at += 1)), () => setImmediate(next));
      }
    };
    next();
  });
  const connection = new Connection(port);
  expect((await connection.request("GET", "/")).body.toString()).toBe("hello");
  expect((await connection.request("GET", "/")).body.toString()).toBe("hello");
  connection.close();
});

it("rejects when the server closes before the answer is whole, and connects again for the next", async () => {
  const port = await scripted((socket, nth) => {
    socket.end(
      nth === 0 ? "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf" : "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    );
  });
  const connection = new Connection(port);
  await expect(connection.request("GET", "/")).rejects.toThrow("closed the connection");
  expect((await connection.request("GET", "/")).body.toString()).toBe("ok");
  connection.close();
});

it.each([
  ["no length", "HTTP/1.1 200 OK\r\n\r\n"],
  ["an interim answer", "HTTP/1.1 103 Early Hints\r\ncontent-length: 0\r\n\r\n"],
  ["more than one answer", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nabHTTP/1.1"],
  ["something else", "SSH-2.0-server\r\n\r\n"],
])("rejects %s instead of guessing", async (_, bytes) => {
  const port = await scripted((socket) => void socket.write(bytes));
  const connection = new Connection(port);
  await expect(connection.request("GET", "/")).rejects.toThrow(/Expected a final answer|more than was asked/);
  connection.close();
});

it("rejects when nobody listens, when it is closed, and when two ask at once", async () => {
  const port = await scripted(() => undefined);
  const connection = new Connection(port);
  const first = connection.request("GET", "/");
  await expect(connection.request("GET", "/")).rejects.toThrow("one request at a time");
  connection.close();
  await expect(first).rejects.toThrow("closed");
  await new Promise<void>((resolve) => void server?.close(() => resolve()));
  await expect(new Connection(port).request("GET", "/")).rejects.toThrow("ECONNREFUSED");
});
