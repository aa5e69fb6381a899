import { nextUseCacheHandler } from "tiercache/next";
import { cache } from "./cache.mjs";

// oxlint-disable-next-line import/no-default-export -- as in cache-handler.mjs
export default nextUseCacheHandler(cache);
