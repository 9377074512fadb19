// The editor of an entry. What is saved are the fields that were changed here: what others change meanwhile stays.

import { h, type Child, type Described } from "../dom.ts";
import { open as openList } from "../list.ts";
import * as outbox from "../outbox.ts";
import { changed, onceShown, speak, state, type Draft, type Editor, type OpenList } from "../state.ts";
import { day, moment, printable, two } from "../text.ts";
import type { Entry } from "../types.ts";
import { conflictName } from "../words.ts";
import { icon } from "./icon.ts";

export function draftOf(entry: Entry): Draft {
  const { title, notes, assignee, priority, tags } = entry;
  return { title, notes, due: localDue(entry.due), priority: priority ?? "", tags: tags.join(" "), assignee: assignee ?? "" };
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
  // What is no date at all is the node's to refuse, in words.
  return at && !Number.isNaN(at.getTime()) ? at.toISOString() : text === "" ? null : text;
}

/** The fields that were changed here, as the API takes them. */
function difference(before: Entry, draft: Draft): Record<string, unknown> {
  const was = draftOf(before);
  const body: Record<string, unknown> = {};
  if (draft.title !== was.title) body["title"] = draft.title.trim();
  if (draft.due !== was.due) body["due"] = dueOf(draft.due);
  if (draft.priority !== was.priority) body["priority"] = draft.priority || null;
  if (draft.tags !== was.tags) body["tags"] = draft.tags.split(/[\s,]+/).filter((tag) => tag !== "");
  if (draft.assignee !== was.assignee) body["assignee"] = draft.assignee.trim() || null;
  if (draft.notes !== was.notes) body["notes"] = draft.notes;
  return body;
}

/** Whether something was typed that is not saved. */
export function isChanged(open: Editor): boolean {
  return Object.keys(difference(open.before, open.draft)).length > 0;
}

/** Nothing that was typed is lost by opening something else: it is shown instead. */
export function stayWith(open: Editor): void {
  open.isInTheWay = true;
  openList(open.list);
  speak("Save or cancel this entry first.");
  onceShown(() => document.getElementById("edit-title")?.focus());
}

/** What was typed about an entry that is gone. */
export function orphan(list: OpenList, all: readonly { entry: Entry }[]): Child {
  const open = state.editor;
  if (!list.isLoaded || open?.list !== list.name || all.some(({ entry }) => entry.id === open.id)) return null;
  const again = () => {
    const { title, ...rest } = difference({ ...open.before, ...NOTHING, tags: [] }, open.draft);
    outbox.add(list.name, { title: title ?? open.before.title, ...rest });
    close();
  };
  return h(
    "div",
    { key: "orphan", class: "orphan", role: "group", "aria-label": "The entry that you edit was deleted" },
    h("p", null, `“${printable(open.before.title)}” was deleted elsewhere while you edited it.`),
    h(
      "div",
      { class: "row" },
      h("button", { type: "button", onclick: again }, "Add it again, as typed"),
      h("button", { type: "button", onclick: close }, "Leave it"),
    ),
  );
}

const NOTHING = { due: null, priority: null, assignee: null, notes: "" } as const;

export function editor(list: OpenList, entry: Entry): Described {
  const open = state.editor as Editor;
  const id = (field: string) => `edit-${field}`;
  const type = (field: keyof Draft) => (event: Event) => {
    open.draft[field] = (event.target as HTMLInputElement).value;
  };
  const line = (field: keyof Draft, name: string, more: Record<string, string | boolean> = {}) =>
    h(
      "div",
      { class: `field field-${field}` },
      h("label", { for: id(field) }, name),
      h("input", { id: id(field), value: open.draft[field], oninput: type(field), autocomplete: "off", dir: "auto", ...more }),
      settle(list, entry, field),
    );
  return h(
    "form",
    {
      class: "editor",
      key: "editor",
      "aria-label": `Edit ${printable(open.before.title)}`,
      onsubmit: (event: SubmitEvent) => save(event, list, entry),
      onkeydown: escape,
    },
    line("title", "Title", { focused: true, required: true }),
    line("due", "Due", { placeholder: "2026-12-31 or 2026-12-31 14:00" }),
    h(
      "div",
      { class: "field field-priority" },
      h("label", { for: id("priority") }, "Priority"),
      priorities(open, id("priority"), type("priority")),
      settle(list, entry, "priority"),
    ),
    line("assignee", "Assignee"),
    line("tags", "Tags", { placeholder: "words, with spaces between" }),
    h(
      "div",
      { class: "field field-notes" },
      h("label", { for: id("notes") }, "Notes"),
      h("textarea", { id: id("notes"), rows: 3, value: open.draft.notes, oninput: type("notes"), dir: "auto" }),
      settle(list, entry, "notes"),
    ),
    meanwhile(open, entry),
    others(list, entry),
    open.isInTheWay && h("p", { class: "meanwhile" }, "Save or cancel this entry before you open another one."),
    h("p", { class: "origin" }, origin(entry)),
    h(
      "div",
      { class: "row" },
      h("button", { class: "primary" }, "Save"),
      h("button", { type: "button", onclick: close }, "Cancel"),
      remove(open, list, entry),
    ),
  );
}

