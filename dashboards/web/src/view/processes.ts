// The processes that are registered on all nodes.

import { refreshProcesses } from "../cluster.ts";
import { h, type Child, type Described } from "../dom.ts";
import { changed, state } from "../state.ts";
import { byName, moment, printable, short } from "../text.ts";
import type { Process } from "../types.ts";

/** From so many on it is worth while to look for one by name. */
const MANY = 8;

export function processes(): Child[] {
  const { items, hasMore, prefix } = state.processes;
  return [
    h("h2", { id: "processes-title" }, "Processes"),
    (items.length >= MANY || hasMore || prefix !== "") &&
      h("input", {
        type: "search",
        class: "filter",
        "aria-label": "Names that begin with",
        placeholder: "Name begins with",
        value: prefix,
        oninput: find,
      }),
    items.length > 0
      ? table(items)
      : h(
          "p",
          { class: "empty" },
          prefix === "" ? "No process is registered. muster run NAME -- CMD registers one." : "No name begins with that.",
        ),
    hasMore && h("p", { class: "empty" }, "There are more: type the beginning of a name to find them."),
  ];
}

function table(items: Process[]): Described {
  return h(
    "div",
    { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Registered processes" },
    h(
      "table",
      null,
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          ["Name", "State", "Where", "Since"].map((name) => h("th", { scope: "col", key: name }, name)),
        ),
      ),
      h("tbody", null, [...items].sort((a, b) => byName(a.name, b.name)).map(row)),
    ),
  );
}

function row(process: Process): Described {
  const metadata = Object.entries(process.metadata).map(([key, value]) => `${key}=${value}`);
  const more = [process.exe, process.user, process.address, ...metadata]
    .filter((part) => part !== null)
    .map((part) => printable(String(part)));
  return h(
    "tr",
    { key: process.name },
    h(
      "th",
      { scope: "row", title: more.join("  ") },
      printable(process.name),
      " ",
      process.groups.map((group) => h("span", { class: "tag", key: group }, printable(group))),
    ),
    h(
      "td",
      null,
      h("span", { class: `state state-${process.state}`, title: process.others.map(printable).join(", ") }, process.state),
    ),
    h("td", null, `${printable(process.node)} `, h("span", { class: "number" }, process.pid)),
    h("td", { class: "number", title: moment(process.since) }, short(process.since)),
  );
}

let timer: ReturnType<typeof setTimeout> | undefined;

function find(event: InputEvent): void {
  state.processes.prefix = (event.target as HTMLInputElement).value;
  clearTimeout(timer);
  timer = setTimeout(refreshProcesses, 150);
  changed();
}
