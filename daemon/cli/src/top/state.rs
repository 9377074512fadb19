//! What was told, as far as it is shown.

use super::busy::Busy;
use super::feed::{Polled, Update};
use crate::cluster::events::describe;
use crate::text::printable;
use api::cluster::ClusterMember;
use api::events::{ClusterEvent, EventKind, EventType};
use api::node::NodeStatus;
use api::reach::ReachRow;
use client::ClientError;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::VecDeque;
use std::io::ErrorKind;

/// How many events can be scrolled back.
const MAX_EVENTS: usize = 500;

/// Among so many of the newest events a list's change is looked for that is to be told once only.
const MERGED: usize = 8;

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// When, in RFC 3339.
    pub(super) time: String,
    pub(super) words: String,
    /// How many times, one soon after the other.
    pub(super) times: u64,
    pub(super) is_bad: bool,
}

/// Where to go in the events.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scroll {
    Older(usize),
    Newer(usize),
    Newest,
}

/// The daemon does not answer.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    pub(super) since: Timestamp,
    pub(super) why: String,
}

/// Who reaches whom, in the place of the events.
#[derive(Debug)]
pub(super) enum Reach {
    /// All members are being asked.
    Asking,
    /// What they told.
    Told(Vec<ReachRow>),
    /// Why that is not known.
    Failed(String),
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) zone: TimeZone,
    pub(super) status: NodeStatus,
    pub(super) members: Vec<ClusterMember>,
    /// The newest last.
    pub(super) events: VecDeque<Line>,
    pub(super) busy: Busy,
    pub(super) gone: Option<Gone>,
    /// The screen stands still; events that come meanwhile wait, as far as there is room.
    pub(super) hold: bool,
    waiting: VecDeque<Box<ClusterEvent>>,
    /// Who reaches whom, if somebody has asked for it.
    pub(super) reach: Option<Reach>,
    /// How many of the newest events are scrolled out of sight.
    pub(super) back: usize,
}

impl State {
    pub(super) fn new(zone: TimeZone, first: Polled) -> Self {
        let mut busy = Busy::default();
        busy.measure(first.at, &first.metrics, &first.processes);
        Self {
            zone,
            status: first.status,
            members: first.members,
            events: VecDeque::new(),
            busy,
            gone: None,
            hold: false,
            waiting: VecDeque::new(),
            reach: None,
            back: 0,
        }
    }

    pub(super) fn take(&mut self, update: Update) {
        match update {
            Update::Happened(event) if self.hold => {
                if self.waiting.len() >= MAX_EVENTS {
                    self.waiting.pop_front();
                }
                self.waiting.push_back(event);
            }
            // The next one says the same anew.
            Update::Polled(_) | Update::Failed(_) if self.hold => {}
            Update::Polled(polled) => self.polled(*polled),
            Update::Failed(error) => self.failed(&error),
            Update::Happened(event) => {
                if event.kind == EventKind::List {
                    self.busy.changed(&event.name);
                }
                self.happened(&event);
            }
            Update::Past(event) => self.happened(&event),
            // Nobody looks any more if it is not shown.
            Update::Reach(told) => {
                if self.reach.is_some() {
                    self.reach = Some(match told {
                        Ok(rows) => Reach::Told(rows),
                        Err(error) => Reach::Failed(reason(&error)),
                    });
                }
            }
            Update::Lagged => self.events.clear(),
        }
    }

    /// Shows who reaches whom. Whether that is to be asked now: not while it is being asked.
    pub(super) fn ask_reach(&mut self) -> bool {
        let is_new = !matches!(self.reach, Some(Reach::Asking));
        self.reach = Some(Reach::Asking);
        is_new
    }

    pub(super) fn toggle_hold(&mut self) {
        self.hold = !self.hold;
        for event in std::mem::take(&mut self.waiting) {
            self.take(Update::Happened(event));
        }
    }

    pub(super) fn scroll(&mut self, scroll: Scroll) {
        let most = self.events.len().saturating_sub(1);
        self.back = match scroll {
            Scroll::Older(lines) => self.back.saturating_add(lines).min(most),
            Scroll::Newer(lines) => self.back.saturating_sub(lines),
            Scroll::Newest => 0,
        };
    }

    fn polled(&mut self, polled: Polled) {
        self.busy
            .measure(polled.at, &polled.metrics, &polled.processes);
        (self.status, self.members) = (polled.status, polled.members);
        if self.gone.take().is_some() {
            self.note(
                Timestamp::now(),
                "the daemon answers again".to_owned(),
                false,
            );
        }
    }

    fn failed(&mut self, error: &ClientError) {
        let why = reason(error);
        match &mut self.gone {
            Some(gone) => gone.why = why,
            None => {
                let now = Timestamp::now();
                self.note(now, format!("the daemon does not answer ({why})"), true);
                self.gone = Some(Gone { since: now, why });
            }
        }
    }

    fn happened(&mut self, event: &ClusterEvent) {
        let is_list = event.kind == EventKind::List;
        let is_bad = match &event.kind {
            EventKind::Partition => event.what != EventType::Healed,
            EventKind::Member | EventKind::Process => matches!(
                event.what,
                EventType::Down
                    | EventType::Suspect
                    | EventType::Unreachable
                    | EventType::Contested
                    | EventType::Contradicted
                    | EventType::Lost
            ),
            EventKind::List => matches!(event.what, EventType::Forked | EventType::LeftOut),
            EventKind::Other(_) => false,
        };
        let (time, words) = (event.at.to_string(), describe(event));
        // A list that is written all the time would push all else out of sight.
        let same = |line: &&mut Line| is_list && line.words == words;
        match self.events.iter_mut().rev().take(MERGED).find(same) {
            Some(line) => (line.time, line.times) = (time, line.times + 1),
            None => self.push(Line {
                time,
                words,
                times: 1,
                is_bad,
            }),
        }
    }

    fn note(&mut self, at: Timestamp, words: String, is_bad: bool) {
        self.push(Line {
            time: at.to_string(),
            words,
            times: 1,
            is_bad,
        });
    }

    fn push(&mut self, line: Line) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(line);
        // Whoever reads old events goes on to see the same ones.
        if self.back > 0 {
            self.back = (self.back + 1).min(self.events.len() - 1);
        }
    }
}

fn reason(error: &ClientError) -> String {
    match error {
        ClientError::Unreachable { source, .. } if source.kind() == ErrorKind::NotFound => {
            "its socket is gone".to_owned()
        }
        ClientError::Unreachable { source, .. }
            if source.kind() == ErrorKind::ConnectionRefused =>
        {
            "nobody listens on its socket".to_owned()
        }
        ClientError::Unreachable { source, .. } => printable(&source.to_string()),
        ClientError::Timeout(_)
        | ClientError::Broken(_)
        | ClientError::Answer(_)
        | ClientError::Problem(_) => printable(&error.to_string()),
    }
}
