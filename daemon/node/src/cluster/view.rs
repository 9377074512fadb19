//! The cluster as this node sees it, and what is told when that changes.

use super::away::AwayView;
use super::connections::Connections;
use super::edge::Edge;
use super::event::{Event, EventKind, MemberChange};
use super::farewell::Absences;
use super::indirect::{Indirect, Unlinks};
use super::io::{MemberState, MemberView, Output, RosterView, Verdict};
use super::roster::Replica;
use super::swim::{State, Swim};
use super::verdict::verdict;
use crate::time::Wall;
use crdt::roster::{RosterEntry, Standing};
use names::{NodeId, NodeName, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// All that a view is made of.
pub(super) struct Sources<'a> {
    pub(super) me: NodeId,
    pub(super) roster: &'a Replica,
    pub(super) swim: &'a Swim,
    pub(super) connections: &'a Connections,
    pub(super) absences: &'a Absences,
    /// Nobody says anything: whatever SWIM still believes, nobody is reachable.
    pub(super) isolated: bool,
    /// Until when members are away is a date.
    pub(super) now: Wall,
}

impl Sources<'_> {
    /// Who was forgotten is not, but for this node: it is there, and about to take a run that makes
    /// it a member again.
    fn is_listed(&self, node: NodeId, entry: &RosterEntry) -> bool {
        node == self.me || entry.standing != Standing::Forgotten
    }

    /// The round trip to a node that was measured last, in whole milliseconds.
    fn round_trip(&self, node: NodeId) -> Option<Duration> {
        let measured = self.swim.round_trip(node);
        let measured = measured.or_else(|| self.connections.dials.round_trip(node));
        let whole = |exact: Duration| u64::try_from(exact.as_millis()).unwrap_or(u64::MAX);
        measured.map(|exact| Duration::from_millis(whole(exact)))
    }

    fn state(&self, node: NodeId, entry: &RosterEntry) -> MemberState {
        if entry.standing == Standing::Left {
            return MemberState::Left;
        }
        if node == self.me {
            return MemberState::Alive;
        }
        match self.swim.seen(node).map(|seen| seen.state) {
            Some(State::Alive) if !self.isolated => MemberState::Alive,
            Some(State::Suspect) if !self.isolated => MemberState::Suspect,
            Some(State::Alive | State::Suspect | State::Down) | None
                if self.roster.away_by(node, self.now).is_some() =>
            {
                MemberState::Away
            }
            Some(State::Alive | State::Suspect | State::Down) | None
                if self.absences.expects(node, entry.run) =>
            {
                MemberState::Restarting
            }
            Some(State::Alive | State::Suspect | State::Down) | None => MemberState::Down,
        }
    }
}

/// What was last told of a node.
#[derive(Clone, Debug)]
struct Line {
    name: NodeName,
    role: Role,
    state: MemberState,
    run: u64,
    since: Wall,
    /// On the roster, but never seen: it has yet to join, as far as this node can tell.
    expected: bool,
}

#[derive(Debug)]
pub(super) struct Viewer {
    lines: BTreeMap<NodeId, Line>,
    /// Known before this start: they come back rather than join.
    kept: BTreeSet<NodeId>,
    unlinks: Unlinks,
    /// Those of them that were told.
    indirect: BTreeSet<NodeId>,
    shown: Option<Arc<RosterView>>,
}

impl Viewer {
    pub(super) fn new(kept: BTreeSet<NodeId>) -> Self {
        Self {
            lines: BTreeMap::new(),
            kept,
            unlinks: Unlinks::default(),
            indirect: BTreeSet::new(),
            shown: None,
        }
    }

    /// The state that was last told; `None` for a node that is not listed.
    pub(super) fn state(&self, node: NodeId) -> Option<MemberState> {
        self.lines.get(&node).map(|line| line.state)
    }

    /// What was shown last.
    pub(super) fn shown(&self) -> Option<&RosterView> {
        self.shown.as_deref()
    }

    /// Looks again: tells what changed since, and shows the new view if there is one.
    pub(super) fn refresh(&mut self, edge: &mut Edge, sources: &Sources<'_>) {
        self.drop_forgotten(edge, sources);
        let listed = sources
            .roster
            .roster()
            .iter()
            .filter(|(node, entry)| sources.is_listed(*node, entry));
        let mut members: Vec<MemberView> = listed
            .map(|(node, entry)| self.member(edge, sources, node, entry))
            .collect();
        members.sort_by(|a, b| (&a.profile.name, a.id).cmp(&(&b.profile.name, b.id)));
        self.publish(edge, sources.me, members);
    }

    fn drop_forgotten(&mut self, edge: &mut Edge, sources: &Sources<'_>) {
        let is_listed = |node: &NodeId| {
            sources
                .roster
                .roster()
                .get(*node)
                .is_some_and(|entry| sources.is_listed(*node, entry))
        };
        let gone: Vec<NodeId> = self
            .lines
            .keys()
            .filter(|node| !is_listed(node))
            .copied()
            .collect();
        for node in gone {
            if let Some(line) = self.lines.remove(&node) {
                let (kind, reason) = match sources.roster.shut_by(node) {
                    Some(revocation) => (MemberChange::Revoked, revocation.told().reason),
                    None => (MemberChange::Forgotten, String::new()),
                };
                put_event(edge, kind, (node, &line), reason);
            }
            self.kept.remove(&node);
            self.indirect.remove(&node);
        }
        let lines = &self.lines;
        self.unlinks.retain(|node| lines.contains_key(&node));
    }

