/** The pages of the site by section, in the order a reader needs them. A page's title is its first heading. */
export interface Section {
  readonly title: string;
  /** Paths from the root of the repository. */
  readonly files: readonly string[];
}

export const NAVIGATION: readonly Section[] = [
  { title: "Start", files: ["README.md", "docs/quick-start.md", "docs/README.md", "examples/README.md"] },
  {
    title: "Concepts",
    files: [
      "docs/loading.md",
      "docs/time.md",
      "docs/invalidation.md",
      "docs/entities.md",
      "docs/tiers.md",
      "docs/memcached.md",
      "docs/values.md",
      "docs/hot-keys.md",
      "docs/staleness.md",
      "docs/write-behind.md",
      "docs/warming.md",
      "docs/seeing.md",
      "docs/architecture.md",
    ],
  },
  {
    title: "Databases",
    files: ["docs/postgres-feed.md", "docs/views.md", "docs/orm.md", "docs/other-sources.md"],
  },
  {
    title: "HTTP",
    files: [
      "docs/http.md",
      "docs/http-servers.md",
      "docs/headers.md",
      "docs/undici.md",
      "docs/purge.md",
      "docs/gateway.md",
    ],
  },
  {
    title: "Recipes",
    files: [
      "docs/recipes/fastify.md",
      "docs/recipes/express.md",
      "docs/recipes/hono.md",
      "docs/recipes/nest.md",
      "docs/recipes/next.md",
      "docs/integrations.md",
    ],
  },
  {
    title: "Operate",
    files: [
      "docs/operate/checklist.md",
      "docs/operate/runbooks.md",
      "docs/metrics.md",
      "docs/dashboard.md",
      "docs/cli.md",
      "docs/simulate.md",
      "docs/scale.md",
      "SECURITY.md",
    ],
  },
  {
    title: "Move from",
    files: [
      "docs/migrate/cache-manager.md",
      "docs/migrate/keyv.md",
      "docs/migrate/bentocache.md",
      "docs/migrate/node-cache.md",
    ],
  },
  {
    title: "Project",
    files: ["docs/comparison.md", "docs/testing.md", "bench/RESULTS.md", "CONTRIBUTING.md", "CHANGELOG.md"],
  },
];

/** Where a page of the repository is on the site. */
export function addressOf(file: string): string {
  if (file === "README.md") return "index.html";
  if (file === "docs/README.md") return "contents.html";
  return `${file
    .replace(/^docs\//, "")
    .replace(/\/README\.md$/, ".md")
    .replace(/\.md$/, "")
    .toLowerCase()}.html`;
}
