import type { Database } from "../tracker/database.js";
import type { Catalog } from "./workload.js";

/** Rows read at once. */
const BATCH = 50_000;

/** What the driver must know of the rows to ask for them. Expects issues 1 … n without a gap, as the data set makes them. */
export async function readCatalog(database: Database): Promise<Catalog> {
  const projects = await database.query<{ id: number; tenantId: string }>(
    `select id, tenant_id as "tenantId" from projects`,
    [],
  );
  const users = await database.query<{ id: number; tenantId: string }>(
    `select id, tenant_id as "tenantId" from users order by id`,
    [],
  );
  const [last] = await database.query<{ last: number }>("select coalesce(max(id), 0) as last from issues", []);
  const issues = last?.last ?? 0;
  const projectOf = new Int32Array(issues + 1);
  const keyOf: string[] = Array.from({ length: issues + 1 }, () => "");
  for (let after = 0; after < issues; after += BATCH) {
    const rows = await database.query<{ id: number; projectId: number; key: string }>(
      `select id, project_id as "projectId", key from issues where id > $1 and id <= $2`,
      [after, after + BATCH],
    );
    for (const { id, projectId, key } of rows) {
      projectOf[id] = projectId;
      keyOf[id] = key;
    }
  }
  const tenantOf: string[] = [];
  for (const { id, tenantId } of projects) {
    tenantOf[id] = tenantId;
  }
  const usersOf = new Map<string, number[]>();
  for (const { id, tenantId } of users) {
    usersOf.set(tenantId, [...(usersOf.get(tenantId) ?? []), id]);
  }
  return { issues, projectOf, keyOf, tenantOf, usersOf };
}
