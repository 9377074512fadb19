// Whether the node answers.

import { changed, speak, state } from "./state.ts";

/** Why, when nothing more is known. */
export const NO_ANSWER = "no answer";

let whenBack: (() => void)[] = [];

/** Has this called when the node is back. */
export function onceBack(call: () => void): void {
  whenBack.push(call);
}

export function reachable(): void {
  if (state.reach.isUp) return;
  state.reach = { isUp: true, since: Date.now(), why: "" };
  speak("The node answers again.");
  changed();
  whenBack.forEach((call) => call());
}

export function unreachable(why: string): void {
  if (!state.reach.isUp || state.session !== "good") return;
  state.reach = { isUp: false, since: Date.now(), why };
  // Whoever answers next may be another node.
  state.isSure = false;
  speak("The node does not answer. Changes are kept and saved later.");
  changed();
}
