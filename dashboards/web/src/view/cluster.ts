// The cluster as a picture, and the same as a table.

import { h, type Child, type Described } from "../dom.ts";
import { state } from "../state.ts";
import { byName, count, milliseconds, moment, printable, short } from "../text.ts";
import type { Attention, Member } from "../types.ts";
import { heals } from "./heals.ts";
import { icon } from "./icon.ts";
import { matrix } from "./matrix.ts";

const WIDTH = 360;
const HEIGHT = 210;
/** With one or two others, who are on a line with this node. */
const FLAT = 96;
/** More names than that would lie over each other: the table has them. */
const NAMED = 16;

export function cluster(): Child[] {
  const members = state.members;
  return [
    h("h2", { id: "cluster-title" }, "Cluster"),
    members.length > 0 && picture(members),
    attention(),
    h(
      "div",
      { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Members" },
      h(
        "table",
        { class: "members" },
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            ["Member", "State", "Round trip", "Since"].map((name) => h("th", { scope: "col", key: name }, name)),
          ),
        ),
        h("tbody", null, [...members].sort(worstFirst).map(row)),
      ),
    ),
    matrix(),
    heals(),
  ];
}

/** What the node says that somebody should do. */
function attention(): Child {
  if (state.attention.length === 0) return null;
  const item = ({ severity, what, do: remedy }: Attention) =>
    h(
      "li",
      { key: what, class: `needs needs-${severity}` },
      icon("warning"),
      h("p", null, h("strong", null, h("span", { class: "unseen" }, `${severity}: `), printable(what), ": "), printable(remedy)),
    );
  return h("ul", { class: "attention scrolls", tabindex: 0, "aria-label": "What needs attention" }, state.attention.map(item));
}

/** As in `muster top`: what somebody has to look at comes first. */
const RANKS: Record<Member["state"], number> = { down: 0, suspect: 1, restarting: 2, alive: 3, away: 4, left: 5 };

function worstFirst(a: Member, b: Member): number {
  return RANKS[a.state] - RANKS[b.state] || byName(a.name, b.name);
}

function row(member: Member): Described {
  const trip = member.self ? "this node" : member.rtt_ms === null ? "–" : milliseconds(member.rtt_ms);
  return h(
    "tr",
    { key: member.id },
    h("th", { scope: "row" }, named(member)),
    h("td", null, h("span", { class: `state state-${member.state}`, title: absence(member) }, member.state)),
    h("td", { class: member.self ? "self" : "number" }, trip),
    h(
      "td",
      { class: "number", title: `${moment(member.since)}, ${printable(member.address)}, version ${printable(member.version)}` },
      short(member.since),
    ),
  );
}

/** Until when a member is away on purpose, why, and who says so. */
function absence({ away }: Member): string | undefined {
  if (away === null || away.until === null) return undefined;
  const why = away.why === "" ? "" : `: ${printable(away.why)}`;
  return `away until ${moment(away.until)}${why} (${printable(away.by)})`;
}

/** The name, with what the node is where it is no member. */
function named(member: Member): string {
  return member.role === "member" ? printable(member.name) : `${printable(member.name)} (${printable(member.role)})`;
}

function words(members: Member[]): string {
  const others = members
    .filter((member) => !member.self)
    .map((member) => {
      const trip = member.rtt_ms === null ? "" : `, ${milliseconds(member.rtt_ms)} away`;
      return `${named(member)} is ${member.state}${trip}`;
    });
  const me = members.find((member) => member.self);
  return `${count(members.length, "member")}. This node is ${me ? printable(me.name) : "not among them"}. ${others.join("; ")}.`;
}

interface Placed {
  member: Member;
  x: number;
  y: number;
}

/** This node in the middle, all others around it; none straight below, where its own name is. */
function place(members: Member[]): { me: Placed | null; others: Placed[]; height: number } {
  const me = members.find((member) => member.self);
  const rest = members.filter((member) => !member.self);
  const height = rest.length <= 2 ? FLAT : HEIGHT;
  const turn = rest.length === 1 ? 0 : rest.length % 4 === 0 ? 0.5 / rest.length - 0.5 : -0.5;
  const others = rest.map((member, index) => {
    const angle = 2 * Math.PI * (turn + index / rest.length);
    // Wider than high, as the place for it is; the root pulls the corners out.
    const across = Math.sign(Math.cos(angle)) * Math.sqrt(Math.abs(Math.cos(angle)));
    return { member, x: WIDTH / 2 + across * WIDTH * 0.39, y: height / 2 - 4 + Math.sin(angle) * height * 0.42 };
  });
  return { me: me ? { member: me, x: WIDTH / 2, y: height / 2 - 4 } : null, others, height };
}

function picture(members: Member[]): Described {
  const { me, others, height } = place(members);
  const isSmall = members.length > NAMED;
  return h(
    "svg",
    { class: "picture", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": words(members) },
    h("g", null, me && others.map((other) => spoke(me, other, isSmall))),
    h(
      "g",
      null,
      others.map((other) => dot(other, isSmall ? 5 : 11, !isSmall)),
    ),
    me && dot(me, isSmall ? 8 : 15, true),
  );
}

function spoke(me: Placed, other: Placed, isSmall: boolean): Described {
  const { member } = other;
  const [x, y] = [(me.x + other.x) / 2, (me.y + other.y) / 2];
  const trip =
    member.rtt_ms !== null &&
    !isSmall &&
    h("text", { class: "trip", x, y: y - 5, "text-anchor": "middle" }, milliseconds(member.rtt_ms));
  return h(
    "g",
    { key: member.id },
    h("line", { class: `spoke spoke-${member.state}`, x1: me.x, y1: me.y, x2: other.x, y2: other.y }),
    trip,
  );
}

const GLYPHS: Partial<Record<Member["state"], string>> = { suspect: "?", down: "✕", restarting: "↻", away: "⏾", left: "–" };

function dot({ member, x, y }: Placed, radius: number, isNamed: boolean): Described {
  const glyph = GLYPHS[member.state];
  return h(
    "g",
    { key: member.id, class: `dot dot-${member.state} ${member.self ? "dot-self" : ""}` },
    h("circle", { cx: x, cy: y, r: radius }),
    glyph !== undefined && isNamed && h("text", { class: "glyph", x, y: y + 4, "text-anchor": "middle" }, glyph),
    isNamed && h("text", { class: "name", x, y: y + radius + 14, "text-anchor": "middle" }, printable(member.name)),
  );
}
