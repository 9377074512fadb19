// Text for people. What other nodes hold may have characters that no node would take from its own clients: they are shown by
// their numbers, so that nothing hides in a title or turns it around.

// A joiner (U+200C, U+200D) between two visible characters is part of a word or of an emoji, and a soft hyphen (U+00AD) behind
// one is part of a word.
const HIDDEN =
  /(?!(?<=[^\s\p{Cc}\p{Cf}])(?:\u00ad|[\u200c\u200d][^\s\p{Cc}\p{Cf}]))[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}]/gu;

/** One line, with control and format characters by their numbers. */
export function printable(text: string): string {
  return text.replace(HIDDEN, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

/** The same for text of several lines. */
export function printableLines(text: string): string {
  return text
    .split("\n")
    .map((line) => line.split("\t").map(printable).join("\t"))
    .join("\n");
}

export function two(number: number): string {
  return String(number).padStart(2, "0");
}

/** The local time of day. */
function clock(at: string): string {
  const date = new Date(at);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** The local day as `YYYY-MM-DD`. */
export function day(date: Date): string {
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** A local time where there is little room: with its day unless that is today. Its `moment` belongs beside it. */
export function short(at: string): string {
  const date = new Date(at);
  return day(date) === day(new Date()) ? clock(at) : `${day(date)} ${clock(at).slice(0, 5)}`;
}

/** A local time that can be read at any later time: `2026-10-01 12:01:07 +02:00`, as the command line prints it. */
export function moment(at: string): string {
  const date = new Date(at);
  const minutes = -date.getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `${day(date)} ${clock(at)} ${minutes < 0 ? "-" : "+"}${two(hours)}:${two(rest)}`;
}

const COLLATOR = new Intl.Collator("en", { numeric: true });

/** Compares names as people read them: node2 before node10. */
export function byName(a: string, b: string): number {
  return COLLATOR.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

/** What an entry's due date means today. */
export function due(value: string): { words: string; when: "overdue" | "today" | "later" } {
  const isDate = value.length === 10;
  const on = isDate ? value : day(new Date(value));
  const today = day(new Date());
  const isOverdue = isDate ? on < today : Date.parse(value) < Date.now();
  const time = isDate ? "" : ` ${clock(value).slice(0, 5)}`;
  const tomorrow = day(new Date(Date.now() + 86_400_000));
  const name = on === today ? "today" : on === tomorrow ? "tomorrow" : on;
  return { words: name + time, when: isOverdue ? "overdue" : on === today ? "today" : "later" };
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** A round trip, in three digits. */
export function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(2)} ms` : ms < 100 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}
