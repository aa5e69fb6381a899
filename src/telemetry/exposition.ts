import type { Sample } from "./histogram.js";
import type { MetricDefinition } from "./metrics.js";

/** A metric with its values, as `prom-client` hands it on. */
export interface CollectedMetric extends Pick<MetricDefinition, "name" | "help" | "type"> {
  readonly aggregator: NonNullable<MetricDefinition["aggregator"]>;
  readonly values: readonly Sample[];
}

/**
 * Metrics in Prometheus's text format (version 0.0.4).
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function exposition(metrics: readonly Omit<CollectedMetric, "aggregator">[]): string {
  return metrics.map(oneMetric).join("\n");
}

function oneMetric({ name, help, type, values }: Omit<CollectedMetric, "aggregator">): string {
  const lines = values.map(
    ({ metricName = name, labels, value }) => `${metricName}${labelText(labels)} ${numberText(value)}\n`,
  );
  return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}
