// What the API answers, under the names that the page uses. `document.ts` is made from the OpenAPI document
// (see README.md), so that an answer that changes there does not compile here.

import type { components } from "./document.ts";

type Schemas = components["schemas"];

/** Without what the page makes no use of: it shows entries and lists that no node has told yet. */
export type Entry = Omit<Schemas["TodoEntry"], "done_at">;
/** An entry in conflict with all values. */
export type Disputed = Schemas["EntryConflicts"];
export type List = Omit<Schemas["TodoList"], "heads">;
export type NodeInfo = Schemas["NodeInfo"];
export type Member = Schemas["ClusterMember"];
export type Partition = Schemas["PartitionView"];
export type Attention = Schemas["Attention"];
export type Heal = Schemas["HealReport"];
export type ReachRow = Schemas["ReachRow"];
export type Status = Schemas["NodeStatus"];
export type Process = Schemas["RegisteredProcess"];
export type Happened = Schemas["ClusterEvent"];
export type EventKind = Schemas["EventKind"];

export interface Page<T> {
  items: T[];
  next: string | null;
}
