// Changes on their way to the node, in the order in which they were made. They are shown at once, kept over a reload of the page
// and over times without the node, and tried until the node has answered; what it refuses is kept until somebody decides.

import { Problem, call, entryPath, listPath } from "./api.ts";
import { changed, speak, state } from "./state.ts";
import type { Entry } from "./types.ts";
import { ulid } from "./ulid.ts";

/** A change. The fields of `body` are the API's. */
export interface Change {
  id: string;
  list: string;
  entry: string;
  verb: "add" | "edit" | "delete" | "settle";
  /** The entry's title when the change was made, to tell it by. */
  title: string;
  body: Record<string, unknown>;
  at: string;
  /** `settling`: the node has it, its stream has not shown it yet. */
  status: "waiting" | "sending" | "settling" | "refused";
  why: string;
  /** The entry as the node answered it. */
  answer: Entry | null;
}

const KEY = "muster.outbox";
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;
/** How long to wait until the stream shows what the node has answered. */
const SETTLE_MS = 3_000;

let changes: Change[] = restore();
let wait = FIRST_WAIT_MS;
let timer: ReturnType<typeof setTimeout> | undefined;
let isSending = false;

export function pending(): readonly Change[] {
  return changes;
}

export function add(list: string, body: Record<string, unknown>): string {
  const id = ulid();
  push({ list, entry: id, verb: "add", title: String(body["title"]), body: { ...body, id } });
  return id;
}

export function edit(list: string, entry: Entry, body: Record<string, unknown>): void {
  push({ list, entry: entry.id, verb: "edit", title: entry.title, body });
}

export function remove(list: string, entry: Entry): void {
  push({ list, entry: entry.id, verb: "delete", title: entry.title, body: {} });
}

/** Decides for a value of a field that was written apart. */
export function settleField(list: string, entry: Entry, field: string, value: string): void {
  push({ list, entry: entry.id, verb: "settle", title: entry.title, body: { entry: entry.id, field, value } });
}

/** Gives up on a change. */
export function discard(change: Change): void {
  changes = changes.filter((other) => other !== change);
  keep();
}

/** Tries a change again that was refused. */
export function tryAgain(change: Change): void {
  change.status = "waiting";
  change.why = "";
  keep();
  void send();
}

/** Tries at once what waits: the node seems to be back. */
export function hurry(): void {
  clearTimeout(timer);
  wait = FIRST_WAIT_MS;
  void send();
}

/** The stream has shown the list anew: what the node has answered may be in it. */
export function settle(list: string, entries: ReadonlyMap<string, Entry>): void {
  const before = changes.length;
  const isOver = (change: Change) =>
    change.status === "settling" && change.list === list && isShown(change, entries.get(change.entry));
  changes = changes.filter((change) => !isOver(change));
  if (changes.length !== before) keep();
}

/** Times of changes are whole seconds, so the same time says nothing: the entry must be the same, or later. */
function isShown({ verb, answer }: Change, entry: Entry | undefined): boolean {
  if (verb === "delete" || !entry || !answer) return (verb === "delete" || verb === "settle") && !entry;
  return entry.modified_at > answer.modified_at || JSON.stringify(entry) === JSON.stringify(answer);
}

function push(change: Pick<Change, "list" | "entry" | "verb" | "title" | "body">): void {
  changes.push({ ...change, id: ulid(), at: new Date().toISOString(), status: "waiting", why: "", answer: null });
  keep();
  void send();
}

async function send(): Promise<void> {
  if (isSending) return;
  if (state.session === "good" && !state.isSure) return unsure();
  isSending = true;
  try {
    for (let next = head(); next && state.session === "good" && state.isSure; next = head()) {
      if (!(await attempt(next))) break;
    }
  } finally {
    isSending = false;
  }
}

/** Whoever finds out which node answers hurries the changes that wait. */
function unsure(): void {
  for (const change of changes) if (change.status === "waiting") change.why = "the node does not answer";
  keep();
}

function head(): Change | undefined {
  return changes.find((change) => change.status === "waiting");
}

/** Tries a change; gives whether the next one may follow. */
async function attempt(change: Change): Promise<boolean> {
  change.status = "sending";
  change.why = "";
  changed();
  try {
    change.answer = (await perform(change)) as Entry | null;
    wait = FIRST_WAIT_MS;
    settling(change);
    return true;
  } catch (error) {
    if (!(error instanceof Problem) || error.isTemporary) return later(change, error);
    // Somebody else has deleted it, or has settled it.
    if ((change.verb === "delete" && error.status === 404) || (change.verb === "settle" && error.status === 409)) {
      settling(change);
      return true;
    }
    change.status = "refused";
    change.why = error.detail;
    speak(`Not saved: ${change.title}. ${error.detail}`);
    keep();
    return true;
  }
}

function perform(change: Change): Promise<unknown> {
  if (change.verb === "add") return call("POST", `${listPath(change.list)}/entries`, change.body);
  if (change.verb === "settle") return call("POST", `${listPath(change.list)}/resolve`, change.body);
  const path = entryPath(change.list, change.entry);
  return change.verb === "edit" ? call("PATCH", path, change.body) : call("DELETE", path);
}

function settling(change: Change): void {
  change.status = "settling";
  keep();
  const open = state.open;
  if (open?.name === change.list) settle(open.name, open.entries);
  setTimeout(() => discard(change), SETTLE_MS);
}

function later(change: Change, error: unknown): false {
  change.status = "waiting";
  change.why = error instanceof Problem ? error.detail : "the node does not answer";
  keep();
  clearTimeout(timer);
  timer = setTimeout(() => void send(), wait);
  wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  return false;
}

function keep(): void {
  const unsaved = changes.filter((change) => change.status !== "settling");
  try {
    sessionStorage.setItem(KEY, JSON.stringify(unsaved));
  } catch {
    // More than the storage takes: it does not outlive the page, and the browser asks before it closes the tab.
  }
  changed();
}

function restore(): Change[] {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "[]") as Change[];
    // Whether a change that was being sent got there is unknown; each may be made twice.
    return kept.map((change) => (change.status === "sending" ? { ...change, status: "waiting" } : change));
  } catch {
    return [];
  }
}