    fn member(
        &mut self,
        edge: &mut Edge,
        sources: &Sources<'_>,
        node: NodeId,
        entry: &RosterEntry,
    ) -> MemberView {
        let state = sources.state(node, entry);
        let since = self.note(edge, sources, node, entry, state);
        let conn = sources.connections.current(node);
        let protocol = conn
            .and_then(|conn| sources.connections.get(conn))
            .map(|connection| connection.protocol);
        let indirect = self.note_link(edge, sources, (node, state));
        let away = sources.roster.away_by(node, sources.now);
        MemberView {
            id: node,
            role: sources.roster.role(node),
            profile: entry.profile.clone(),
            state,
            run: entry.run,
            since,
            last_round_trip: match state {
                MemberState::Suspect | MemberState::Down => sources.round_trip(node),
                MemberState::Alive
                | MemberState::Restarting
                | MemberState::Away
                | MemberState::Left => None,
            },
            is_metered: sources.roster.is_metered(node),
            conn,
            protocol,
            indirect,
            breach: sources.connections.breaches.last(node),
            away: away.filter(|_| state == MemberState::Away),
        }
    }

    /// Notes whether there is a connection to a member that is alive, and tells when there is none for
    /// a while, and when there is one again.
    fn note_link(
        &mut self,
        edge: &mut Edge,
        sources: &Sources<'_>,
        (node, state): (NodeId, MemberState),
    ) -> Option<Indirect> {
        let is_linked = sources.connections.current(node).is_some();
        let is_unlinked = node != sources.me && state.is_reachable() && !is_linked;
        let now = (edge.instant(), edge.now.wall);
        let vouchers = sources.swim.vouchers(node);
        let indirect = self.unlinks.note(now, (node, is_unlinked), vouchers);
        let was_indirect = self.indirect.contains(&node);
        if let (Some(indirect), false) = (&indirect, was_indirect) {
            self.indirect.insert(node);
            let name = |node: &NodeId| Some(&sources.roster.roster().get(*node)?.profile.name);
            let by: Vec<String> = indirect
                .by
                .iter()
                .filter_map(name)
                .map(ToString::to_string)
                .collect();
            self.put_link_event(edge, MemberChange::Indirect, node, by.join(", "));
        } else if indirect.is_none() && self.indirect.remove(&node) && is_linked {
            self.put_link_event(edge, MemberChange::Direct, node, String::new());
        }
        indirect
    }

    fn put_link_event(&self, edge: &mut Edge, kind: MemberChange, node: NodeId, detail: String) {
        if let Some(line) = self.lines.get(&node) {
            put_event(edge, kind, (node, line), detail);
        }
    }

    /// Whether members are alive that are not connected, or are away until a time, which takes another
    /// look.
    pub(super) fn looks_again(&self) -> bool {
        let is_away = |line: &Line| line.state == MemberState::Away;
        self.unlinks.is_any() || self.lines.values().any(is_away)
    }

    /// Notes a node's state; gives since when it is in it.
    fn note(
        &mut self,
        edge: &mut Edge,
        sources: &Sources<'_>,
        node: NodeId,
        entry: &RosterEntry,
        state: MemberState,
    ) -> Wall {
        let fresh = node != sources.me && !self.kept.contains(&node);
        let line = Line {
            name: entry.profile.name.clone(),
            role: sources.roster.role(node),
            state,
            run: entry.run,
            since: edge.now.wall,
            expected: fresh,
        };
        let Some(known) = self.lines.get(&node).cloned() else {
            if fresh && state.is_reachable() {
                let address = entry.profile.address.to_string();
                put_event(edge, MemberChange::Joined, (node, &line), address);
            }
            self.lines.insert(
                node,
                Line {
                    expected: fresh && !state.is_reachable(),
                    ..line
                },
            );
            return edge.now.wall;
        };
        let expected = known.expected && !state.is_reachable();
        if known.state == state
            && (known.run == entry.run || !state.is_reachable() || node == sources.me)
        {
            self.lines.insert(
                node,
                Line {
                    since: known.since,
                    expected,
                    ..line
                },
            );
            return known.since;
        }
        if known.state == MemberState::Away {
            let why = why_back(sources, node, state);
            put_event(edge, MemberChange::Back, (node, &line), why);
        }
        if !expected || matches!(state, MemberState::Left | MemberState::Away) {
            let (kind, detail) = describe(edge, sources, node, &known, state);
            put_event(edge, kind, (node, &line), detail);
        }
        self.lines.insert(node, Line { expected, ..line });
        edge.now.wall
    }

