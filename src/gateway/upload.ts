import { Readable } from "node:stream";

import type { Clock, Timer } from "../clock.js";
import type { NodeRequest } from "../http/node/answer.js";
import { RefusedUpload } from "./failure.js";

export interface UploadLimits {
  readonly bodyBytes: number;
  readonly bodyTimeout: number;
}

/**
 * A request's body on its way to the origin, at the origin's pace.
 *
 * It is a stream of its own, because an origin that answers before it has read all has it destroyed, and with the request itself
 * the client's connection would go before the answer. Trailers stay behind. Silence is counted only while the origin would read.
 */
export class Upload extends Readable {
  readonly #incoming: NodeRequest;
  readonly #limits: UploadLimits;
  readonly #clock: Clock;
  #bytes = 0;
  #silence: Timer | undefined;

  constructor(incoming: NodeRequest, limits: UploadLimits, clock: Clock) {
    super({ highWaterMark: 65_536 });
    this.#incoming = incoming;
    this.#limits = limits;
    this.#clock = clock;
    incoming.on("data", this.#take);
    incoming.on("end", this.#finish);
    incoming.on("error", this.#fail);
    incoming.on("close", this.#close);
    incoming.pause();
  }

  override _read(): void {
    this.#wait();
    this.#incoming.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const incoming = this.#incoming;
    this.#silence?.cancel();
    incoming.off("data", this.#take);
    incoming.off("end", this.#finish);
    incoming.off("error", this.#fail);
    incoming.off("close", this.#close);
    callback(error);
  }

  #wait(): void {
    this.#silence?.cancel();
    this.#silence = this.#clock.after(this.#limits.bodyTimeout, () =>
      this.destroy(new RefusedUpload({ status: 408, why: "body too slow" })),
    );
  }

  readonly #take = (chunk: Uint8Array): void => {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limits.bodyBytes) {
      this.destroy(new RefusedUpload({ status: 413, why: "body too long" }));
      return;
    }
    if (this.push(chunk)) return this.#wait();
    this.#silence?.cancel();
    this.#incoming.pause();
  };

  readonly #finish = (): void => {
    this.#silence?.cancel();
    this.push(null);
  };

  readonly #fail = (): void => void this.destroy(new RefusedUpload({ status: 400, why: "body cut short" }));

  readonly #close = (): void => {
    if (!this.#incoming.complete) this.#fail();
  };
}
