import type { LockUsers } from "./locks.js";
import type { Pending } from "./network.js";
import { REPLICA_LAG, type World } from "./world.js";

const CROSSINGS: readonly Pending["kind"][] = ["request", "reply", "push"];

/** What goes wrong. */
export class Trouble {
  readonly #world: World;
  readonly #locks: LockUsers;

  constructor(world: World, locks: LockUsers) {
    this.#world = world;
    this.#locks = locks;
  }

  /** A push is lost, or comes twice. */
  pushes(): void {
    const { network, random } = this.#world;
    const taken = network.take(["push"]);
    if (taken === undefined) return;
    const { step, isLost } = taken;
    if (isLost || random.chance(0.5)) {
      this.#world.tell(`lost: push ${step.name} of ${step.owner.process}`);
      return;
    }
    this.#world.tell("doubled:");
    this.#world.run(step);
    network.add(step);
  }

  /** A request or an answer is lost; a client hangs, is refused, heals. */
  calls(): void {
    const { network, random, weather, living } = this.#world;
    this.#world.isTroubled = true;
    const { process, client } = random.pick(living);
    const others = weather.flaky ? 0 : 1;
    switch (random.weighted([3 * others, 2 * others, 2, 3, weather.crashes ? 0 : 0.3 * others])) {
      case 0: {
        const taken = network.take(["request", "reply"]);
        if (taken !== undefined)
          this.#world.tell(`lost: ${taken.step.kind} ${taken.step.name} of ${taken.step.owner.process}`);
        return;
      }
      case 1:
        this.#world.tell(`${process} hangs`);
        return client.hang();
      case 2:
        this.#world.tell(`${process} is refused`);
        return client.fail();
      case 3:
        this.#world.tell(`${process} heals`);
        return client.heal();
      default:
        if (this.#world.dead.length === 0) this.#crash();
    }
  }

  /** A process is cut off from the servers or from one, in all directions or some; or no longer. */
  partitions(): void {
    const { network, random, weather, living } = this.#world;
    this.#world.isTroubled = true;
    if (network.cuts > 0 && random.chance(0.5)) {
      this.#world.tell(`no longer cut: ${JSON.stringify(network.mend())}`);
      return;
    }
    const { process } = random.pick(living);
    const some = CROSSINGS.filter(() => random.chance(0.5));
    const cut = {
      process,
      kinds: some.length === 0 ? CROSSINGS : some,
      shard: weather.shards > 1 && random.chance(0.7) ? random.below(weather.shards) : undefined,
      loses: random.chance(0.6),
    };
    this.#world.tell(`cut: ${JSON.stringify(cut)}`);
    network.cut(cut);
  }

  /** A process dies, or another starts in its place. */
  crashes(): void {
    const { random, living, dead } = this.#world;
    if (dead.length > 0 && (living.length === 1 || random.chance(0.6))) this.restart(random.pick(dead).process);
    else this.#crash();
  }

  restart(process: number): void {
    this.#world.tell(`${process} starts again`);
    this.#world.start(process);
  }

  /** The shared tier restarts empty, or has forgotten the beginning of its log. */
  server(): void {
    const { random, server } = this.#world;
    const shard = this.#someShard();
    if (random.chance(0.5)) {
      const keep = random.below(3);
      this.#world.tell(`the log of ${shard ?? "every server"} is trimmed to ${keep}`);
      server.trimLog(keep, shard);
      return;
    }
    this.#world.tell(`${shard ?? "every server"} restarts empty`);
    server.flush(shard);
    this.#forgotten();
  }

  /** A replica that lags behind takes over. */
  failover(): void {
    const { random, server, network, model, tally } = this.#world;
    const shard = this.#someShard();
    const lag = 1 + random.below(REPLICA_LAG);
    const clock = random.pick([0, 0, -1, -1_000, 5]);
    const since = server.failover(lag, { shard, clock });
    this.#world.tell(
      `a replica of ${shard ?? "every server"} takes over, ${clock} ms ahead; it lacks ${lag} changes since ${since}`,
    );
    tally.failovers += 1;
    network.replaced(shard);
    model.failover(since ?? Number.POSITIVE_INFINITY);
    this.#forgotten();
  }

  /** A feed hears nothing, or does again; its connection is cut; the database loses its place; its notes are lost, or no longer. */
  feed(): void {
    const { random, database, network, living } = this.#world;
    const { losesNotes } = this.#world;
    switch (random.weighted([6, 3, 0.4, losesNotes ? 8 : 0.4])) {
      case 0: {
        if (network.cuts > 0 && random.chance(0.5)) {
          this.#world.tell(`no longer cut: ${JSON.stringify(network.mend())}`);
          return;
        }
        const { process } = random.pick(living);
        const loses = random.chance(0.5);
        this.#world.tell(`${process} hears nothing of ${loses ? "what others invalidate" : "the database"}`);
        return network.cut({ process, kinds: [loses ? "push" : "feed"], shard: undefined, loses });
      }
      case 1:
        return database.cutOff();
      case 2:
        return database.loseSlot();
      default:
        this.#world.losesNotes = !losesNotes;
        this.#world.tell(losesNotes ? "notes are kept" : "notes are lost");
    }
  }

  /** All of it ends. */
  end(): void {
    const { network, living, weather, random, dead } = this.#world;
    this.#world.tell("calm");
    this.#world.failing = false;
    this.#world.losesNotes = false;
    network.mendAll();
    for (const { client } of living) client.heal();
    if (weather.crashes) for (const { process } of dead) if (random.chance(0.5)) this.restart(process);
  }

  #crash(): void {
    const { random, living, tally } = this.#world;
    if (living.length === 1) return;
    const instance = random.pick(living);
    this.#world.tell(`${instance.process} dies`);
    this.#world.isTroubled = true;
    tally.crashes += 1;
    this.#world.kill(instance);
  }

  /** Leases are gone: others may load what is being loaded, and take what is locked. */
  #forgotten(): void {
    const { touched } = this.#world.model;
    touched.fill(true);
    this.#locks.broken();
  }

  #someShard(): number | undefined {
    const { shards } = this.#world.weather;
    return shards > 1 && this.#world.random.chance(0.7) ? this.#world.random.below(shards) : undefined;
  }
}
