import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { describe, expect, it, onTestFinished } from "vitest";
import { conditional, versionTag } from "../../src/http/headers/index.js";

/** One thing with a version, under each framework: read with GET, written with PUT. */
function thing() {
  let version = 1;
  return {
    state: () => ({ etag: versionTag(version, { strong: true }), required: true }),
    write: () => {
      version += 1;
    },
  };
}

/** Servers that give their URL, and are gone with the test. */
const frameworks: Readonly<Record<string, () => Promise<string>>> = {
  async "node:http"() {
    const { state, write } = thing();
    const server = createServer((request, response) => {
      const asked = conditional(request, state());
      if (asked.status !== undefined) return void response.writeHead(asked.status, asked.headers).end();
      if (request.method === "PUT") write();
      response.writeHead(200, asked.headers).end("body");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  },
  async express() {
    const { state, write } = thing();
    const app = express();
    // Its own tag is of the body; this one is of the version.
    app.set("etag", false);
    app.all("/", (request, response) => {
      const asked = conditional(request, state());
      if (asked.status !== undefined) return void response.status(asked.status).set(asked.headers).end();
      if (request.method === "PUT") write();
      response.set(asked.headers).send("body");
    });
    const server = app.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    onTestFinished(() => void server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  },
  async fastify() {
    const { state, write } = thing();
    const app = fastify();
    app.route({
      method: ["GET", "HEAD", "PUT"],
      url: "/",
      handler: (request, reply) => {
        const asked = conditional(request, state());
        if (asked.status !== undefined) return reply.code(asked.status).headers(asked.headers).send();
        if (request.method === "PUT") write();
        return reply.headers(asked.headers).send("body");
      },
    });
    onTestFinished(() => app.close());
    return app.listen({ port: 0, host: "127.0.0.1" });
  },
  async hono() {
    const { state, write } = thing();
    const app = new Hono();
    app.all("/", (c) => {
      const asked = conditional(c.req.raw, state());
      if (asked.status !== undefined) return c.body(null, asked.status, asked.headers);
      if (c.req.method === "PUT") write();
      return c.body("body", 200, asked.headers);
    });
    const server = await new Promise<ReturnType<typeof serve>>((resolve) => {
      const started = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () => resolve(started));
    });
    onTestFinished(() => void server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  },
};

for (const [name, start] of Object.entries(frameworks)) {
  describe(`conditional under ${name}`, () => {
    it("answers 200, 304, 428 and 412 with the tag and without a body, and lets one of two writers through", async () => {
      const url = await start();
      const ask = async (method: string, headers: Record<string, string> = {}): Promise<unknown[]> => {
        const response = await fetch(url, { method, headers: { connection: "close", ...headers } });
        return [response.status, response.headers.get("etag"), await response.text()];
      };
      expect(await ask("GET")).toEqual([200, '"1"', "body"]);
      expect(await ask("HEAD", { "if-none-match": '"1"' })).toEqual([304, '"1"', ""]);
      expect(await ask("GET", { "if-none-match": 'W/"1"' })).toEqual([304, '"1"', ""]);
      expect(await ask("PUT")).toEqual([428, '"1"', ""]);
      expect((await ask("PUT", { "if-match": '"1"' }))[0]).toBe(200);
      expect(await ask("PUT", { "if-match": '"1"' })).toEqual([412, '"2"', ""]);
      expect(await ask("GET", { "if-none-match": '"1"' })).toEqual([200, '"2"', "body"]);
    });
  });
}