function priorities(open: Editor, id: string, onchange: (event: Event) => void): Described {
  const option = (value: string, name: string) => h("option", { value, key: value }, name);
  return h(
    "select",
    { id, value: open.draft.priority, onchange },
    option("", "none"),
    option("high", "high"),
    option("medium", "medium"),
    option("low", "low"),
  );
}

function origin(entry: Entry): string {
  if (entry.created_by === "") return "not saved yet";
  const added = `added ${moment(entry.created_at)} by ${printable(entry.created_by)}`;
  return entry.modified_at === entry.created_at
    ? added
    : `${added}, changed ${moment(entry.modified_at)} by ${printable(entry.modified_by)}`;
}

/** What somebody else changed since the editor was opened. */
function meanwhile(open: Editor, entry: Entry): Child {
  if (entry.modified_by === "") return null;
  const fields = Object.keys(difference(open.before, draftOf(entry)));
  if (fields.length === 0) return null;
  const take = () => {
    open.before = entry;
    open.draft = { ...draftOf(entry), ...mine };
    changed();
  };
  const touched = difference(open.before, open.draft);
  const mine = Object.fromEntries(Object.entries(open.draft).filter(([field]) => field in touched)) as Partial<Draft>;
  return h(
    "p",
    { class: "meanwhile", role: "status" },
    `${printable(entry.modified_by)} has changed ${fields.join(", ")} meanwhile. `,
    h("button", { type: "button", class: "small", onclick: take }, "Show it here"),
  );
}

/** Beside a field in conflict: the value that is shown has won on all nodes alike; keeping it, or another one, ends the conflict. */
function settle(list: OpenList, entry: Entry, field: keyof Draft): Child {
  if (!entry.conflicts.includes(field)) return null;
  const keep = () => {
    outbox.edit(list.name, entry, { [field]: entry[field] });
    speak(`${field}: kept as it is`);
  };
  return h(
    "p",
    { class: "conflict" },
    icon("warning"),
    "Changed on two sides; this value is shown on all nodes. ",
    h("button", { type: "button", class: "small", onclick: keep }, `Keep this ${field}`),
  );
}

/** Conflicts of what is not typed here. */
function others(list: OpenList, entry: Entry): Child {
  const rest = entry.conflicts.filter((field) => field === "deleted" || field === "done" || field === "order");
  if (rest.length === 0) return null;
  const keep = () => outbox.edit(list.name, entry, { done: entry.done });
  const words = rest.includes("deleted")
    ? "Somebody has deleted this entry while somebody else edited it."
    : `Changed on two sides: ${rest.map(conflictName).join(", ")}.`;
  return h(
    "p",
    { class: "conflict" },
    icon("warning"),
    `${words} `,
    rest.some((field) => field !== "order") && h("button", { type: "button", class: "small", onclick: keep }, "Keep it as it is"),
  );
}

function remove(open: Editor, list: OpenList, entry: Entry): Described {
  const ask = () => {
    open.isDeleting = true;
    speak("Press again to delete it on all nodes.");
    changed();
  };
  const act = () => {
    outbox.remove(list.name, entry);
    speak(`Deleted ${printable(entry.title)}`);
    close();
  };
  return h(
    "button",
    { type: "button", class: `danger ${open.isDeleting ? "is-sure" : ""}`, onclick: open.isDeleting ? act : ask },
    open.isDeleting ? "Delete on all nodes" : "Delete",
  );
}

function save(event: SubmitEvent, list: OpenList, entry: Entry): void {
  event.preventDefault();
  const open = state.editor as Editor;
  const body = difference(open.before, open.draft);
  if (Object.keys(body).length > 0) {
    outbox.edit(list.name, entry, body);
    speak(`Saved ${printable(open.draft.title)}`);
  }
  close();
}

function escape(event: KeyboardEvent): void {
  if (event.key === "Escape") close();
}

function close(): void {
  const id = state.editor?.id;
  state.editor = null;
  // Focus goes back to where the editor was opened, or if that is gone to where the next entry is added.
  const opener = () => document.querySelector<HTMLElement>(`[data-id="${CSS.escape(id ?? "")}"] .title`);
  onceShown(() => (opener() ?? document.getElementById("add-title"))?.focus());
}
