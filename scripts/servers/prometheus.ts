import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./port.js";
import { ServerProcess } from "./server-process.js";

const run = promisify(execFile);

/** A private Prometheus on a loopback port, with a folder of its own. */
export interface PrometheusServer {
  readonly url: string;
  readonly pid: number;
  /** Stops the server and removes its folder. Twice is once. */
  stop(): Promise<void>;
}

export interface PrometheusSettings {
  /** Ports on the loopback that are scraped, at `/metrics`. */
  readonly targets: readonly number[];
  /** The text of a file of rules. */
  readonly rules: string;
}

const PORT_TRIES = 5;

/** Starts a server that scrapes once a second. @throws Error with what it wrote when it does not start. */
export async function startPrometheus(binary: string, settings: PrometheusSettings): Promise<PrometheusServer> {
  for (let tries = 1; ; tries++) {
    try {
      return await startOn(binary, await freePort(), settings);
    } catch (error) {
      if (tries === PORT_TRIES || !String(error).includes("address already in use")) throw error;
    }
  }
}

/** What promtool says of a file of rules. @throws Error with what is wrong in it. */
export async function checkRules(promtool: string, rules: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tiercache-promtool-"));
  try {
    await writeFile(join(folder, "rules.yml"), rules);
    const { stdout } = await run(promtool, ["check", "rules", join(folder, "rules.yml")]);
    return stdout;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function startOn(
  binary: string,
  port: number,
  { targets, rules }: PrometheusSettings,
): Promise<PrometheusServer> {
  const folder = await mkdtemp(join(tmpdir(), "tiercache-server-prometheus-"));
  const scraped = targets.map((target) => `127.0.0.1:${target}`);
  try {
    await writeFile(join(folder, "rules.yml"), rules);
    // JSON is YAML.
    const config = {
      global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
      rule_files: [join(folder, "rules.yml")],
      scrape_configs: [{ job_name: "cache", static_configs: [{ targets: scraped }] }],
    };
    await writeFile(join(folder, "prometheus.yml"), JSON.stringify(config));
    const server = await ServerProcess.start({
      name: "Prometheus",
      binary,
      args: [
        `--config.file=${join(folder, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      folder,
      readyText: "Server is ready to receive web requests",
      stopSignal: "SIGTERM",
    });
    return { url: `http://127.0.0.1:${port}`, pid: server.pid, stop: () => server.stop() };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
