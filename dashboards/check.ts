// How Grafana's types look in a JSON file: an enumeration's member is its string there.
import type { Dashboard } from "@grafana/schema";

export type InFile<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: InFile<T[K]> } : T;

const least: InFile<Dashboard> = { schemaVersion: 39 };

// @ts-expect-error A wrong type is found,
export const wrong: InFile<Dashboard> = { ...least, schemaVersion: "39" };

// @ts-expect-error and so is a key that does not exist.
export const unknown: InFile<Dashboard> = { schemaVersion: 39, tittle: "Muster" };
