// What the API answers, as its OpenAPI document describes it; only what the page uses.

import type { Typed } from "./fields.ts";

/** An entry; what people type of it is in `fields.ts`. */
export interface Entry extends Typed {
  id: string;
  done: boolean;
  order: string;
  created_at: string;
  created_by: string;
  modified_at: string;
  modified_by: string;
  conflicts: string[];
}

export interface List {
  name: string;
  total: number;
  open: number;
  modified_at: string;
}

export interface NodeInfo {
  name: string;
  version: string;
  address: string;
  started_at: string;
}

export interface Member {
  id: string;
  name: string;
  address: string;
  self: boolean;
  state: "alive" | "suspect" | "down" | "restarting" | "left";
  since: string;
  rtt_ms: number | null;
  version: string;
  tags: string[];
}

export interface Partition {
  verdict: "whole" | "majority" | "even" | "minority" | "alone";
  expected: number;
  reachable: number;
  missing: { name: string; since: string }[];
  since: string;
}

export interface Attention {
  severity: "critical" | "warning";
  what: string;
  do: string;
}

export interface Status {
  partition: Partition;
  attention: Attention[];
}

export interface Process {
  handle: string;
  name: string;
  node: string;
  pid: number;
  user: string | null;
  exe: string | null;
  state: "up" | "unreachable" | "contested";
  since: string;
  groups: string[];
  metadata: Record<string, string>;
  address: string | null;
  others: string[];
}

export interface Happened {
  at: string;
  kind: "member" | "process" | "list" | "partition";
  type: string;
  name: string;
  [more: string]: unknown;
}

export interface Page<T> {
  items: T[];
  next: string | null;
}
