import pg from "pg";

/** A trigger that tells of each changed row as most do: `NOTIFY`, with the row's id. */
export function notifying(table: string): string {
  return `
    CREATE FUNCTION tell_${table}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_notify('${table}', NEW.id::text); RETURN NEW; END $$;
    CREATE TRIGGER tell AFTER INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION tell_${table}();`;
}

/** Hears notifications on a connection of its own. */
export async function listen(
  url: string,
  channel: string,
  hear: (payload: string) => void,
): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  client.on("notification", ({ payload }) => hear(payload ?? ""));
  await client.connect();
  await client.query(`LISTEN ${channel}`);
  return () => client.end();
}

/** The value that so much of them do not exceed, 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Two digits behind the point. */
export function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
