import type { Connection } from "./connection.js";

/** What must be found in order before anything is done with a server, asked at the first use and until it is. */
export class Admission {
  readonly #check: () => Promise<void>;
  #granted = false;
  #asking: Promise<void> | undefined;

  constructor(check: () => Promise<void>) {
    this.#check = check;
  }

  get granted(): boolean {
    return this.#granted;
  }

  ask(): Promise<void> {
    if (this.#granted) return Promise.resolve();
    this.#asking ??= this.#check()
      .then(() => {
        this.#granted = true;
      })
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }
}

/** A connection every call of which waits for the admission, and rejects as it does. */
export function admitted(connection: Connection, admission: Admission): Connection {
  const first = <T>(run: () => Promise<T>): Promise<T> => (admission.granted ? run() : admission.ask().then(run));
  return {
    keyPrefix: connection.keyPrefix,
    channelPrefix: connection.channelPrefix,
    mget: (keys) => first(() => connection.mget(keys)),
    run: (script, keys, args) => first(() => connection.run(script, keys, args)),
    send: (command, key, args) => first(() => connection.send(command, key, args)),
  };
}
