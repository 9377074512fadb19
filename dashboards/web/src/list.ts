// The list that is open: its entries by the node's stream, with what is still on its way laid over them.

import { listPath } from "./api.ts";
import * as conflicts from "./conflicts.ts";
import { isWaiting, nothing } from "./fields.ts";
import * as outbox from "./outbox.ts";
import { reachable, unreachable } from "./reach.ts";
import { changed, state, type OpenList } from "./state.ts";
import { Stream } from "./stream.ts";
import type { Entry } from "./types.ts";

/** How many entries are drawn at first, and more at a time. */
export const SHOWN_AT_ONCE = 300;

/** An entry as it is shown. */
export interface Shown {
  entry: Entry;
  /** What is on its way, or was refused. */
  changes: outbox.Change[];
}

let stream: Stream | null = null;
let coming: Map<string, Entry> | null = null;

const KEY = "muster.list";

/** The list that was open before the page was loaded again. */
export function lastOpen(): string | null {
  return sessionStorage.getItem(KEY);
}

export function open(name: string): void {
  if (state.open?.name === name) return;
  close();
  sessionStorage.setItem(KEY, name);
  const filter = { text: "", show: "all", tag: null, waiting: false } as const;
  const list: OpenList = {
    name,
    entries: new Map(),
    sorted: null,
    isLoaded: false,
    exists: true,
    filter: { ...filter },
    limit: SHOWN_AT_ONCE,
  };
  state.open = list;
  stream = new Stream(`${listPath(name)}/watch`, {
    event: (event, data) => happened(list, event, data),
    up: () => {
      // A snapshot that broke off is sent anew.
      coming = null;
      reachable();
    },
    down: unreachable,
    missing: () => missing(list),
  });
  changed();
}

export function close(): void {
  stream?.close();
  stream = null;
  coming = null;
  state.open = null;
  sessionStorage.removeItem(KEY);
}

/** The list may be there by now, or the node may be back. */
export function retry(): void {
  stream?.retry();
}

export function pause(): void {
  stream?.pause();
}

function missing(list: OpenList): void {
  list.entries = new Map();
  list.sorted = null;
  list.exists = false;
  list.isLoaded = true;
  changed();
}

function happened(list: OpenList, event: string, data: unknown): void {
  if (event === "snapshot") {
    const { items, last } = data as { items: Entry[]; last: boolean };
    coming ??= new Map();
    for (const entry of items) coming.set(entry.id, entry);
    if (last) {
      list.entries = coming;
      list.isLoaded = true;
      coming = null;
    }
  } else if (event === "removed") {
    list.entries.delete((data as { id: string }).id);
  } else if (event === "added" || event === "changed") {
    const { entry } = data as { entry: Entry };
    list.entries.set(entry.id, entry);
    if (state.editor?.id === entry.id) void conflicts.look(list.name, entry);
  }
  list.sorted = null;
  list.exists = list.entries.size > 0;
  outbox.settle(list.name, list.entries);
  changed();
}

function byPlace(a: Entry, b: Entry): number {
  if (a.order !== b.order) return a.order < b.order ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

/** All entries in order, as they will be when the node has everything. */
export function entries(list: OpenList): Shown[] {
  list.sorted ??= [...list.entries.values()].sort(byPlace);
  const all: Shown[] = list.sorted.map((entry) => ({ entry, changes: [] }));
  for (const change of outbox.pending()) if (change.list === list.name) lay(all, change);
  return all;
}

function lay(all: Shown[], change: outbox.Change): void {
  const at = all.findIndex((shown) => shown.entry.id === change.entry);
  const shown = all[at];
  if (change.verb === "add" && !shown) {
    place(all, { entry: { ...blank(change), ...change.body } as Entry, changes: [change] }, change.body);
  } else if (!shown) {
    return;
  } else if (change.status === "refused") {
    shown.changes.push(change);
  } else if (change.verb === "delete") {
    all.splice(at, 1);
  } else {
    const entry = change.verb === "edit" ? ({ ...shown.entry, ...change.body } as Entry) : shown.entry;
    all.splice(at, 1, { entry, changes: [...shown.changes, change] });
    if ("before" in change.body || "after" in change.body) place(all, all.splice(at, 1)[0] as Shown, change.body);
  }
}

function place(all: Shown[], shown: Shown, { before, after }: Record<string, unknown>): void {
  const next = all.findIndex((other) => other.entry.id === (before ?? after));
  if (next < 0) all.push(shown);
  else all.splice(before === undefined ? next + 1 : next, 0, shown);
}

function blank(change: outbox.Change): Entry {
  return {
    ...nothing(),
    done: false,
    series: null,
    planned: null,
    order: "",
    conflicts: [],
    id: change.entry,
    title: change.title,
    created_at: change.at,
    created_by: "",
    modified_at: change.at,
    modified_by: "",
  };
}

/** Those that the filter lets through. */
export function visible(list: OpenList, all: Shown[]): Shown[] {
  const { text, show, tag, waiting } = list.filter;
  const wanted = text.toLocaleLowerCase();
  return all.filter(({ entry }) => {
    if (entry.id === state.editor?.id) return true;
    const isState = show === "all" || entry.done === (show === "done");
    const hasText =
      wanted === "" || entry.title.toLocaleLowerCase().includes(wanted) || entry.notes.toLocaleLowerCase().includes(wanted);
    return isState && hasText && (waiting || !isWaiting(entry)) && (tag === null || entry.tags.includes(tag));
  });
}
