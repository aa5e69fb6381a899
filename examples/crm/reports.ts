import type { Cache } from "../../src/index.js";
import { createDecorators } from "../../src/decorators.js";
import { pipelineTag } from "./caching.js";
import type { Pipeline } from "./model.js";
import type { SqlDeals } from "./sql/people.js";

export interface Reports {
  /** How much lies in each stage, in cents. */
  pipeline(tenant: string): Promise<Pipeline>;
}

/** Reports over deals, cached where they are written down. */
export function createReports(cache: Cache, deals: SqlDeals): Reports {
  const { cached } = createDecorators(cache);

  class SalesReports implements Reports {
    @cached({
      name: "report.pipeline",
      preset: "analytics",
      tags: (_sums: Pipeline, tenant: string) => [pipelineTag(tenant)],
    })
    async pipeline(tenant: string): Promise<Pipeline> {
      return deals.pipeline(tenant);
    }
  }

  return new SalesReports();
}
