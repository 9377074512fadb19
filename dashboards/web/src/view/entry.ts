// An entry: its line, and the editor that opens below it.

import * as conflicts from "../conflicts.ts";
import { h, type Child, type Described } from "../dom.ts";
import * as fields from "../fields.ts";
import type { Shown } from "../list.ts";
import * as outbox from "../outbox.ts";
import { grab, keyed } from "../reorder.ts";
import { changed, speak, state, type OpenList } from "../state.ts";
import { printable } from "../text.ts";
import { conflictName } from "../words.ts";
import type { Entry } from "../types.ts";
import { editor, isChanged, stayWith } from "./editor.ts";
import { icon } from "./icon.ts";

export function entry(list: OpenList, shown: Shown, index: number, all: Shown[]): Described {
  const { entry, changes } = shown;
  const isEdited = state.editor?.id === entry.id && state.editor.list === list.name;
  const isOnItsWay = changes.some((change) => change.status === "waiting" || change.status === "sending");
  const marks = [entry.done && "is-done", isOnItsWay && "is-unsaved", isEdited && "is-edited", ...dragMarks(entry, index, all)];
  const title = printable(entry.title);
  return h(
    "li",
    { key: entry.id, class: ["entry", ...marks].filter(Boolean).join(" "), "data-id": entry.id },
    h(
      "div",
      { class: "line" },
      h(
        "button",
        {
          type: "button",
          class: "grip",
          "aria-label": `Move ${title}`,
          "aria-describedby": "move-help",
          title: "Drag, or use the arrow keys",
          onpointerdown: (event: PointerEvent) => grab(event, list, entry.id),
          onkeydown: (event: KeyboardEvent) => keyed(event, list, entry.id),
        },
        icon("grip"),
      ),
      h(
        "label",
        { class: "tick" },
        h("input", {
          type: "checkbox",
          checked: entry.done,
          "aria-label": `${title}: done`,
          onchange: (event: Event) => tick(event, list, entry),
        }),
      ),
      h(
        "div",
        { class: "what" },
        h(
          "button",
          { type: "button", class: "title", dir: "auto", "aria-expanded": String(isEdited), onclick: () => toggle(list, entry) },
          title,
        ),
        details(entry, changes),
      ),
    ),
    isEdited && editor(list, entry),
  );
}

function dragMarks(entry: Entry, index: number, all: Shown[]): (string | false)[] {
  const drag = state.drag;
  if (!drag) return [];
  const isLast = index === all.length - 1;
  return [
    drag.id === entry.id && "is-dragged",
    drag.to === index && "drops-before",
    isLast && drag.to >= all.length && "drops-after",
  ];
}

function tick(event: Event, list: OpenList, entry: Entry): void {
  const done = (event.target as HTMLInputElement).checked;
  outbox.edit(list.name, entry, { done });
  speak(`${printable(entry.title)}: ${done ? "done" : "open"}`);
}

function toggle(list: OpenList, entry: Entry): void {
  const open = state.editor;
  if (open && isChanged(open)) return stayWith(open);
  const isOpen = open?.id === entry.id && open.list === list.name;
  state.editor = isOpen
    ? null
    : { list: list.name, id: entry.id, before: entry, draft: fields.draftOf(entry), isDeleting: false, isInTheWay: false };
  if (!isOpen) void conflicts.look(list.name, entry);
  changed();
}

function details(entry: Entry, changes: readonly outbox.Change[]): Child {
  const parts = [
    conflict(entry),
    unsaved(changes),
    ...fields.details(entry),
  ];
  return parts.some(Boolean) && h("div", { class: "details" }, parts);
}

function conflict(entry: Entry): Child {
  if (entry.conflicts.length === 0) return null;
  return h("span", { class: "conflict" }, icon("warning"), `in conflict: ${entry.conflicts.map(conflictName).join(", ")}`);
}

function unsaved(changes: readonly outbox.Change[]): Child {
  const change =
    changes.find((each) => each.status === "refused") ?? changes.find((each) => each.status === "waiting" && each.why !== "");
  if (!change) return null;
  return h("span", { class: "unsaved" }, change.status === "refused" ? "change refused" : "not saved yet");
}
