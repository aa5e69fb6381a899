import "reflect-metadata";
import { Controller, Get, Module, Param } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { CacheResponse, TIERCACHE, TiercacheModule } from "tiercache/nest";

let reads = 0;

class Contacts {
  find(id: string): object {
    reads += 1;
    return { id, reads };
  }
}

// What `@Controller("contacts")` on the class, `@Get(":id") @CacheResponse({ … })` on the method and `@Param("id")` on its argument do;
// written out because this repository is compiled without TypeScript's older decorators.
const find = Object.getOwnPropertyDescriptor(Contacts.prototype, "find") as PropertyDescriptor;
Controller("contacts")(Contacts);
Get(":id")(Contacts.prototype, "find", find);
Param("id")(Contacts.prototype, "find", 0);
CacheResponse({
  ttl: "1m",
  tags: (value) => [["contact", (value as { id: string }).id]],
  // Of a request with credentials: whose the answer is. Without it, such requests are not cached.
  scope: ({ headers }) => String(headers["authorization"] ?? "guest"),
})(Contacts.prototype, "find", find);

// oxlint-disable-next-line typescript/no-extraneous-class -- a module is a class
class App {}
Module({ imports: [TiercacheModule.forRoot({ name: "api", ttl: "5m" })], controllers: [Contacts] })(App);

const app = await NestFactory.create(App, { logger: false });
await app.listen(0, "127.0.0.1");
const ask = async (user: string): Promise<string> =>
  (await fetch(`${await app.getUrl()}/contacts/7`, { headers: { authorization: user } })).text();

console.log(await ask("ann"), await ask("ann"), await ask("bob"));
await app.get(TIERCACHE).invalidate({ tag: ["contact", "7"] });
console.log(await ask("ann"));

await app.close(); // and the cache with it
