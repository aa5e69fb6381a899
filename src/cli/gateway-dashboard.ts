import { createAdmin, type Admin } from "../admin/create-admin.js";
import type { Cache } from "../api.js";
import type { GatewayConfig } from "../gateway/config.js";
import type { AdminHandler } from "../gateway/admin.js";

/** Where on the admin port the page is. */
const PATH = "/dashboard";

/** The page of a gateway, on its admin port. */
export interface GatewayDashboard {
  /** Under it in a browser. */
  readonly link: string;
  close(): Promise<void>;
}

/**
 * Mounts the page where operators ask. Its token is the admin port's own, or where that has none one made at random, which the link
 * holds. Purges are for tokens that somebody chose.
 */
export function mountDashboard(
  running: { mount(prefix: string, handler: AdminHandler): void },
  cache: Cache,
  { admin: settings }: GatewayConfig,
  adminPort: number,
): GatewayDashboard {
  const { token, host = "127.0.0.1" } = settings === false || settings === undefined ? {} : settings;
  const admin = createAdmin(cache, {
    path: PATH,
    hosts: [host.includes(":") ? `[${host}]` : host],
    name: `gateway ${process.pid}`,
    ...(token === undefined ? {} : { tokens: { admin: token }, readOnly: false }),
  });
  running.mount(PATH, (incoming, outgoing) => admin.handler(incoming, outgoing));
  const made = admin.token === undefined ? "" : `#token=${admin.token}`;
  return {
    link: `http://${host.includes(":") ? `[${host}]` : host}:${adminPort}${PATH}/${made}`,
    close: () => admin.close(),
  };
}

/** Has a worker's cache report to the page, through what the workers share. */
export function reportToDashboard(cache: Cache): Admin {
  return createAdmin(cache, { name: `worker ${process.pid}` });
}
