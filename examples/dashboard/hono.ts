import { Hono } from "hono";
import type { Admin } from "tiercache/admin";

export function honoApp(admin: Admin): Hono {
  const app = new Hono();
  app.all("/cache", (context) => admin.fetch(context.req.raw));
  app.all("/cache/*", (context) => admin.fetch(context.req.raw));
  app.get("/own", (context) => context.text("own"));
  return app;
}
