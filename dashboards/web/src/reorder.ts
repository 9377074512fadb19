// Moving entries, by dragging their grip and by the arrow keys on it.

import { entries, visible, type Shown } from "./list.ts";
import * as outbox from "./outbox.ts";
import { changed, speak, state, type OpenList } from "./state.ts";
import { printable } from "./text.ts";

/** Moves an entry so that it comes at that place among those that are visible, itself not counted. */
function move(list: OpenList, id: string, to: number): void {
  const all = visible(list, entries(list));
  const from = all.findIndex(({ entry }) => entry.id === id);
  const moved = all[from];
  const rest = all.filter((shown) => shown !== moved);
  const place = Math.max(0, Math.min(to, rest.length));
  if (!moved || place === from) return;
  const next = rest[place];
  const last = rest[rest.length - 1];
  if (next) outbox.edit(list.name, moved.entry, { before: next.entry.id });
  else if (last) outbox.edit(list.name, moved.entry, { after: last.entry.id });
  speak(`${printable(moved.entry.title)}: place ${place + 1} of ${all.length}`);
}

/** A key on an entry's grip. */
export function keyed(event: KeyboardEvent, list: OpenList, id: string): void {
  const all = visible(list, entries(list));
  const at = all.findIndex(({ entry }) => entry.id === id);
  const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: all.length }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  move(list, id, to);
}

/** A finger or the mouse takes hold of an entry's grip. */
export function grab(event: PointerEvent, list: OpenList, id: string): void {
  if (event.button !== 0) return;
  const grip = event.currentTarget as HTMLElement;
  const rows = grip.closest("ol");
  if (!rows) return;
  grip.setPointerCapture(event.pointerId);
  const ended = new AbortController();
  const on = (name: string, call: (event: Event) => void) => grip.addEventListener(name, call, { signal: ended.signal });
  const end = () => {
    ended.abort();
    state.drag = null;
    changed();
  };
  on("pointermove", (moved) => {
    const to = gap(rows, (moved as PointerEvent).clientY);
    if (state.drag?.to === to) return;
    state.drag = { id, to };
    changed();
  });
  on("pointerup", () => {
    drop(list);
    end();
  });
  on("pointercancel", end);
  document.addEventListener("keydown", (key) => key.key === "Escape" && end(), { signal: ended.signal });
}

/** The gap between rows that is nearest: 0 before the first one. */
function gap(rows: Element, y: number): number {
  const boxes = [...rows.children].map((row) => row.getBoundingClientRect());
  const below = boxes.findIndex((box) => y < box.top + box.height / 2);
  return below < 0 ? boxes.length : below;
}

function drop(list: OpenList): void {
  const drag = state.drag;
  if (!drag) return;
  const from = visible(list, entries(list)).findIndex(({ entry }: Shown) => entry.id === drag.id);
  // The gaps after the entry's own row move up when it is taken out.
  move(list, drag.id, drag.to > from ? drag.to - 1 : drag.to);
}
