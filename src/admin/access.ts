import { createHash, createHmac, randomBytes } from "node:crypto";
import { isSameSecret } from "../same-secret.js";
import type { AdminActor, AdminRole, AdminSettings } from "./options.js";
import { ROLES } from "./options.js";

/** What the name of the cookie begins with that a token is exchanged for. */
const COOKIE = "tiercache_admin";
/** How long a session lasts; milliseconds. */
const SESSION = 12 * 3_600_000;

/** Why a request is not answered. */
export interface Refusal {
  readonly status: 401 | 403;
  readonly code: "host" | "origin" | "unauthorized" | "forbidden";
  readonly message: string;
}

/**
 * Who may ask what. A page of anybody's can have a browser send requests to loopback (DNS rebinding), so being on
 * loopback proves nothing: the name the request was sent to must be one of ours, what a browser says of its origin must
 * be the same, and the token must be known.
 *
 * A token comes as `Authorization: Bearer`, or once in a POST that gives a cookie for it: signed, HttpOnly, SameSite=Strict. The
 * cookie holds no secret and needs no memory here, so any process with the same tokens takes it.
 */
export class Access {
  readonly #settings: AdminSettings;
  readonly #key: Uint8Array;
  /** One of its own for each set of tokens: cookies know no ports, and two processes of a machine are two sites. */
  readonly #cookie: string;

  constructor(settings: AdminSettings) {
    this.#settings = settings;
    const secrets = [...settings.tokens.values()];
    this.#key = createHash("sha256")
      .update(secrets.length === 0 ? randomBytes(32) : JSON.stringify(["tiercache-admin-session", ...secrets]))
      .digest();
    this.#cookie = `${COOKIE}_${createHmac("sha256", this.#key).update("name").digest("hex").slice(0, 8)}`;
  }

  /**
   * What is wrong with where a request comes from; asked before anything else. A link on another site's page may lead to the
   * page, which holds nothing of its own, and to nothing else.
   */
  refuseOrigin(request: Request, isPage: boolean): Refusal | undefined {
    const host = hostOf(request);
    if (!this.#settings.hosts.has(nameOf(host))) {
      return {
        status: 403,
        code: "host",
        message: `This does not answer to the name ${JSON.stringify(nameOf(host).slice(0, 100))}: list it in the option \`hosts\` if it is yours`,
      };
    }
    const origin = request.headers.get("origin");
    const site = request.headers.get("sec-fetch-site");
    const isForeign = origin !== null && !isOrigin(origin, host);
    const isElsewhere = (site === "cross-site" || site === "same-site") && !(isPage && isVisit(request));
    if (isForeign || isElsewhere) {
      return { status: 403, code: "origin", message: "Pages of another origin may not ask this" };
    }
    return undefined;
  }

  /** Who asks; `undefined` is nobody we know. */
  async actorOf(request: Request): Promise<AdminActor | undefined> {
    const { authenticate } = this.#settings;
    if (authenticate !== undefined) return checkedActor(await authenticate(request));
    const bearer = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
    if (bearer !== undefined) return actorFor(this.roleOf(bearer));
    return actorFor(this.#roleOfCookie(cookieOf(request, this.#cookie)));
  }

  /** The role a token stands for. Every token is compared, in constant time. */
  roleOf(token: string): AdminRole | undefined {
    let found: AdminRole | undefined;
    for (const [role, expected] of this.#settings.tokens) if (isSameSecret(token, expected)) found = role;
    return found;
  }

  /** The Set-Cookie of a session with a role; of no role, one that ends it. */
  cookieFor(role: AdminRole | undefined, isSecure: boolean): string {
    const until = this.#settings.clock.wall() + SESSION;
    const value = role === undefined ? "" : this.#signed(`${role}.${until}`);
    const age = role === undefined ? 0 : SESSION / 1_000;
    return `${this.#cookie}=${value}; Path=${this.#settings.path === "" ? "/" : this.#settings.path}; Max-Age=${age}; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}`;
  }

  #roleOfCookie(value: string | undefined): AdminRole | undefined {
    const [role = "", until = "", mark = ""] = (value ?? "").split(".");
    const expected = this.#signed(`${role}.${until}`).split(".")[2] ?? "";
    if (!isSameSecret(mark, expected) || !(Number(until) > this.#settings.clock.wall())) return undefined;
    return ROLES.find((one) => one === role);
  }

  #signed(text: string): string {
    return `${text}.${createHmac("sha256", this.#key).update(text).digest("base64url")}`;
  }
}

/** Whether a role allows what another one does. */
export function allows(role: AdminRole, needed: AdminRole): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/** Whether somebody goes to it, in a window of its own: no frame, no image, no fetch. */
function isVisit({ method, headers }: Request): boolean {
  return (
    method === "GET" && headers.get("sec-fetch-mode") === "navigate" && headers.get("sec-fetch-dest") === "document"
  );
}

/** Host, with its port, as the request names it. */
function hostOf(request: Request): string {
  return (request.headers.get("host") ?? new URL(request.url).host).toLowerCase();
}

/** Without the port; an IPv6 address keeps its brackets. */
function nameOf(host: string): string {
  return host.replace(/:\d*$/, "").replace(/\.$/, "");
}

function isOrigin(origin: string, host: string): boolean {
  try {
    return new URL(origin).host === host || new URL(origin).host === new URL(`http://${host}`).host;
  } catch {
    // "null", the origin of what has none.
    return false;
  }
}

function cookieOf(request: Request, name: string): string | undefined {
  const cookies = (request.headers.get("cookie") ?? "").split(/;\s*/);
  return cookies.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
}

function actorFor(role: AdminRole | undefined): AdminActor | undefined {
  return role && { name: `token:${role}`, role };
}

/** What is not exactly an actor is nobody. */
function checkedActor(actor: unknown): AdminActor | undefined {
  if (typeof actor !== "object" || actor === null) return undefined;
  const { name, role } = actor as Readonly<Record<string, unknown>>;
  const known = ROLES.find((one) => one === role);
  return known !== undefined && typeof name === "string" ? { name, role: known } : undefined;
}
