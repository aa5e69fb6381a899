import express, { type Express } from "express";
import type { Admin } from "tiercache/admin";

export function expressApp(admin: Admin): Express {
  const app = express();
  app.use(express.json());
  app.use("/cache", admin.handler);
  app.get("/own", (_request, response) => void response.send("own"));
  return app;
}
