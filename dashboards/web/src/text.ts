// Text for people. What other nodes hold may have characters that no node would take from its own clients: they are shown by
// their numbers, so that nothing hides in a title or turns it around.

const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}]/gu;

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
export function clock(at: string): string {
  const date = new Date(at);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** The local day as `YYYY-MM-DD`. */
export function day(date: Date): string {
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** A local day and time, the day only if it is not today. */
export function moment(at: string): string {
  const date = new Date(at);
  return day(date) === day(new Date()) ? clock(at) : `${day(date)} ${clock(at).slice(0, 5)}`;
}

/** What an entry's due date means today. */
export function due(value: string): { words: string; when: "late" | "today" | "later" } {
  const isDate = value.length === 10;
  const on = isDate ? value : day(new Date(value));
  const today = day(new Date());
  const isLate = isDate ? on < today : Date.parse(value) < Date.now();
  const time = isDate ? "" : ` ${clock(value).slice(0, 5)}`;
  const tomorrow = day(new Date(Date.now() + 86_400_000));
  const name = on === today ? "today" : on === tomorrow ? "tomorrow" : on;
  return { words: name + time, when: isLate ? "late" : on === today ? "today" : "later" };
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** A round trip, in three digits. */
export function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(2)} ms` : ms < 100 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}
