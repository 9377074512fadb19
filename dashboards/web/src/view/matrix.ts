// Who reaches whom, as all members tell it: asked for by hand, since it takes questions to all of them.

import { askReach } from "../cluster.ts";
import { h, type Child, type Described } from "../dom.ts";
import { state } from "../state.ts";
import { milliseconds, moment, printable, short } from "../text.ts";
import type { ReachRow } from "../types.ts";

type Link = ReachRow["links"][number];

/** With one member there is nothing to ask. */
export function matrix(): Child {
  if (state.members.length < 2) return null;
  const { rows, at, isBusy, error } = state.matrix;
  return h(
    "div",
    { class: "matrix", key: "matrix" },
    h("h3", { id: "matrix-title" }, "Who reaches whom"),
    h(
      "p",
      null,
      h("button", { type: "button", class: "small", disabled: isBusy, onclick: askReach }, isBusy ? "Asking…" : "Ask all members"),
      at !== null && h("span", { class: "as-of", title: moment(at) }, ` as of ${short(at)}`),
    ),
    error !== null && h("p", { role: "alert" }, printable(error)),
    rows.length > 0 && table(rows),
  );
}

function table(rows: ReachRow[]): Described {
  const heads = rows.map(({ id, name }) => h("th", { key: id, scope: "col" }, printable(name)));
  return h(
    "div",
    { class: "scrolls", tabindex: 0, role: "region", "aria-labelledby": "matrix-title" },
    h(
      "table",
      null,
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "From"), heads)),
      h("tbody", null, rows.map((row) => line(row, rows))),
    ),
  );
}

function line(row: ReachRow, columns: ReachRow[]): Described {
  const head = h("th", { scope: "row" }, printable(row.name));
  if (row.silent !== null) {
    const words = `told nothing: ${printable(row.silent)}`;
    return h("tr", { key: row.id }, head, h("td", { class: "silent", colspan: columns.length }, words));
  }
  return h("tr", { key: row.id }, head, columns.map((to) => cell(row, to)));
}

function cell(from: ReachRow, to: ReachRow): Described {
  if (from.id === to.id) return h("td", { key: to.id, class: "same" }, "–");
  const link = from.links.find(({ name }) => name === to.name);
  const [kind, words] = reached(link);
  return h("td", { key: to.id, class: `reach-${kind}` }, words);
}

function reached(link: Link | undefined): [string, string] {
  if (link === undefined) return ["none", "not known"];
  if (link.reach === "direct") return ["direct", link.rtt_ms === null ? "yes" : milliseconds(link.rtt_ms)];
  return link.reach === "indirect" ? ["indirect", "others only"] : ["none", "no"];
}
