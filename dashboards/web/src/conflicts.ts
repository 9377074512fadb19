// What was written apart in the entry that is edited: all values, to choose one of.

import { get, listPath } from "./api.ts";
import * as outbox from "./outbox.ts";
import { changed, speak, state } from "./state.ts";
import { printable } from "./text.ts";
import type { Disputed, Entry, Page } from "./types.ts";

export type Value = Disputed["fields"][number]["values"][number];

/** Asks for all values of an entry's fields in conflict. Without them the page shows the one that has won. */
export async function look(list: string, entry: Entry): Promise<void> {
  if (state.disputed?.id !== entry.id) state.disputed = null;
  if (entry.conflicts.length === 0) return;
  try {
    let next: string | null = "";
    while (next !== null) {
      const after: string = next === "" ? "" : `?cursor=${encodeURIComponent(next)}`;
      const page: Page<Disputed> = await get<Page<Disputed>>(`${listPath(list)}/conflicts${after}`);
      const found = page.items.find(({ id }) => id === entry.id);
      if (found && state.editor?.id === entry.id) state.disputed = found;
      next = found ? null : page.next;
    }
  } catch {
    // The mark says that there is a conflict, and the next look may bring its values.
  }
  changed();
}

/** All values of a field of the entry that is edited, the one that is shown first; none while they are not known. */
export function values(entry: Entry, field: string): Value[] {
  if (state.disputed?.id !== entry.id) return [];
  return state.disputed.fields.find((one) => one.field === field)?.values ?? [];
}

/** Decides for a value. */
export function settle(list: string, entry: Entry, field: string, value: string): void {
  outbox.settleField(list, entry, field, value);
  speak(`${field}: decided for ${value === "" ? "nothing" : printable(value)}`);
}
