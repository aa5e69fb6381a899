/** What is called of a pool of `pg`, or of one like it, to have a client for a while. */
interface ClientPool<Client> {
  connect(): Promise<Client>;
}

interface ErrorSource {
  on?(event: "error", listener: () => void): unknown;
  removeListener?(event: "error", listener: () => void): unknown;
}

/**
 * Runs `work` with a client of the pool, then `release`s it, told what `work` threw.
 *
 * A pool of `pg` hears the errors of idle clients only. One that breaks while it is out rejects its queries, and between two of
 * them emits an `error` that would end the process: it is heard here, and the next query says what is wrong.
 */
export async function withPooledClient<Client, T>(
  pool: ClientPool<Client>,
  work: (client: Client) => Promise<T>,
  release: (client: Client, failure: unknown) => void,
): Promise<T> {
  const client = await pool.connect();
  const source = client as ErrorSource;
  source.on?.("error", heard);
  let failure: unknown;
  try {
    return await work(client);
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    release(client, failure);
    // Only now: from here on the pool hears it.
    source.removeListener?.("error", heard);
  }
}

function heard(): void {}
