// What the node saw of past heals: who was away, and what both sides wrote meanwhile.

import { h, type Child, type Described } from "../dom.ts";
import { state } from "../state.ts";
import { count, moment, printable, short } from "../text.ts";
import type { Heal } from "../types.ts";
import { conflictName } from "../words.ts";

export function heals(): Child {
  if (state.heals.length === 0) return null;
  return h(
    "div",
    { class: "heals", key: "heals" },
    h("h3", { id: "heals-title" }, "Heals"),
    h("ol", { class: "scrolls", tabindex: 0, "aria-labelledby": "heals-title" }, state.heals.map(item)),
  );
}

function item(heal: Heal): Described {
  return h(
    "li",
    { key: heal.id, class: `heal heal-${heal.state}` },
    h("time", { datetime: heal.began_at, title: moment(heal.began_at) }, short(heal.began_at)),
    h("p", { class: "words" }, whom(heal)),
    h("ul", null, findings(heal).map((words) => h("li", { key: words }, words))),
  );
}

function whom({ members, healed_at, state: how }: Heal): string {
  const names = (isBack: boolean) => members.filter((member) => (member.back_at !== null) === isBack).map(({ name }) => printable(name));
  const [back, still] = [names(true).join(", "), names(false).join(", ")];
  const longest = Math.max(...members.map((member) => member.away_ms));
  const was = healed_at === null || back === "" ? "" : `was apart from ${back} for ${span(longest)}`;
  const away = still === "" ? "" : how === "open" ? `is apart from ${still}` : `${still} stayed away`;
  return [was, away].filter((words) => words !== "").join("; ");
}

function findings(heal: Heal): string[] {
  const { lists, conflicts, names, omitted } = heal;
  const told = [
    lists.length === 0
      ? "no list was written on both sides"
      : `${count(lists.length, "list was", "lists were")} written on both sides: ${lists.map(printable).join(", ")}`,
    ...conflicts.map((one) => `in “${printable(one.list)}”: “${printable(one.title)}”, ${conflictName(one.field)}${values(one)}`),
    ...names.map((one) => `the name ${printable(one.name)} was claimed twice: ${printable(one.kept)} has it`),
  ];
  if (omitted > 0) told.push(`and ${omitted} more`);
  if (heal.healed_at !== null) told.push(transferred(heal));
  if (heal.state === "open" && heal.healed_at !== null) told.push("lists are being compared");
  if (heal.state === "closed" && heal.agreed_at === null && heal.healed_at !== null) told.push("lists differed still after 10 min");
  return [...new Set(told)];
}

/** What went over the wire after the first contact, and how long it took until nothing differed. */
function transferred({ received, sent, healed_at: healed, agreed_at: agreed }: Heal): string {
  const words = `received ${count(received.changes, "change")}, sent ${count(sent.changes, "change")}`;
  if (agreed === null || healed === null) return words;
  return `${words}; all lists were the same ${span(Math.max(0, Date.parse(agreed) - Date.parse(healed)))} after the last contact`;
}

function values(conflict: Heal["conflicts"][number]): string {
  const all = conflict.values.map((one) => `“${printable(one.value)}” by ${printable(one.by)}`);
  return all.length === 0 ? "" : `: ${all.join(", ")}`;
}

/** A span in its two largest units: `3 min 12 s`. */
function span(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
