import { defineConfig, type ViteUserConfig } from "vitest/config";
import { TallyReporter } from "./scripts/tally-reporter.js";

// What starts real servers: it may take longer, and needs them on this machine.
const integration = [
  "test/integration/**/*.test.ts",
  "test/faults/**/*.test.ts",
  "examples/**/*.test.ts",
  "scripts/servers/**/*.test.ts",
];

const config: ViteUserConfig = defineConfig({
  test: {
    reporters: ["default", new TallyReporter()],
    pool: "forks",
    // One more than the cores of a small machine: many tests wait for servers.
    maxWorkers: 3,
    // Types are tests too (*.test-d.ts): `npm run types` checks them, with the same compiler as everything else.
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          // No module of ours keeps anything (a rule of the code), so files may share what they import: half the CPU time.
          isolate: false,
          include: ["src/**/*.test.ts", "test/**/*.test.ts", "scripts/**/*.test.ts"],
          exclude: integration,
          testTimeout: 30_000,
          hookTimeout: 10_000,
        },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: integration,
          globalSetup: ["test/support/install-servers.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});

export default config;
