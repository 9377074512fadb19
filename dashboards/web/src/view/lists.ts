// The lists of the cluster, to choose from.

import { refreshLists } from "../cluster.ts";
import { h, type Child, type Described } from "../dom.ts";
import { open } from "../list.ts";
import { pending } from "../outbox.ts";
import { changed, onceShown, state } from "../state.ts";
import { byName, printable } from "../text.ts";
import type { List } from "../types.ts";

/** From so many on it is worth while to look for one by name. */
const MANY = 8;

export function lists(): Child[] {
  const { items, hasMore, match } = state.lists;
  const all = [...items.values()].sort((a, b) => byName(a.name, b.name));
  return [
    h("h2", { id: "lists-title" }, "Lists"),
    (all.length >= MANY || hasMore || match !== "") &&
      h("input", {
        type: "search",
        class: "filter",
        "aria-label": "Find lists by name",
        placeholder: "Find a list",
        value: match,
        oninput: find,
      }),
    h("ul", { class: "names" }, unborn(), all.map(item)),
    all.length === 0 &&
      h("p", { class: "empty" }, match === "" ? "No lists yet. Create the first one below." : "No list has such a name."),
    hasMore && h("p", { class: "empty" }, "There are more: type a part of the name to find them."),
    h(
      "form",
      { class: "row new-list", onsubmit: make },
      h("input", {
        "aria-label": "Name of a new list",
        placeholder: "New list",
        maxlength: 200,
        value: state.naming,
        oninput: name,
        autocomplete: "off",
      }),
      h("button", { type: "submit", "aria-label": "Create the list" }, "Create"),
    ),
  ];
}

/** A list that is open and has no entry yet. */
function unborn(): Child {
  const list = state.open;
  if (!list?.isLoaded || state.lists.items.has(list.name) || state.lists.match !== "") return null;
  return button(list.name, "new", "created with its first entry");
}

function item(list: List): Described {
  const adding = pending().filter(
    (change) => change.list === list.name && change.verb === "add" && change.status !== "settling",
  ).length;
  const open = list.open + adding;
  return button(list.name, String(open), `${open} open of ${list.total + adding}`);
}

function button(name: string, count: string, words: string): Described {
  const isOpen = state.open?.name === name;
  return h(
    "li",
    { key: name },
    h(
      "button",
      { type: "button", "aria-current": isOpen ? "true" : null, onclick: () => open(name) },
      h("span", { class: "name", dir: "auto" }, printable(name)),
      h("span", { class: "count", "aria-hidden": "true" }, count),
      h("span", { class: "unseen" }, `, ${words}`),
    ),
  );
}

let timer: ReturnType<typeof setTimeout> | undefined;

function find(event: InputEvent): void {
  state.lists.match = (event.target as HTMLInputElement).value;
  clearTimeout(timer);
  timer = setTimeout(refreshLists, 150);
  changed();
}

function name(event: InputEvent): void {
  state.naming = (event.target as HTMLInputElement).value;
}

function make(event: SubmitEvent): void {
  event.preventDefault();
  const wanted = state.naming.trim().normalize("NFC");
  if (wanted === "") return;
  state.naming = "";
  (event.currentTarget as HTMLFormElement).reset();
  open(wanted);
  onceShown(() => document.getElementById("add-title")?.focus());
}
