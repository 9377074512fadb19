// What happens, in sentences.

import { printable } from "./text.ts";
import type { EventKind, Happened, Partition } from "./types.ts";

function text(value: string | undefined): string {
  return printable(value ?? "");
}

function withDetail(words: string, detail: string): string {
  return detail === "" ? words : `${words} (${detail})`;
}

/** An event in words: `node3 is down (no answer for 1.9 s)`. */
export function describe(event: Happened): string {
  return SENTENCES[event.kind](event);
}

const SENTENCES: Record<EventKind, (event: Happened) => string> = { member, process, list, partition };

function member(event: Happened): string {
  const what = printable(event.type);
  if (event.type === "contradicted") return withDetail(`${printable(event.name)} contradicts itself`, text(event.detail));
  if (event.type === "indirect") return `${printable(event.name)} answers others, and not this node${text(event.detail) === "" ? "" : `: ${text(event.detail)} can reach it`}`;
  if (event.type === "direct") return `${printable(event.name)} answers this node again`;
  if (event.type === "back") return withDetail(`${printable(event.name)} is expected again`, text(event.detail));
  const verb = what === "joined" || what === "left" ? what : what === "forgotten" || what === "revoked" ? `was ${what}` : `is ${what}`;
  return withDetail(`${printable(event.name)} ${verb}`, text(event.detail));
}

function list(event: Happened): string {
  const words = `list “${printable(event.name)}”`;
  if (event.type === "forked") return withDetail(`${words} is forked`, text(event.detail));
  if (event.type === "left_out") return withDetail(`${words} has lost changes`, text(event.detail));
  return `${words} was ${printable(event.type)}`;
}

function process(event: Happened): string {
  const handle = text(event.handle);
  if (event.type === "contested") return `${handle} has a name that is also claimed by ${text(event.other)}`;
  if (event.type === "lost") return `${handle} has lost its name to ${text(event.other)}`;
  return withDetail(`${handle} is ${printable(event.type)}`, text(event.reason));
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
  const missing = (event.missing ?? []).map((member) => printable(typeof member === "string" ? member : member.name));
  const words = `this node ${event.verdict === undefined ? text(event.name) : REACH[event.verdict]}`;
  return missing.length === 0 ? words : `${words}; missing: ${missing.join(", ")}`;
}

/** Whether an event is to be read out: what the cluster is about, not each entry. */
export function isWorthSaying(event: Happened): boolean {
  return event.kind === "partition" || event.type === "forked" || event.type === "left_out" || (event.kind === "member" && event.type !== "suspect");
}

/** A field in conflict, in a word. */
export function conflictName(field: string): string {
  return field === "deleted" ? "deleted elsewhere" : field === "order" ? "place" : field;
}
