/** Raised when a field goes or changes what it means; not when one is added. */
const SCHEMA_VERSION = 1;

/** Data as one object of JSON, the version of its schema first. */
export function jsonText(data: object): string {
  return `${encoded(data, 2)}\n`;
}

/** The same on one line. */
export function jsonLine(data: object): string {
  return `${encoded(data, undefined)}\n`;
}

function encoded(data: object, indent: number | undefined): string {
  const text = JSON.stringify({ schemaVersion: SCHEMA_VERSION, ...data }, undefined, indent);
  // JSON has these as they are, and a terminal takes some of them for commands.
  return text.replaceAll(/[\u007F-\u009F]/g, (found) => `\\u00${found.charCodeAt(0).toString(16)}`);
}
