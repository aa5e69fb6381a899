import { createCache } from "tiercache";

const database = { setting: async (name: string) => (name === "theme" ? "dark" : undefined) };

const cache = createCache({ name: "app", ttl: "1m" });
const settings = cache.namespace("settings");
const sessions = cache.namespace("sessions");

// One load for all who ask at once; `undefined` is an answer, and is remembered like any other.
const setting = (name: string) => settings.getOrLoad(name, () => database.setting(name));

console.log(await setting("theme"), await setting("nothing"));
await sessions.set("s1", { user: 1 }, { ttl: "30s" });
console.log(await sessions.get("s1"), await sessions.has("s2"));
console.log(await settings.getMany(["theme", "nothing"]));

await settings.invalidate({ all: true }); // one namespace, the other stays
console.log(await settings.get("theme"), await sessions.get("s1"));
console.log(await sessions.delete("s1"), await sessions.delete("s1"));
await cache.close();
