import { createHash } from "node:crypto";

/*
 * The parts of graphql-js that are looked at, by their form: a document and a schema of any of its versions 15 to 17.
 */

export interface GraphqlNode {
  readonly kind: string;
  readonly name?: { readonly value: string } | undefined;
  readonly alias?: { readonly value: string } | undefined;
  readonly operation?: string | undefined;
  readonly selectionSet?: { readonly kind?: string; readonly selections: readonly GraphqlNode[] } | undefined;
  readonly typeCondition?: { readonly name: { readonly value: string } } | undefined;
  readonly directives?: readonly GraphqlDirective[] | undefined;
}

interface GraphqlDirective {
  readonly name: { readonly value: string };
  readonly arguments?:
    | readonly { readonly name: { readonly value: string }; readonly value: { readonly value?: unknown } }[]
    | undefined;
}

export interface GraphqlDocument {
  readonly definitions: readonly GraphqlNode[];
}

interface GraphqlType {
  readonly name?: string | undefined;
  readonly ofType?: GraphqlType | undefined;
  readonly astNode?: { readonly directives?: readonly GraphqlDirective[] | undefined } | null | undefined;
  getFields?(): Readonly<Record<string, GraphqlField | undefined>>;
}

interface GraphqlField {
  readonly type: GraphqlType;
  readonly astNode?: { readonly directives?: readonly GraphqlDirective[] | undefined } | null | undefined;
}

export interface GraphqlSchema {
  getType(name: string): unknown;
  getQueryType(): unknown;
  getMutationType(): unknown;
  getPossibleTypes(type: never): readonly unknown[];
}

/** The names under which a result tells what its objects are, beside what was asked for. */
const RESERVED = "tiercache__";
export const TYPE_NAME: string = `${RESERVED}type`;
export const OBJECT_ID: string = `${RESERVED}id`;

/** What is known of a document, for one of its operations. */
export interface DocumentFacts {
  readonly operation: "query" | "mutation" | "other";
  /** Asks for the schema and nothing else. */
  readonly isIntrospection: boolean;
  /** Comes in parts. */
  readonly isIncremental: boolean;
  readonly digest: string;
  /** Every field that may be answered: `Contact.name`. */
  readonly fields: readonly string[];
  /** Seconds, the least that `@cacheControl` says of what is asked for. */
  readonly maxAge: number | undefined;
  /** `@cacheControl(scope: PRIVATE)` on something that is asked for. */
  readonly isPrivate: boolean;
  /** Names something as only the plugin does. */
  readonly isReserved: boolean;
  /** The document that also asks what each object is. */
  readonly told: GraphqlDocument;
}

/** Reads a document once; `operationName` may be left out where it has one operation. */
export function documentFacts(
  document: GraphqlDocument,
  operationName: string | undefined | null,
  schema: GraphqlSchema,
): DocumentFacts {
  const operations = document.definitions.filter(({ kind }) => kind === "OperationDefinition");
  const isMeant = ({ name }: GraphqlNode): boolean =>
    operationName ? name?.value === operationName : operations.length === 1;
  const operation = operations.find(isMeant);
  const reader = new Reader(schema);
  const told = { ...document, definitions: document.definitions.map((one) => reader.definition(one)) };
  const kind = operation?.operation;
  return {
    operation: kind === "query" || kind === "mutation" ? kind : "other",
    isIntrospection: operation?.selectionSet?.selections.every(isMeta) === true,
    isIncremental: reader.isIncremental,
    digest: createHash("sha256").update(JSON.stringify(document.definitions, withoutPlaces)).digest("base64url"),
    fields: [...reader.fields],
    maxAge: reader.maxAge,
    isPrivate: reader.isPrivate,
    isReserved: reader.isReserved,
    told,
  };
}

function isMeta({ kind, name }: GraphqlNode): boolean {
  return kind === "Field" && name?.value.startsWith("__") === true;
}

function withoutPlaces(name: string, value: unknown): unknown {
  return name === "loc" ? undefined : value;
}

