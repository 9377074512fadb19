// The fields of an entry that people type, one line for each: the editor, the entry's line and what a new entry begins with follow.

import { h, type Child } from "./dom.ts";
import { day, due, moment, printable, two } from "./text.ts";
import type { Entry } from "./types.ts";
import { icon } from "./view/icon.ts";

/** The fields of an entry that people type. */
type Typed = Pick<Entry, "title" | "due" | "priority" | "assignee" | "estimate" | "wait" | "every" | "tags" | "notes">;

interface Field<Name extends keyof Typed> {
  label: string;
  /** What is typed into: a line of text with these attributes, a choice of these words, or several lines. */
  input: Record<string, string | boolean> | string[] | "lines";
  /** What an entry has that was given nothing. */
  nothing: Typed[Name];
  /** The value as text to be edited. */
  typed(value: Typed[Name]): string;
  /** What was typed, as the API takes it. What is wrong is the node's to refuse, in words. */
  value(text: string): unknown;
  /** The value in the entry's line. */
  shown(value: Typed[Name], entry: Entry): Child;
}

const FIELDS = {
  title: {
    label: "Title",
    input: { focused: true, required: true },
    nothing: "",
    typed: (value) => value,
    value: (text) => text.trim(),
    shown: () => null,
  } satisfies Field<"title">,
  due: {
    label: "Due",
    input: { placeholder: "2026-12-31 or 2026-12-31 14:00" },
    nothing: null,
    typed: localDue,
    value: dueOf,
    shown: date,
  } satisfies Field<"due">,
  priority: {
    label: "Priority",
    input: ["high", "medium", "low"],
    nothing: null,
    typed: (value) => value ?? "",
    value: (text) => text || null,
    shown: (value) => value !== null && h("span", { class: `priority priority-${value}` }, value),
  } satisfies Field<"priority">,
  assignee: {
    label: "Assignee",
    input: {},
    nothing: null,
    typed: (value) => value ?? "",
    value: (text) => text.trim() || null,
    shown: (value) => value !== null && h("span", { class: "who" }, `@${printable(value)}`),
  } satisfies Field<"assignee">,
  estimate: {
    label: "Estimate",
    input: { placeholder: "30m, 1h30m or minutes" },
    nothing: null,
    typed: (value) => (value === null ? "" : inHours(value)),
    value: minutesOf,
    shown: (value) => Boolean(value) && h("span", { class: "estimate" }, inHours(value ?? 0)),
  } satisfies Field<"estimate">,
  wait: {
    label: "Out of sight until",
    input: { placeholder: "2026-12-31 or 2026-12-31 14:00" },
    nothing: null,
    typed: localDue,
    value: dueOf,
    shown: (value, entry) => isWaiting(entry) && h("span", { class: "wait" }, `waits until ${due(value ?? "").words}`),
  } satisfies Field<"wait">,
  every: {
    label: "Recurs",
    input: { placeholder: "FREQ=WEEKLY;BYDAY=MO,TH" },
    nothing: null,
    typed: (value) => value ?? "",
    value: (text) => text.trim() || null,
    shown: (value) => value !== null && h("span", { class: "every", title: printable(value) }, "recurs"),
  } satisfies Field<"every">,
  tags: {
    label: "Tags",
    input: { placeholder: "words, with spaces between" },
    nothing: [],
    typed: (value) => value.join(" "),
    value: (text) => text.split(/[\s,]+/).filter((tag) => tag !== ""),
    shown: (value) => value.map((tag) => h("span", { class: "tag", key: `tag ${tag}` }, printable(tag))),
  } satisfies Field<"tags">,
  notes: {
    label: "Notes",
    input: "lines",
    nothing: "",
    typed: (value) => value,
    value: (text) => text,
    shown: (value) => value !== "" && h("span", { class: "has-notes" }, icon("note"), h("span", { class: "unseen" }, "has notes")),
  } satisfies Field<"notes">,
};

export type FieldName = keyof Typed;
/** What is typed of each field. */
export type Draft = Record<FieldName, string>;

/** In the order of the editor. */
export const NAMES = Object.keys(FIELDS) as FieldName[];

export function field<Name extends FieldName>(name: Name): Field<Name> {
  return FIELDS[name] as unknown as Field<Name>;
}

/** The fields of an entry that was given nothing. */
export function nothing(): Typed {
  return Object.fromEntries(NAMES.map((name) => [name, field(name).nothing])) as unknown as Typed;
}

export function draftOf(entry: Entry): Draft {
  return Object.fromEntries(NAMES.map((name) => [name, field(name).typed(entry[name] as never)])) as Draft;
}

/** The fields that were typed otherwise than they were, as the API takes them. */
export function difference(before: Entry, draft: Draft): Record<string, unknown> {
  const was = draftOf(before);
  const others = NAMES.filter((name) => draft[name] !== was[name]);
  return Object.fromEntries(others.map((name) => [name, field(name).value(draft[name])]));
}

/** What an entry's line says of its fields. */
export function details(entry: Entry): Child[] {
  return NAMES.map((name) => field(name).shown(entry[name] as never, entry));
}

/** Whether an entry is out of sight until later. What is done is not. */
export function isWaiting({ wait, done }: Pick<Entry, "wait" | "done">): boolean {
  if (wait === null || done) return false;
  return wait.length === 10 ? wait > day(new Date()) : Date.parse(wait) > Date.now();
}

/** A date stays one; an instant is typed as local time. */
function localDue(value: string | null): string {
  if (value === null || value.length === 10) return value ?? "";
  const at = new Date(value);
  return `${day(at)} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

function dueOf(typed: string): string | null {
  const text = typed.trim();
  const time = /^(\d{4}-\d{2}-\d{2})[ T](\d{1,2}:\d{2})$/.exec(text);
  const at = time ? new Date(`${time[1]}T${time[2]?.padStart(5, "0")}`) : null;
  return at && !Number.isNaN(at.getTime()) ? at.toISOString() : text === "" ? null : text;
}

/** `1h30m` of 90 minutes. */
function inHours(minutes: number): string {
  const hours = Math.floor(minutes / 60);
  return `${hours > 0 ? `${hours}h` : ""}${minutes % 60 > 0 ? `${minutes % 60}m` : ""}`;
}

/** What is no time at all is the node's to refuse, in words. */
function minutesOf(typed: string): number | string | null {
  const text = typed.trim();
  const time = /^(?:(\d+)h)?\s*(?:(\d+)m?)?$/.exec(text);
  return text === "" ? null : time ? Number(time[1] ?? 0) * 60 + Number(time[2] ?? 0) : text;
}

function date(value: string | null, entry: Entry): Child {
  if (value === null) return null;
  const { words, when } = due(value);
  const isOverdue = when === "overdue" && !entry.done;
  return h(
    "time",
    {
      class: `due ${entry.done ? "" : `due-${when}`}`,
      datetime: value,
      title: value.length > 10 ? moment(value) : value,
    },
    isOverdue ? `overdue: ${words}` : words,
  );
}
