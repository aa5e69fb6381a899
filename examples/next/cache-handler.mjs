import { nextCacheHandler } from "tiercache/next";
import { cache } from "./cache.mjs";

// oxlint-disable-next-line import/no-default-export -- Next.js takes a handler by its default export
export default nextCacheHandler(cache);