/** Walks a document along the schema. All its operations and fragments count: few documents have more than they use. */
class Reader {
  readonly fields = new Set<string>();
  isIncremental = false;
  isPrivate = false;
  isReserved = false;
  maxAge: number | undefined;
  readonly #schema: GraphqlSchema;

  constructor(schema: GraphqlSchema) {
    this.#schema = schema;
  }

  definition(node: GraphqlNode): GraphqlNode {
    if (node.kind === "FragmentDefinition") return this.#set(node, this.#named(node.typeCondition?.name.value));
    const root = node.operation === "mutation" ? this.#schema.getMutationType() : this.#schema.getQueryType();
    // The root is no object of its own.
    return this.#set(node, root as GraphqlType | undefined, true);
  }

  #set(node: GraphqlNode, type: GraphqlType | undefined, isRoot = false): GraphqlNode {
    const { selectionSet } = node;
    if (selectionSet === undefined) return node;
    const selections = selectionSet.selections.map((selection) => this.#selection(selection, type));
    const asked = isRoot || type === undefined ? [] : this.#identity(type);
    return { ...node, selectionSet: { ...selectionSet, selections: [...selections, ...asked] } };
  }

  #selection(node: GraphqlNode, parent: GraphqlType | undefined): GraphqlNode {
    if (node.directives?.some(({ name }) => name.value === "defer" || name.value === "stream") === true) {
      this.isIncremental = true;
    }
    if (node.kind === "InlineFragment") {
      const type = node.typeCondition === undefined ? parent : this.#named(node.typeCondition.name.value);
      return this.#set(node, type);
    }
    if (node.kind !== "Field") return node;
    if (node.alias?.value.startsWith(RESERVED) === true) this.isReserved = true;
    const field = parent?.getFields?.()[node.name?.value ?? ""];
    if (parent?.name !== undefined && field !== undefined) this.fields.add(`${parent.name}.${node.name?.value}`);
    if (field === undefined) return node;
    const type = bare(field.type);
    this.#hint(field.astNode?.directives);
    this.#hint(type.astNode?.directives);
    return this.#set(node, type);
  }

  /** Asks what an object is; of an interface or a union, of each type that it may be. */
  #identity(type: GraphqlType): readonly GraphqlNode[] {
    const name = aliased(TYPE_NAME, "__typename");
    const id = aliased(OBJECT_ID, "id");
    if (type.getFields?.()["id"] !== undefined) return [name, id];
    let possible: readonly GraphqlType[];
    try {
      possible = this.#schema.getPossibleTypes(type as never) as readonly GraphqlType[];
    } catch {
      // An object type of some versions: it has no other.
      possible = [];
    }
    const identified = possible.filter((one) => one !== type && one.getFields?.()["id"] !== undefined);
    return [
      name,
      ...identified.map(({ name: typeName = "" }) => ({
        kind: "InlineFragment",
        typeCondition: { kind: "NamedType", name: { kind: "Name", value: typeName } },
        directives: [],
        selectionSet: { kind: "SelectionSet", selections: [id] },
      })),
    ];
  }

  #named(name: string | undefined): GraphqlType | undefined {
    return name === undefined ? undefined : (this.#schema.getType(name) as GraphqlType | undefined);
  }

  #hint(directives: readonly GraphqlDirective[] | undefined): void {
    for (const { name, arguments: given = [] } of directives ?? []) {
      if (name.value !== "cacheControl") continue;
      for (const { name: argument, value } of given) {
        const seconds = Number(value.value);
        if (argument.value === "maxAge" && seconds >= 0) this.maxAge = Math.min(this.maxAge ?? seconds, seconds);
        if (argument.value === "scope" && value.value === "PRIVATE") this.isPrivate = true;
      }
    }
  }
}

function bare(type: GraphqlType): GraphqlType {
  let inner = type;
  while (inner.ofType !== undefined) inner = inner.ofType;
  return inner;
}

function aliased(alias: string, name: string): GraphqlNode {
  return { kind: "Field", alias: named(alias), name: named(name), directives: [], arguments: [] } as GraphqlNode;
}

function named(value: string): { readonly kind: string; readonly value: string } {
  return { kind: "Name", value };
}
