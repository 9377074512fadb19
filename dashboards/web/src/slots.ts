// A browser has six connections to a node, for all its tabs together, and each tab that is looked at keeps two of them for its streams.
// So two tabs may have streams at a time; others wait. Where the browser has no locks (a node reached by plain HTTP under another name
// than localhost) nobody waits.

import { changed, state } from "./state.ts";

const SLOTS = ["muster.slot.0", "muster.slot.1"];

let release: (() => void) | null = null;
let taking: { abort: AbortController; slot: Promise<boolean> } | null = null;

/** Takes a slot, waiting for one if need be; gives whether there is one, which there is not if it was given back meanwhile. */
export function take(): Promise<boolean> {
  if (release || !("locks" in navigator)) return Promise.resolve(true);
  if (!taking) {
    const abort = new AbortController();
    taking = { abort, slot: wait(abort) };
  }
  return taking.slot;
}

/** Gives the slot back, and waits for none. */
export function giveBack(): void {
  taking?.abort.abort();
  taking = null;
  release?.();
  release = null;
}

async function wait(abort: AbortController): Promise<boolean> {
  const isFree = (await Promise.all(SLOTS.map((slot) => hold(slot, { ifAvailable: true }, abort.signal)))).some(Boolean);
  if (!isFree && !abort.signal.aborted) {
    crowded(true);
    await Promise.race(SLOTS.map((slot) => hold(slot, { signal: abort.signal }, abort.signal)));
    crowded(false);
  }
  if (abort.signal.aborted) return false;
  taking = null;
  // The other slot is not needed.
  abort.abort();
  return true;
}

function crowded(is: boolean): void {
  state.isCrowded = is;
  changed();
}

/** Holds a lock until it is given back; gives whether it has come. Another one, or one that comes too late, is let go. */
function hold(slot: string, options: LockOptions, given: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const got = (lock: Lock | null) => {
      if (!lock || release || given.aborted) return resolve(false);
      return new Promise<void>((free) => {
        release = free;
        resolve(true);
      });
    };
    navigator.locks.request(slot, options, got).catch(() => resolve(false));
  });
}
