import { createServer, type Server } from "node:http";
import type { Admin } from "tiercache/admin";

/** Made with `createAdmin(cache, { path: "/cache", tokens, hosts })`. */
export function httpServer(admin: Admin): Server {
  return createServer((request, response) => {
    if (request.url?.startsWith("/cache") === true) admin.handler(request, response);
    else response.end("own");
  });
}
