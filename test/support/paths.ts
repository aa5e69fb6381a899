import fc from "fast-check";

import { encodeKey, inNamespace, namespacePath } from "../../src/keys.js";

/** Names of caches and keys, full of what paths and layouts are made of. */
export const hostileName: fc.Arbitrary<string> = fc.oneof(
  fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom("a", ":", "/", "#", "{", "}", "%", "é") }),
  fc.string({ minLength: 1 }),
);

/** Paths of entries, in a namespace or in none. */
export const hostilePath: fc.Arbitrary<string> = fc
  .tuple(hostileName, fc.option(hostileName, { nil: undefined }))
  .map(([key, namespace]) =>
    inNamespace(namespace === undefined ? "" : namespacePath("", namespace), encodeKey([key, "x"])),
  );
