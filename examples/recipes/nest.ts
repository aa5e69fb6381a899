import { CACHE_MANAGER, CacheModule } from "@nestjs/cache-manager";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { Cache as CacheManager } from "cache-manager";
import { Keyv } from "keyv";
import { createCache } from "tiercache";
import { keyvStore } from "tiercache/keyv";

const database = { user: async (id: number) => ({ id, name: `User ${id}` }) };

const cache = createCache({ name: "shop", ttl: "5m", staleIfError: "1h" });
const users = cache.entity({ name: "user", load: database.user });

@Module({
  // For what is written against Nest's own cache already.
  imports: [CacheModule.register({ isGlobal: true, stores: [new Keyv({ store: keyvStore(cache) })] })],
  // For what is new: inject "USERS" and call get().
  providers: [{ provide: "USERS", useValue: users }],
})
class AppModule {
  async onModuleDestroy(): Promise<void> {
    await cache.close();
  }
}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false });

const manager = app.get<CacheManager>(CACHE_MANAGER);
console.log(await manager.wrap("rate:eur", () => 1.1, 60_000), await manager.get("rate:eur"));

const found = app.get<typeof users>("USERS");
console.log(await found.get(1), await found.get(1));
console.log(cache.stats().entities["user"]?.loads, "load of a user");

// What came through Keyv has keys of its own, and is invalidated with its like.
await cache.invalidate({ prefix: "keyv" });
console.log(await manager.get("rate:eur"));
await app.close();
