/** Header fields of one message: names in lower case, in the order received, one pair for each line. */
export type Fields = readonly (readonly [name: string, value: string])[];

/** All lines of one field. */
export function fieldLines(fields: Fields, name: string): string[] {
  const lines: string[] = [];
  for (const [own, value] of fields) if (own === name) lines.push(value);
  return lines;
}

/** The field's lines as one value (RFC 9110 §5.3); `undefined` when it is absent. */
export function fieldValue(fields: Fields, name: string): string | undefined {
  let combined: string | undefined;
  for (const [own, value] of fields) {
    if (own === name) combined = combined === undefined ? value : `${combined}, ${value}`;
  }
  return combined;
}

export function hasField(fields: Fields, name: string): boolean {
  return fields.some(([own]) => own === name);
}

export function withoutFields(fields: Fields, names: ReadonlySet<string>): Fields {
  return fields.filter(([name]) => !names.has(name));
}

/** The field with this one line, in place of all it had. */
export function withField(fields: Fields, name: string, value: string): Fields {
  return [...fields.filter(([own]) => own !== name), [name, value]];
}
