import { Access, allows, type Refusal } from "./access.js";
import { answer, failed, json, problem, refuse } from "./answers.js";
import { Assets, NOT_BUILT } from "./assets.js";
import { Doctor } from "./doctor/doctor.js";
import { explore } from "./explore.js";
import { MOST_CLIENTS } from "./live.js";
import type { AdminActor, AdminRole, AdminSettings } from "./options.js";
import { Purges } from "./purges.js";
import { showValue } from "./show-value.js";
import { parseTarget } from "./target.js";
import type { Watch, WatchedCache } from "./watch.js";

/** Of the shape of what the API answers. */
export const API_VERSION = 1;
const MOST_BODY = 16_384;
/** Looks through memory and the shared tier at once: each is long, and bounded. */
const MOST_SEARCHES = 4;

interface Asked {
  readonly request: Request;
  readonly url: URL;
  readonly actor: AdminActor;
}

interface Route {
  readonly method: "GET" | "POST";
  readonly role: AdminRole;
  readonly run: (asked: Asked) => Response | Promise<Response>;
}

/** What answers requests, wherever they come from. */
export class Routes {
  readonly #settings: AdminSettings;
  readonly #watch: Watch;
  readonly #access: Access;
  readonly #assets: Assets;
  readonly #purges: Purges;
  readonly #doctor: Doctor;
  readonly #routes: Readonly<Record<string, Route>>;
  #searches = 0;

