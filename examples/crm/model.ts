/** What the CRM keeps. Every row belongs to a tenant, which is no part of the row: it is part of every question. */
export interface User {
  readonly id: number;
  readonly name: string;
  readonly role: string;
}

export interface Contact {
  readonly id: number;
  readonly name: string;
  readonly email: string | null;
  readonly createdAt: Date;
  /** Whatever the tenant keeps about its contacts. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly photo: Uint8Array | null;
}

export type Stage = "lead" | "offer" | "won" | "lost";

export interface Deal {
  readonly id: number;
  readonly contactId: number;
  readonly productId: number;
  readonly stage: Stage;
  /** Cents: exact, and a bigint as in the database. */
  readonly amount: bigint;
}

/** Deals with the name of the contact, as a board shows them. */
export interface DealCard extends Deal {
  readonly contact: string;
}

export interface Category {
  readonly id: number;
  readonly name: string;
}

/** A product shows the name of its category. */
export interface Product {
  readonly id: number;
  readonly categoryId: number;
  readonly category: string;
  readonly name: string;
  /** Cents. */
  readonly price: number;
}

export interface Setting {
  readonly name: string;
  readonly value: unknown;
}

/** How much lies in each stage, in cents. */
export type Pipeline = ReadonlyMap<Stage, bigint>;
