export { createGateway } from "./gateway.js";
export { loadConfig } from "./load-config.js";

export type { AccessEntry } from "./access-log.js";
export type { AdminHandler } from "./admin.js";
export type {
  AdminOptions,
  GatewayCacheOptions,
  GatewayConfig,
  HeaderOptions,
  HealthOptions,
  LimitOptions,
  ListenOptions,
  OriginOptions,
  QueryOptions,
  RequestHeaderOptions,
  RetryOptions,
  RouteOptions,
  TtlOptions,
} from "./config.js";
export type { Gateway, GatewayAddress, GatewayOptions, GatewayStats } from "./gateway.js";