  constructor(settings: AdminSettings, watch: Watch) {
    this.#settings = settings;
    this.#watch = watch;
    this.#access = new Access(settings);
    this.#assets = new Assets(settings.assets);
    this.#purges = new Purges(settings.clock, settings.audit);
    this.#doctor = new Doctor(settings.clock, settings.redis);
    this.#routes = {
      me: { method: "GET", role: "viewer", run: (asked) => this.#me(asked) },
      live: { method: "GET", role: "viewer", run: (asked) => this.#live(asked) },
      reports: { method: "GET", role: "viewer", run: (asked) => this.#reports(asked) },
      overview: { method: "GET", role: "viewer", run: (asked) => this.#overview(asked) },
      keys: { method: "GET", role: "viewer", run: (asked) => this.#keys(asked) },
      entry: { method: "GET", role: "viewer", run: (asked) => this.#entry(asked) },
      doctor: { method: "GET", role: "viewer", run: (asked) => this.#examine(asked) },
      preview: { method: "POST", role: "operator", run: (asked) => this.#preview(asked) },
      purge: { method: "POST", role: "operator", run: (asked) => this.#purge(asked) },
      audit: { method: "GET", role: "admin", run: () => json({ lines: this.#purges.audit() }) },
    };
  }

  async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const path = this.#within(url.pathname);
    const refusal = this.#access.refuseOrigin(request, path?.startsWith("api/") !== true);
    if (refusal !== undefined) return refuse(refusal);
    if (path === undefined) return answer(null, { location: `${url.pathname}/${url.search}` }, 308);
    try {
      return path.startsWith("api/") ? await this.#api(path.slice(4), request, url) : await this.#asset(path, request);
    } catch (error) {
      return failed(error);
    }
  }

  /** The path below where this is mounted; `undefined` for the place itself without its slash, below which nothing would be found. */
  #within(pathname: string): string | undefined {
    const { path } = this.#settings;
    if (pathname === path && path !== "") return undefined;
    const inside = path !== "" && pathname.startsWith(`${path}/`) ? pathname.slice(path.length) : pathname;
    return inside.replace(/^\/+/, "");
  }

  async #asset(path: string, { method }: Request): Promise<Response> {
    if (method !== "GET" && method !== "HEAD") return problem(405, "method", "Expected GET");
    const name = path === "" ? "index.html" : path;
    const asset = await this.#assets.find(name);
    if (asset !== undefined) {
      const kept = asset.isHashed ? "public, max-age=31536000, immutable" : "no-cache";
      return answer(asset.bytes, { "content-type": asset.type, "cache-control": kept });
    }
    if (name === "index.html") return answer(NOT_BUILT, { "content-type": "text/html; charset=utf-8" });
    return problem(404, "not-found", "There is no such file");
  }

  async #api(name: string, request: Request, url: URL): Promise<Response> {
    if (name === "session") return this.#session(request);
    const route = Object.hasOwn(this.#routes, name) ? this.#routes[name] : undefined;
    if (route === undefined) return problem(404, "not-found", "The API has nothing of that name");
    if (request.method !== route.method) return problem(405, "method", `Expected ${route.method}`);
    const actor = await this.#access.actorOf(request);
    if (actor === undefined) return refuse(UNKNOWN);
    if (!allows(actor.role, route.role)) return refuse(forbidden(actor.role, route.role));
    this.#watch.attend();
    return route.run({ request, url, actor });
  }

  /** A token for a cookie; DELETE ends the session. */
  async #session(request: Request): Promise<Response> {
    const isSecure = new URL(request.url).protocol === "https:" || request.headers.get("x-forwarded-proto") === "https";
    if (request.method === "DELETE")
      return json({}, 200, { "set-cookie": this.#access.cookieFor(undefined, isSecure) });
    if (request.method !== "POST") return problem(405, "method", "Expected POST or DELETE");
    const { token } = await bodyOf(request);
    const role = typeof token === "string" ? this.#access.roleOf(token) : undefined;
    if (role === undefined) return refuse(UNKNOWN);
    return json({ role }, 200, { "set-cookie": this.#access.cookieFor(role, isSecure) });
  }

  #me({ actor }: Asked): Response {
    const { environment, readOnly, values } = this.#settings;
    return json({
      version: API_VERSION,
      actor: actor.name,
      role: actor.role,
      environment,
      readOnly,
      canPurge: !readOnly && allows(actor.role, "operator"),
      canPurgeAll: !readOnly && allows(actor.role, "admin"),
      canSeeValues: values && allows(actor.role, "reader"),
      canAudit: allows(actor.role, "admin"),
      caches: this.#watch.caches.map(({ name, sampler, cache, processes }) => ({
        name,
        self: sampler.report().process.id,
        entities: sampler.inspector.entities.map((entity) => ({ name: entity.name, scope: entity.scope ?? null })),
        tiers: {
          memory: cache.stats().memory !== undefined,
          shared: cache.stats().shared?.kind ?? null,
        },
        processes: processes !== undefined && sampler.inspector.pinboard.stands,
      })),
    });
  }

  #live({ request }: Asked): Response {
    const stream = this.#watch.live.open(request.headers.get("last-event-id"));
    if (stream === undefined)
      return problem(503, "too-many", `Already ${MOST_CLIENTS} pages are open: close one of them`);
    return answer(stream, { "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no" });
  }

  #reports({ url }: Asked): Response {
    const cache = this.#cacheOf(url.searchParams.get("cache"));
    if (cache === undefined) return noCache();
    return json({ cache: cache.name, failing: cache.processes?.failing ?? false, reports: this.#watch.reports(cache) });
  }

  #overview({ url }: Asked): Response {
    const cache = this.#cacheOf(url.searchParams.get("cache"));
    if (cache === undefined) return noCache();
    const overview = this.#watch.overview(cache, url.searchParams.get("process") ?? "all");
    return overview === undefined
      ? problem(404, "not-found", "No such process reports")
      : json({ version: API_VERSION, ...overview });
  }

  async #keys({ url }: Asked): Promise<Response> {
    const cache = this.#cacheOf(url.searchParams.get("cache"));
    if (cache === undefined) return noCache();
    const { kind, text, scope, canonical } = Object.fromEntries(url.searchParams);
    const target = parseTarget({ kind, text, scope, canonical });
    return this.#search(() => explore(cache.sampler.inspector, target));
  }

  async #entry({ url, actor }: Asked): Promise<Response> {
    const cache = this.#cacheOf(url.searchParams.get("cache"));
    if (cache === undefined) return noCache();
    const path = url.searchParams.get("path") ?? "";
    if (path === "") return problem(400, "ERR_CACHE_KEY", "Expected `path` to name an entry");
    const { memory, shared, sensitive, ...entry } = await cache.sampler.inspector.entry(path);
    const { values, redact } = this.#settings;
    const mayShow = values && allows(actor.role, "reader");
    const shown = (facts: typeof memory): unknown => {
      if (facts === undefined) return null;
      const { value, ...rest } = facts;
      return { ...rest, value: mayShow ? showValue(path, value, sensitive, redact) : null };
    };
    const hidden = values ? "role" : "settings";
    return json({ ...entry, memory: shown(memory), shared: shown(shared), hidden: mayShow ? null : hidden });
  }

  async #examine({ url }: Asked): Promise<Response> {
    const cache = this.#cacheOf(url.searchParams.get("cache"));
    if (cache === undefined) return noCache();
    return json({ version: API_VERSION, ...(await this.#doctor.examine(cache.cache, this.#watch.reports(cache))) });
  }

  async #preview({ request, actor }: Asked): Promise<Response> {
    if (this.#settings.readOnly) return refuse(READ_ONLY);
    const { cache: name, target, soft } = await bodyOf(request);
    const cache = this.#cacheOf(name);
    if (cache === undefined) return noCache();
    const parsed = parseTarget(target);
    if (parsed.kind === "all" && !allows(actor.role, "admin")) return refuse(forbidden(actor.role, "admin"));
    return this.#search(() => this.#purges.preview(cache.sampler.inspector, parsed, soft !== false, actor));
  }

  async #search(look: () => Promise<unknown>): Promise<Response> {
    if (this.#searches >= MOST_SEARCHES)
      return problem(503, "too-many", `Already ${MOST_SEARCHES} searches are going on: try again in a moment`);
    this.#searches += 1;
    try {
      return json(await look());
    } finally {
      this.#searches -= 1;
    }
  }

  async #purge({ request, actor }: Asked): Promise<Response> {
    if (this.#settings.readOnly) return refuse(READ_ONLY);
    const { token, confirm } = await bodyOf(request);
    const preview = typeof token === "string" ? this.#purges.find(token, actor) : undefined;
    const cache = preview && this.#cacheOf(preview.cache);
    if (preview === undefined || cache === undefined)
      return problem(
        409,
        "preview",
        "Only what was previewed is purged, once and within two minutes: preview it again",
      );
    if (preview.confirm !== undefined && confirm !== preview.confirm)
      return problem(409, "confirm", `Expected the cache's name, \`${preview.confirm}\`, to be typed`);
    return json(await this.#purges.run(cache.sampler.inspector, preview, actor));
  }

  /** By name; the first one when none is named. */
  #cacheOf(name: unknown): WatchedCache | undefined {
    if (name === null || name === undefined) return this.#watch.caches[0];
    return this.#watch.caches.find((cache) => cache.name === name);
  }
}

const UNKNOWN: Refusal = {
  status: 401,
  code: "unauthorized",
  message: "Open the link with its token, as it was printed where this was started",
};
const READ_ONLY: Refusal = {
  status: 403,
  code: "forbidden",
  message: "Read-only: set `readOnly: false` where it is created",
};

function forbidden(role: AdminRole, needed: AdminRole): Refusal {
  return { status: 403, code: "forbidden", message: `The role \`${role}\` may not do that, \`${needed}\` may` };
}

function noCache(): Response {
  return problem(404, "not-found", "There is no cache of that name here");
}

/** An object, or nothing of use; what is not JSON by its type is no request of the page. */
async function bodyOf(request: Request): Promise<Readonly<Record<string, unknown>>> {
  if (!(request.headers.get("content-type") ?? "").startsWith("application/json")) return {};
  const text = await request.text();
  if (text.length > MOST_BODY) return {};
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === "object" && body !== null ? (body as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}
