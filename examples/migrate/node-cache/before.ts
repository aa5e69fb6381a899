import NodeCache from "node-cache";

const database = { country: async (code: string) => ({ code, name: code === "de" ? "Germany" : "France" }) };

const cache = new NodeCache({ stdTTL: 100, maxKeys: 1_000 });

async function country(code: string): Promise<{ code: string; name: string }> {
  const known = cache.get<{ code: string; name: string }>(`country:${code}`);
  if (known !== undefined) return known;
  const value = await database.country(code);
  cache.set(`country:${code}`, value);
  return value;
}

console.log(await country("de"), await country("de"));
cache.set("rate", 1.1, 10);
console.log(cache.get("rate"));
const found = cache.mget(["country:de", "country:xx"]);
console.log([found["country:de"], found["country:xx"]]);
console.log(cache.del("rate") > 0, cache.has("rate"));
cache.flushAll();
console.log(cache.get("country:de"), cache.getStats().keys);
cache.close();
