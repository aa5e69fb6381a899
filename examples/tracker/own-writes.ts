import type { Cache } from "../../src/index.js";
import type { Issue, IssueChanges, IssueRepository, ProjectRepository, Tracker } from "./model.js";
import { outdatedByIssue, outdatedByRow, type CachedTables } from "./tables.js";

export interface OwnWrites {
  readonly projects: Pick<ProjectRepository, "update">;
  readonly issues: Pick<IssueRepository, "create" | "update" | "bulkUpdate" | "delete">;
}

/**
 * The API's writes, which drop at once what their rows are to the cache, by the same words as the feed: whoever writes and reads
 * on through the same process never sees what was before.
 *
 * For latency alone. The feed says all of it again a few milliseconds later, to this process and the others, and says it first
 * where a write's answer was lost. To wait for the feed (`feed.wait(await feed.token())`) would do as well, for some round trips
 * to the database.
 */
export function ownWrites(cache: Cache, { projects, issues }: Tracker, rows: CachedTables): OwnWrites {
  const forget = (written: readonly (Issue | undefined)[], changes?: IssueChanges): Promise<unknown> => {
    const targets = written.flatMap((issue) => {
      if (issue === undefined) return [];
      const now = { tenant_id: issue.tenantId, id: issue.id, project_id: issue.projectId, status: issue.status };
      // What has no new status had this one before.
      const old = changes !== undefined && changes.status === undefined ? now : undefined;
      return outdatedByIssue(rows, old, now);
    });
    return targets.length === 0 ? Promise.resolve() : cache.invalidate(targets);
  };
  return {
    projects: {
      async update(tenant, id, changes) {
        const project = await projects.update(tenant, id, changes);
        await cache.invalidate(outdatedByRow(rows.projects, { tenant_id: tenant, id }));
        return project;
      },
    },
    issues: {
      async create(tenant, issue) {
        const created = await issues.create(tenant, issue);
        await forget([created]);
        return created;
      },
      async update(tenant, id, changes) {
        const issue = await issues.update(tenant, id, changes);
        await forget([issue], changes);
        return issue;
      },
      async bulkUpdate(tenant, ids, changes) {
        const changed = await issues.bulkUpdate(tenant, ids, changes);
        await forget(changed, changes);
        return changed;
      },
      async delete(tenant, id) {
        const issue = await issues.delete(tenant, id);
        await forget([issue]);
        return issue;
      },
    },
  };
}
