//! Whom a node looks for and has not found since its start: seeds of its configuration that have
//! never answered, and the members that its disk has kept while all of them are silent.
//!
//! A node that finds nobody works on alone, so that somebody has to say it: the daemon shows this
//! to people, and the log has a line when it begins and after 1, 2, 4 and so on up to 60 minutes.

use super::edge::Edge;
use super::io::Output;
use super::join::Seeds;
use super::roster::Replica;
use crate::time::{Instant, Wall};
use names::NodeId;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// So long after the start it is no news that somebody has not answered yet.
const GRACE: Duration = Duration::from_secs(5);
/// Between the first two warnings; each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// How many are named where all are told in one sentence.
const NAMED: usize = 5;

/// Whom a node looks for and has not found since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The seeds that have never answered.
    pub seeds: Vec<Sought>,
    /// The members that the disk has kept, while none of them has answered.
    pub members: Vec<Sought>,
    /// Whether it has gone on for longer than a start takes.
    pub is_long: bool,
    /// Whether the node has never been in a cluster, and no seed has answered.
    pub is_first: bool,
    /// Whether no other node has ever been known here, as far as the disk has kept it.
    pub is_alone: bool,
}

impl Search {
    /// Why the node has yet to come to its cluster for the first time, in words.
    pub fn lonely(&self) -> Option<String> {
        let seeds = || in_words(&self.seeds);
        let words = || {
            format!(
                "this node has joined nobody, no seed has answered: {}",
                seeds()
            )
        };
        self.is_first.then(words)
    }
}

/// One that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// A seed as it was configured, or a member's name and address.
    pub name: String,
    /// What came of the last attempt, in words.
    pub outcome: String,
    /// Whether somebody answered there and refused this node, or this node refused it.
    pub is_refused: bool,
}

impl fmt::Display for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = if self.is_refused { "refused: " } else { "" };
        write!(f, "{} ({refused}{})", self.name, self.outcome)
    }
}

/// Names some of them, each with what came of the last attempt.
pub fn in_words(sought: &[Sought]) -> String {
    let named = sought.iter().take(NAMED).map(ToString::to_string);
    let named = named.collect::<Vec<_>>().join(", ");
    match sought.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) is_refused: bool,
    pub(super) reason: String,
}

impl Outcome {
    /// The one that is looked for, with this as the latest outcome.
    pub(super) fn of(outcome: Option<&Self>, name: String) -> Sought {
        let waiting = "no answer yet".to_owned();
        Sought {
            name,
            outcome: outcome.map_or(waiting, |outcome| outcome.reason.clone()),
            is_refused: outcome.is_some_and(|outcome| outcome.is_refused),
        }
    }
}

/// Follows the search from the start of a node.
#[derive(Debug)]
pub(super) struct Searcher {
    started: Option<Instant>,
    /// Whether the disk knew others at the start.
    knew_others: bool,
    has_met: bool,
    /// What came of the last attempt at each member, until one was met.
    outcomes: BTreeMap<NodeId, Outcome>,
    /// When the log is to have its next line, and how long after that the one after it.
    next_warning: Option<(Instant, Duration)>,
    shown: Arc<Search>,
}

impl Searcher {
    pub(super) fn new(knew_others: bool) -> Self {
        Self {
            started: None,
            knew_others,
            has_met: false,
            outcomes: BTreeMap::new(),
            next_warning: None,
            shown: Arc::default(),
        }
    }

    /// The node may dial from now on.
    pub(super) fn start(&mut self, now: Instant) {
        self.started = Some(now);
        self.next_warning = Some((now + GRACE, FIRST_PAUSE));
    }

    /// A node was met: the members that the disk has kept are not all silent.
    pub(super) fn meet(&mut self) {
        self.has_met = true;
        self.outcomes.clear();
    }

    /// An attempt at a member has failed.
    pub(super) fn failed(&mut self, node: NodeId, outcome: Outcome) {
        if !self.has_met {
            self.outcomes.insert(node, outcome);
        }
    }

    /// Shows who is still looked for, if that has changed, and writes the log's lines when they are
    /// due.
    pub(super) fn refresh(&mut self, edge: &mut Edge, seeds: &Seeds, roster: &Replica, me: NodeId) {
        let Some(started) = self.started else {
            return;
        };
        let sought: Vec<Sought> = seeds.unreached().collect();
        let is_alone = !self.knew_others && !self.has_met;
        let search = Search {
            members: self.silent_members(roster, (me, edge.now.wall)),
            is_long: edge.instant().since(started) >= GRACE,
            is_first: is_alone && seeds.is_every_one(&sought),
            is_alone,
            seeds: sought,
        };
        self.warn(edge, &search);
        edge.stats.seeds_unreached = search.seeds.len() as u64;
        if *self.shown != search {
            self.shown = Arc::new(search);
            edge.put(Output::Search(Arc::clone(&self.shown)));
        }
    }

    fn silent_members(&self, roster: &Replica, (me, now): (NodeId, Wall)) -> Vec<Sought> {
        if self.has_met {
            return Vec::new();
        }
        let members = roster.roster().members();
        let members = members.filter(|(node, _)| *node != me);
        let members = members.filter(|(node, _)| roster.away_by(*node, now).is_none());
        let silent = members.map(|(node, entry)| {
            let name = format!("{} at {}", entry.profile.name, entry.profile.address);
            Outcome::of(self.outcomes.get(&node), name)
        });
        silent.collect()
    }

    fn warn(&mut self, edge: &Edge, search: &Search) {
        for found in self.shown.seeds.iter().filter(|_| self.shown.is_long) {
            if !search.seeds.iter().any(|seed| seed.name == found.name) {
                tracing::info!(seed = found.name, "a seed has answered");
            }
        }
        let now = edge.instant();
        let Some((_, pause)) = self.next_warning.filter(|(at, _)| *at <= now) else {
            return;
        };
        for Sought { name, outcome, .. } in &search.seeds {
            tracing::warn!(
                seed = name,
                reason = outcome,
                "a seed has never answered since the start"
            );
        }
        if !search.members.is_empty() {
            let members = in_words(&search.members);
            tracing::warn!(members, "no known member has answered since the start");
        }
        self.next_warning = Some((now + pause, LONGEST_PAUSE.min(pause * 2)));
    }
}
