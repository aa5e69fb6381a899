import type { WorkerSettings } from "../protocol.js";
import type { PeerCache } from "./peer.js";

/** Opens the library that the settings name; the others are not even loaded. */
export async function openPeer(settings: WorkerSettings): Promise<PeerCache> {
  switch (settings.peer) {
    case "tiercache":
      return (await import("./tiercache.js")).tiercachePeer.open(settings);
    case "bentocache":
      return (await import("./bentocache.js")).bentocachePeer.open(settings);
    case "cacheable":
      return (await import("./cacheable.js")).cacheablePeer.open(settings);
    case "layered-loader":
      return (await import("./layered-loader.js")).layeredLoaderPeer.open(settings);
  }
}
