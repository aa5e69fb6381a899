import { Keyv } from "keyv";

const database = { setting: async (name: string) => (name === "theme" ? "dark" : undefined) };

const settings = new Keyv({ namespace: "settings", ttl: 60_000 });
const sessions = new Keyv({ namespace: "sessions" });

async function setting(name: string): Promise<string | undefined> {
  const known = await settings.get<string>(name);
  if (known !== undefined) return known;
  const value = await database.setting(name);
  if (value !== undefined) await settings.set(name, value);
  return value;
}

console.log(await setting("theme"), await setting("nothing"));
await sessions.set("s1", { user: 1 }, 30_000);
console.log(await sessions.get("s1"), await sessions.has("s2"));
console.log(await settings.getMany(["theme", "nothing"]));

await settings.clear(); // one namespace, the other stays
console.log(await settings.get("theme"), await sessions.get("s1"));
console.log(await sessions.delete("s1"), await sessions.delete("s1"));
await settings.disconnect();
