// The editor of an entry. What is saved are the fields that were changed here: what others change meanwhile stays.

import * as conflicts from "../conflicts.ts";
import { h, type Child, type Described } from "../dom.ts";
import { NAMES, difference, draftOf, field, nothing, type Draft, type FieldName } from "../fields.ts";
import { open as openList } from "../list.ts";
import * as outbox from "../outbox.ts";
import { changed, onceShown, speak, state, type Editor, type OpenList } from "../state.ts";
import { moment, printable } from "../text.ts";
import type { Entry } from "../types.ts";
import { conflictName } from "../words.ts";
import { icon } from "./icon.ts";

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
    const { title, ...rest } = difference({ ...open.before, ...nothing(), title: open.before.title }, open.draft);
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

export function editor(list: OpenList, entry: Entry): Described {
  const open = state.editor as Editor;
  return h(
    "form",
    {
      class: "editor",
      key: "editor",
      "aria-label": `Edit ${printable(open.before.title)}`,
      onsubmit: (event: SubmitEvent) => save(event, list, entry),
      onkeydown: escape,
    },
    NAMES.map((name) =>
      h(
        "div",
        { class: `field field-${name}` },
        h("label", { for: `edit-${name}` }, field(name).label),
        control(open, name),
        settle(list, entry, name),
      ),
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

function control(open: Editor, name: FieldName): Described {
  const value = open.draft[name];
  const type = (event: Event) => {
    open.draft[name] = (event.target as HTMLInputElement).value;
  };
  const { input } = field(name);
  const id = `edit-${name}`;
  if (input === "lines") return h("textarea", { id, rows: 3, value, oninput: type, dir: "auto" });
  if (!Array.isArray(input)) return h("input", { id, value, oninput: type, autocomplete: "off", dir: "auto", ...input });
  const option = (value: string, name: string) => h("option", { value, key: value }, name);
  return h("select", { id, value, onchange: type }, option("", "none"), ...input.map((word) => option(word, word)));
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
function settle(list: OpenList, entry: Entry, name: FieldName): Child {
  if (!entry.conflicts.includes(name)) return null;
  const keep = () => {
    outbox.edit(list.name, entry, { [name]: entry[name] });
    speak(`${name}: kept as it is`);
  };
  const all = conflicts.values(entry, name);
  return h(
    "div",
    { class: "conflict" },
    icon("warning"),
    "Changed on two sides; this value is shown on all nodes. ",
    all.length > 0
      ? choices(list, entry, name, all)
      : h("button", { type: "button", class: "small", onclick: keep }, `Keep this ${name}`),
  );
}

/** A button for each value. The first one is shown. */
function choices(list: OpenList, entry: Entry, name: string, all: conflicts.Value[]): Described {
  const choice = ({ value, by, at }: conflicts.Value, nth: number) => {
    const words = name === "deleted" ? value : name === "order" ? placed(list, value) : value === "" ? "nothing" : `“${printable(value)}”`;
    const take = () => conflicts.settle(list.name, entry, name, value);
    return h(
      "li",
      { key: `${nth} ${value} ${by}` },
      h("button", { type: "button", class: "small", onclick: take }, nth === 0 ? `Keep ${words}` : `Take ${words}`),
      ` by ${printable(by)}, ${moment(at)}`,
    );
  };
  return h("ul", { class: "values" }, all.map(choice));
}

/** A place in the list, in words. */
function placed(list: OpenList, value: string): string {
  const other = list.entries.get(value.replace(/^after /, ""));
  return other ? `the place after “${printable(other.title)}”` : "the first place";
}

/** Conflicts of what is not typed here. */
function others(list: OpenList, entry: Entry): Child {
  const rest = entry.conflicts.filter((field) => field === "deleted" || field === "done" || field === "order");
  if (rest.length === 0) return null;
  const isMarked = rest.includes("deleted");
  // An edit decides nothing about a deletion.
  const keep = () =>
    isMarked ? conflicts.settle(list.name, entry, "deleted", "edited") : outbox.edit(list.name, entry, { done: entry.done });
  const words = isMarked
    ? "Somebody has deleted this entry while somebody else edited it."
    : `Changed on two sides: ${rest.map(conflictName).join(", ")}.`;
  const field = isMarked ? "deleted" : rest.includes("done") ? "done" : "order";
  const all = conflicts.values(entry, field);
  if (all.length > 0) return h("div", { class: "conflict" }, icon("warning"), `${words} `, choices(list, entry, field, all));
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
