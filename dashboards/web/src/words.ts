// What happens, in sentences.

import { printable } from "./text.ts";
import type { Happened, Partition } from "./types.ts";

function text(event: Happened, field: string): string {
  const value = event[field];
  return typeof value === "string" ? printable(value) : "";
}

function withDetail(words: string, detail: string): string {
  return detail === "" ? words : `${words} (${detail})`;
}

/** An event in words: `node3 is down (no answer for 1.9 s)`. */
export function describe(event: Happened): string {
  const name = printable(event.name);
  const what = printable(event.type);
  if (event.kind === "list") return `list “${name}” was ${what}`;
  if (event.kind === "partition") return partition(event);
  if (event.kind === "process") return process(event, what);
  const verb = what === "joined" || what === "left" ? what : what === "forgotten" ? "was forgotten" : `is ${what}`;
  return withDetail(`${name} ${verb}`, text(event, "detail"));
}

function process(event: Happened, what: string): string {
  const handle = text(event, "handle");
  if (what === "contested") return `${handle} has a name that is also claimed by ${text(event, "other")}`;
  if (what === "lost") return `${handle} has lost its name to ${text(event, "other")}`;
  return withDetail(`${handle} is ${what}`, text(event, "reason"));
}

const REACH: Record<Partition["verdict"], string> = {
  whole: "reaches the whole cluster",
  majority: "reaches a majority of the cluster",
  even: "reaches half of the cluster",
  minority: "reaches a minority of the cluster",
  alone: "is cut off from all others",
};

/** What a verdict means for the node that gives it. */
export function verdict(verdict: Partition["verdict"]): string {
  return REACH[verdict];
}

function partition(event: Happened): string {
  const missing = Array.isArray(event["missing"]) ? event["missing"].map((name) => printable(String(name))) : [];
  const words = `this node ${REACH[event["verdict"] as Partition["verdict"]] ?? text(event, "verdict")}`;
  return missing.length === 0 ? words : `${words}; missing: ${missing.join(", ")}`;
}

/** Whether an event is to be read out: what the cluster is about, not each entry. */
export function isWorthSaying(event: Happened): boolean {
  return event.kind === "partition" || (event.kind === "member" && event.type !== "suspect");
}

/** A field in conflict, in a word. */
export function conflictName(field: string): string {
  return field === "deleted" ? "deleted elsewhere" : field === "order" ? "place" : field;
}
