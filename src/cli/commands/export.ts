import { Argument, type Command } from "commander";
import { EXIT, type ExitCode } from "../exit-codes.js";
import type { Terminal } from "../terminal.js";

const FORMS = ["grafana", "prometheus-rules"] as const;

const EXAMPLES = `
Examples:
  $ tiercache export grafana > tiercache-dashboard.json
  $ tiercache export prometheus-rules > tiercache-rules.yml && promtool check rules tiercache-rules.yml`;

/** `tiercache export`: the dashboard and the alert rules over the metrics of tiercache/prometheus. */
export function addExport(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  program
    .command("export")
    .description("a Grafana dashboard, or Prometheus alert rules, for the metrics of tiercache/prometheus")
    .addArgument(new Argument("<what>", "the file to print").choices(FORMS))
    .addHelpText("after", EXAMPLES)
    .action(async (what: (typeof FORMS)[number]) => {
      const { alertRules, grafanaDashboard } = await import("../../telemetry/prometheus.js");
      terminal.out(what === "grafana" ? `${JSON.stringify(grafanaDashboard(), undefined, 2)}\n` : alertRules());
      end(EXIT.ok);
    });
}
