// What happens, the newest first.

import { h, type Child, type Described } from "../dom.ts";
import { changed, state, type State } from "../state.ts";
import { moment, short } from "../text.ts";
import type { EventKind } from "../types.ts";
import { describe } from "../words.ts";

const KINDS: Record<EventKind, string> = {
  member: "Members",
  partition: "Partition",
  process: "Processes",
  list: "Lists",
};
const SHOWN = 100;

export function events(): Child[] {
  const shown = state.happened.filter((event) => state.kinds.has(event.kind)).slice(0, SHOWN);
  return [
    h("h2", { id: "events-title" }, "Events"),
    h("div", { class: "choice", role: "group", "aria-label": "Kinds of events" }, Object.entries(KINDS).map(kind)),
    shown.length === 0 && h("p", { class: "empty" }, "No events yet. New ones appear here."),
    h("ol", { class: "log scrolls", tabindex: 0, "aria-label": "Events, the newest first" }, shown.map(item)),
  ];
}

function kind([kind, name]: [string, string]): Described {
  const isShown = state.kinds.has(kind);
  const toggle = () => {
    if (isShown) state.kinds.delete(kind);
    else state.kinds.add(kind);
    changed();
  };
  return h("button", { type: "button", key: kind, "aria-pressed": String(isShown), onclick: toggle }, name);
}

function item(event: State["happened"][number]): Described {
  return h(
    "li",
    { key: event.number, class: `event event-${event.kind} event-${event.type}` },
    h("time", { datetime: event.at, title: moment(event.at) }, short(event.at)),
    h("span", { class: "words" }, describe(event), event.times > 1 && ` (${event.times} times)`),
  );
}
