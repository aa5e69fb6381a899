import { systemClock } from "../../src/clock.js";
import { MemcachedConnection } from "../../src/memcached/connection.js";
import { HeadItem } from "../../src/memcached/head.js";
import { Items } from "../../src/memcached/items.js";
import { layoutOf } from "../../src/memcached/layout.js";
import { Parts } from "../../src/memcached/parts.js";
import { Records } from "../../src/memcached/records.js";

/** What tests do to a cache's items behind its back. */
export interface MemcachedAdmin {
  readonly items: Items;
  /** Forgets every record and no mark. */
  trimLog(cacheName: string): Promise<void>;
  close(): void;
}

export function memcachedAdmin(port: number, prefix = ""): MemcachedAdmin {
  const connection = new MemcachedConnection("127.0.0.1", port, systemClock);
  const items = new Items(connection);
  return {
    items,
    async trimLog(cacheName) {
      const layout = layoutOf(cacheName, prefix);
      const heads = new HeadItem(items, layout.head);
      const head = await heads.look();
      if (head === undefined) return;
      await new Records(items, layout, new Parts(items, layout), 1_000_000).settle(head);
      for (let position = head.start + 1; position <= head.position; position++) {
        await items.remove(layout.record(head.generation, position));
      }
      await heads.advance({ ...head, tail: "" });
    },
    close: () => connection.close(),
  };
}
