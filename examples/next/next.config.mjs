import { fileURLToPath } from "node:url";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** @type {import("next").NextConfig} */
const config = {
  cacheHandler: here("cache-handler.mjs"),
  cacheHandlers: { default: here("use-cache-handler.mjs") },
  // What Next.js keeps beside the handler is of one process, and hears of no other's invalidations.
  cacheMaxMemorySize: 0,
  experimental: { useCache: true },
  serverExternalPackages: ["tiercache", "redis"],
};

// oxlint-disable-next-line import/no-default-export -- Next.js takes its configuration by its default export
export default config;
