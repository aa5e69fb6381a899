import type { GatewayConfig } from "tiercache/gateway";

export const config: GatewayConfig = {
  origin: "http://127.0.0.1:3000",
  routes: ["/assets", "/fonts"].map((path) => ({ path, ttl: { default: "1h" } })),
};