    fn publish(&mut self, edge: &mut Edge, me: NodeId, members: Vec<MemberView>) {
        let mut view = RosterView {
            me,
            members,
            verdict: Verdict::Whole,
            since: edge.now.wall,
        };
        let missing: Vec<NodeName> = view
            .expected()
            .filter(|m| !m.state.is_reachable())
            .map(|m| m.profile.name.clone())
            .collect();
        let expected = view.expected().count();
        view.verdict = verdict(expected - missing.len(), expected, view.own_role());
        count(edge, &view);
        if let Some(shown) = &self.shown {
            if shown.verdict == view.verdict {
                view.since = shown.since;
            } else {
                let kind = EventKind::Partition {
                    from: shown.verdict,
                    to: view.verdict,
                    missing,
                };
                edge.put(Output::Event(Event {
                    at: edge.now.wall,
                    kind,
                }));
            }
            if **shown == view {
                return;
            }
        }
        let view = Arc::new(view);
        self.shown = Some(Arc::clone(&view));
        edge.put(Output::View(view));
    }
}

/// Observers are counted apart; only this node counts itself among those that are expected, whatever it
/// is, so that what is missing is always `expected - 1 - reachable`.
fn count(edge: &mut Edge, view: &RosterView) {
    let is_observing = |member: &&MemberView| member.role == Role::Observer;
    let listed = view.members.iter();
    let observers = listed.filter(|member| member.state != MemberState::Left);
    let others = || view.expected().filter(|member| member.id != view.me);
    edge.stats.observers = observers.filter(is_observing).count() as u64;
    edge.stats.expected = others().count() as u64 + 1;
    edge.stats.away = view.away().count() as u64;
    edge.stats.reachable = others()
        .filter(|member| member.state.is_reachable())
        .count() as u64;
    edge.stats.indirect = others().filter(|member| member.indirect.is_some()).count() as u64;
    edge.stats.suspects = others()
        .filter(|member| member.state == MemberState::Suspect)
        .count() as u64;
}

fn describe(
    edge: &Edge,
    sources: &Sources<'_>,
    node: NodeId,
    known: &Line,
    state: MemberState,
) -> (MemberChange, String) {
    match state {
        MemberState::Alive if known.expected => (MemberChange::Joined, String::new()),
        MemberState::Alive if known.state.is_reachable() && known.state != MemberState::Suspect => {
            (MemberChange::Alive, "restarted".to_owned())
        }
        MemberState::Alive => (MemberChange::Alive, String::new()),
        MemberState::Suspect => (MemberChange::Suspect, unanswered(sources.round_trip(node))),
        MemberState::Down if known.state == MemberState::Restarting => {
            (MemberChange::Down, "did not come back in time".to_owned())
        }
        MemberState::Down => (
            MemberChange::Down,
            sources
                .connections
                .silence(edge, node)
                .map_or_else(String::new, no_answer),
        ),
        MemberState::Restarting => (
            MemberChange::Restarting,
            "said that it will be back".to_owned(),
        ),
        MemberState::Away => {
            let away = sources.roster.away_by(node, sources.now);
            let detail = away.map(|away| in_words(sources, &away));
            (MemberChange::Away, detail.unwrap_or_default())
        }
        MemberState::Left => (MemberChange::Left, String::new()),
    }
}

fn unanswered(round_trip: Option<Duration>) -> String {
    let trip = round_trip.map(|far| format!("; its round trip is {} ms", far.as_millis()));
    format!("a probe was not answered{}", trip.unwrap_or_default())
}

/// Why a member is away, and who says so.
fn in_words(sources: &Sources<'_>, away: &AwayView) -> String {
    let why = if away.why.is_empty() {
        "no reason given"
    } else {
        &away.why
    };
    format!("{why}; declared by {}", sayer(sources, away))
}

/// Who has declared it: the user is a claim of the node.
fn sayer(sources: &Sources<'_>, away: &AwayView) -> String {
    let line = sources.roster.roster().get(away.sayer);
    let node = line.map(|line| line.profile.name.to_string());
    let node = node.unwrap_or_else(|| away.sayer.to_string());
    match away.by.strip_suffix(&node) {
        Some(user) if user.ends_with('@') => away.by.clone(),
        Some(_) | None => format!("{} on {node}", away.by),
    }
}

fn why_back(sources: &Sources<'_>, node: NodeId, state: MemberState) -> String {
    match sources.roster.away(node) {
        _ if state.is_reachable() => "it was seen".to_owned(),
        Some(away) if away.until.is_some() => "its time is over".to_owned(),
        Some(back) => format!("declared by {}", sayer(sources, &back)),
        None => "it has said something since".to_owned(),
    }
}

fn no_answer(silence: Duration) -> String {
    format!("no answer for {:.1} s", silence.as_secs_f64())
}

fn put_event(edge: &mut Edge, kind: MemberChange, (id, line): (NodeId, &Line), detail: String) {
    let Line { name, role, .. } = line;
    tracing::debug!(member = %name, %id, %role, kind = kind.as_str(), detail, "a member changed");
    let kind = EventKind::Member {
        kind,
        name: name.clone(),
        id,
        role: *role,
        detail,
    };
    edge.put(Output::Event(Event {
        at: edge.now.wall,
        kind,
    }));
}
