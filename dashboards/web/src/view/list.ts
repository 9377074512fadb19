// The open list: adding, filtering, and its entries.

import { h, type Child, type Described } from "../dom.ts";
import { isWaiting } from "../fields.ts";
import { SHOWN_AT_ONCE, entries, visible, type Shown } from "../list.ts";
import * as outbox from "../outbox.ts";
import { changed, speak, state, type OpenList } from "../state.ts";
import { byName, printable } from "../text.ts";
import { orphan } from "./editor.ts";
import { entry } from "./entry.ts";
import { icon } from "./icon.ts";

export function list(): Child[] {
  const open = state.open;
  if (!open)
    return [
      h("h2", { id: "list-title" }, "No list is open"),
      h("p", { class: "empty" }, "Choose one, or type the name of a new one."),
    ];
  const all = entries(open);
  const shown = visible(open, all);
  return [
    h(
      "div",
      { class: "list-head" },
      h("h2", { id: "list-title", dir: "auto" }, printable(open.name)),
      h("p", { class: "count" }, summary(open, all, shown)),
    ),
    adding(open),
    filters(open, all),
    orphan(open, all),
    h("ol", { class: `entries ${state.drag ? "is-dragging" : ""}`, "aria-labelledby": "list-title" }, rows(open, shown)),
    h("p", { id: "move-help", class: "unseen" }, "The arrow keys, Home and End move the entry."),
    nothing(open, all, shown),
    shown.length > open.limit &&
      h("button", { type: "button", class: "more", onclick: () => more(open) }, `Show more of ${shown.length}`),
  ];
}

function rows(open: OpenList, shown: Shown[]): Described[] {
  return shown.slice(0, open.limit).map((each, index) => entry(open, each, index, shown));
}

function more(open: OpenList): void {
  open.limit += SHOWN_AT_ONCE;
  changed();
}

function summary(open: OpenList, all: Shown[], shown: Shown[]): string {
  if (!open.isLoaded) return "loading";
  const left = all.filter(({ entry }) => !entry.done).length;
  const words = `${left} open of ${all.length}`;
  return shown.length === all.length ? words : `${words}, ${shown.length} shown`;
}

function nothing(open: OpenList, all: Shown[], shown: Shown[]): Child {
  if (!open.isLoaded || shown.length > 0) return null;
  return h(
    "p",
    { class: "empty" },
    all.length === 0 ? "Nothing to do here. The list is created with its first entry." : "No entry matches the filter.",
  );
}

function adding(open: OpenList): Described {
  const type = (field: "title" | "due") => (event: InputEvent) => {
    state.adding[field] = (event.target as HTMLInputElement).value;
  };
  return h(
    "form",
    { class: "adding", key: "adding", onsubmit: (event: SubmitEvent) => add(event, open) },
    h("input", {
      id: "add-title",
      "aria-label": `Add to ${printable(open.name)}`,
      placeholder: "What needs doing?",
      value: state.adding.title,
      oninput: type("title"),
      autocomplete: "off",
      dir: "auto",
    }),
    h("input", {
      type: "date",
      "aria-label": "Due",
      value: state.adding.due,
      oninput: type("due"),
      min: "0001-01-01",
      max: "9999-12-31",
    }),
    h("button", { class: "primary" }, icon("plus"), "Add"),
  );
}

function add(event: SubmitEvent, open: OpenList): void {
  event.preventDefault();
  const title = state.adding.title.trim();
  if (title === "") return;
  const due = state.adding.due === "" ? {} : { due: state.adding.due };
  outbox.add(open.name, { title, ...due });
  state.adding = { title: "", due: "" };
  // Now, not when the page is drawn: whoever types on begins the next entry.
  (event.currentTarget as HTMLFormElement).reset();
  speak(`Added ${title}`);
  changed();
}

const SHOW = [
  ["all", "All"],
  ["open", "Open"],
  ["done", "Done"],
] as const;

function filters(open: OpenList, all: Shown[]): Described {
  const filter = open.filter;
  const set = (change: Partial<OpenList["filter"]>) => {
    Object.assign(filter, change);
    open.limit = SHOWN_AT_ONCE;
    changed();
  };
  const choice = ([value, name]: (typeof SHOW)[number]) =>
    h(
      "button",
      { type: "button", key: value, "aria-pressed": String(filter.show === value), onclick: () => set({ show: value }) },
      name,
    );
  const waits = all.filter(({ entry }) => isWaiting(entry)).length;
  const tags = [...new Set(all.flatMap(({ entry }) => entry.tags))].sort(byName).slice(0, 12);
  const tag = (name: string) =>
    h(
      "button",
      {
        type: "button",
        class: "tag",
        key: `tag ${name}`,
        "aria-pressed": String(filter.tag === name),
        onclick: () => set({ tag: filter.tag === name ? null : name }),
      },
      printable(name),
    );
  return h(
    "div",
    { class: "filters", key: "filters", role: "group", "aria-label": "Filter the entries" },
    h("div", { class: "choice" }, SHOW.map(choice)),
    waits > 0 &&
      h(
        "button",
        { type: "button", key: "waiting", "aria-pressed": String(filter.waiting), onclick: () => set({ waiting: !filter.waiting }) },
        `${waits} waiting`,
      ),
    h("input", {
      type: "search",
      class: "filter",
      "aria-label": "Find in titles and notes",
      placeholder: "Find",
      value: filter.text,
      oninput: (event: InputEvent) => set({ text: (event.target as HTMLInputElement).value }),
    }),
    h("div", { class: "tags" }, tags.map(tag)),
  );
}
