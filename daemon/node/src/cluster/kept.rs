//! What the disk keeps: the run, the roster with the last known addresses, and how far members are.
//!
//! A [record](crdt::record) of version 1:
//!
//! | field | is |
//! | --- | --- |
//! | 1 | the highest run that this node has taken (`u64`) |
//! | 2 | the bytes of all [lines](crdt::roster::Line) of the roster |
//! | 3 | the bytes of all [revocations](crdt::roster::Revocation); absent where there is none |
//! | 4 | the bytes of what was said last of members that are [away](crdt::roster::Away); absent where there is none |
//! | 5 | the round trips to members that are far: id, milliseconds; absent where there is none |
//!
//! Lines that this program does not understand, and fields that it does not know, are kept as they
//! are.

use super::edge::{Edge, Timer};
use super::io::Output;
use crate::belief::OwnRun;
use crate::codec::{Malformed, decode};
use crate::wire::{RequestId, WriteError, WriteId};
use bytes::Bytes;
use crdt::record::{Number, Record, RecordError, Writer};
use crdt::roster::{Author, Away, Line, Revocation, Roster, RosterEntry, Standing};
use names::NodeId;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

const VERSION: u8 = 1;
const RUN: Number = 1;
const LINES: Number = 2;
const REVOCATIONS: Number = 3;
const AWAYS: Number = 4;
const ROUND_TRIPS: Number = 5;
/// A member is far whose round trip is this one at least: the first packet of a dial to one that is
/// nearer is not sent again too soon.
const FAR: Duration = Duration::from_millis(100);
/// A round trip is written anew when it has become so many times what was kept, or a part of it.
const UNLIKE: u32 = 2;
/// A failed write is tried again after this.
const REWRITE: Duration = Duration::from_secs(1);
/// How many clients may wait for a change of the roster.
const MAX_PENDING: usize = 64;

/// How far members are, in milliseconds.
type RoundTrips = BTreeMap<NodeId, u32>;

/// What the disk kept of earlier runs; the default is that of the very first start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    run: u64,
    kept: KeptLines,
    round_trips: RoundTrips,
    /// The record that was read, for its other fields.
    record: Bytes,
}

/// What the disk has kept of the roster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeptLines {
    pub(super) lines: Vec<Line>,
    pub(super) revocations: Vec<Revocation>,
    pub(super) aways: Vec<Away>,
}

/// What is to be kept of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    pub(super) lines: Vec<Bytes>,
    pub(super) revocations: Vec<Bytes>,
    pub(super) aways: Vec<Bytes>,
}

impl Kept {
    /// Reads what [`Output::Write`] wanted written.
    ///
    /// # Errors
    /// A newer program wrote it, or it is damaged: this node must not start without it, as it would
    /// take a run that it has had.
    pub fn read(bytes: &Bytes) -> Result<Self, RecordError> {
        let record = Record::read(VERSION, bytes)?;
        let mut lines = Vec::new();
        for bytes in record.need::<Vec<Bytes>>(LINES)? {
            let line = Line::read(bytes)?;
            line.entry()?;
            lines.push(line);
        }
        let revocations = record.get::<Vec<Bytes>>(REVOCATIONS)?.unwrap_or_default();
        let revocations = revocations.into_iter().map(Revocation::read);
        let aways = record.get::<Vec<Bytes>>(AWAYS)?.unwrap_or_default();
        let kept = KeptLines {
            lines,
            revocations: revocations.collect::<Result<_, _>>()?,
            aways: aways
                .into_iter()
                .map(Away::read)
                .collect::<Result<_, _>>()?,
        };
        Ok(Self {
            run: record.need(RUN)?,
            kept,
            round_trips: record.get(ROUND_TRIPS)?.unwrap_or_default(),
            record: bytes.clone(),
        })
    }

    /// The run in which the next start begins. It may go above that one when it hears of a higher one.
    pub fn next_run(&self) -> u64 {
        OwnRun::after(self.run).wanted()
    }
}

/// The record of that run and those lines, with the other fields of the one before.
fn record(
    before: &Bytes,
    run: u64,
    kept: &Lines,
    round_trips: &RoundTrips,
) -> Result<Bytes, RecordError> {
    let mut writer = match Record::read(VERSION, before) {
        Ok(old) => Writer::over(VERSION, old, ROUND_TRIPS),
        Err(_) => Writer::new(VERSION),
    };
    writer.put(RUN, &run).put(LINES, &kept.lines);
    if !kept.revocations.is_empty() {
        writer.put(REVOCATIONS, &kept.revocations);
    }
    if !kept.aways.is_empty() {
        writer.put(AWAYS, &kept.aways);
    }
    if !round_trips.is_empty() {
        writer.put(ROUND_TRIPS, round_trips);
    }
    writer.finish().map(Bytes::from)
}

/// The lines of a roster without proofs.
fn unproved(roster: &Roster) -> Result<Lines, RecordError> {
    let lines = roster.iter().map(|(node, entry)| {
        let line = Line::write(Author::unproved(node), node, 0, entry)?;
        Ok(line.relayed().bytes().clone())
    });
    Ok(Lines {
        lines: lines.collect::<Result<_, RecordError>>()?,
        ..Lines::default()
    })
}

/// What a program of the store's format 1 kept, as this program keeps it.
///
/// # Errors
/// It is not what such a program kept.
pub fn convert_kept(bytes: &[u8]) -> Result<Bytes, Malformed> {
    #[derive(Deserialize)]
    struct Kept1 {
        version: u8,
        run: u64,
        roster: BTreeMap<NodeId, RosterEntry>,
    }
    let kept: Kept1 = decode(bytes)?;
    if kept.version != 1 {
        return Err(Malformed::rule("it has another version than 1"));
    }
    let mut roster = Roster::default();
    for (node, entry) in kept.roster {
        roster.merge_entry(node, entry);
    }
    unproved(&roster)
        .and_then(|lines| record(&Bytes::new(), kept.run, &lines, &RoundTrips::new()))
        .map_err(|error| Malformed::rule(&error.to_string()))
}

/// A change of the roster that a client waits for: it is made when it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) request: RequestId,
    pub(super) change: Change,
}

/// What is to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A node leaves, or is forgotten.
    Standing {
        node: NodeId,
        /// The run that it is about: a newer one is not touched.
        run: u64,
        standing: Standing,
    },
    /// A node is shut out.
    Revocation(Revocation),
    /// A member is away, or no longer is.
    Away(Away),
}

impl Change {
    /// The node that leaves or is forgotten, if it is still in the run that this is about.
    pub(super) fn node_of_run(&self, roster: &Roster) -> Option<NodeId> {
        match self {
            Self::Standing { node, run, .. } => {
                let entry = roster.get(*node)?;
                (entry.run == *run).then_some(*node)
            }
            Self::Revocation(_) | Self::Away(_) => None,
        }
    }
}

/// What clients wait for, by what it does.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    /// Whether this node leaves.
    pub(super) leaves: bool,
    /// The nodes that are forgotten.
    pub(super) forgotten: Vec<NodeId>,
    /// Who is shut out.
    pub(super) revoked: Vec<&'a Revocation>,
    /// Who is away, or no longer is.
    pub(super) aways: Vec<&'a Away>,
}

impl<'a> Asked<'a> {
    /// What changes come to on a node in that run.
    pub(super) fn of(pending: &'a [Pending], (me, run): (NodeId, u64), roster: &Roster) -> Self {
        let mut asked = Self::default();
        for Pending { change, .. } in pending {
            match change {
                Change::Standing { node, run: of, .. } if *node == me => {
                    asked.leaves |= *of == run;
                }
                Change::Standing { .. } => asked.forgotten.extend(change.node_of_run(roster)),
                Change::Revocation(revocation) => asked.revoked.push(revocation),
                Change::Away(away) => asked.aways.push(away),
            }
        }
        asked
    }
}

/// What a write brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) result: Result<(), WriteError>,
    /// The run that is on disk now, if it is a new one.
    pub(super) run: Option<u64>,
    /// The changes that it carried.
    pub(super) carried: Vec<Pending>,
}

#[derive(Debug)]
struct Flight {
    id: WriteId,
    run: u64,
    carried: usize,
}

/// Keeps the disk up to date, with one write in flight at a time.
#[derive(Debug)]
pub(super) struct Keeper {
    /// The run on disk; 0 before the first write of this start.
    run: u64,
    own: OwnRun,
    dirty: bool,
    pending: Vec<Pending>,
    flight: Option<Flight>,
    last_write: u64,
    round_trips: RoundTrips,
    /// The record that was read at the start.
    before: Bytes,
}

impl Keeper {
    /// To be above the last run that the disk has kept; gives the lines that it kept, too.
    pub(super) fn after(kept: Kept) -> (Self, KeptLines) {
        let Kept {
            run,
            kept: lines,
            round_trips,
            record,
        } = kept;
        let keeper = Self {
            run: 0,
            own: OwnRun::after(run),
            dirty: true,
            pending: Vec::new(),
            flight: None,
            last_write: 0,
            round_trips,
            before: record,
        };
        (keeper, lines)
    }

    /// The run that is taken, or shall be.
    pub(super) fn wanted(&self) -> u64 {
        self.own.wanted()
    }

    /// Others say that this node has had that run. False if that is too far above what the disk has
    /// kept to be believed.
    pub(super) fn go_above(&mut self, run: u64) -> bool {
        let before = self.own.wanted();
        let is_credible = self.own.hear_of(run);
        self.dirty |= self.own.wanted() != before;
        is_credible
    }

    /// This node itself has signed that it had that run, in a start that its disk knows nothing of.
    pub(super) fn go_above_proved(&mut self, run: u64) {
        let before = self.own.wanted();
        self.own.learn(run);
        self.dirty |= self.own.wanted() != before;
    }

    /// Takes the next run, by this node's own decision.
    pub(super) fn begin_anew(&mut self) {
        self.own.advance();
        self.dirty = true;
    }

    /// The round trips that are kept.
    pub(super) fn round_trips(&self) -> impl Iterator<Item = (NodeId, Duration)> {
        let kept = self.round_trips.iter();
        kept.map(|(node, ms)| (*node, Duration::from_millis(u64::from(*ms))))
    }

    /// The round trips to members as they are now: those to far ones are kept, and written where one is
    /// quite another than before.
    pub(super) fn keep_round_trips(&mut self, now: impl Iterator<Item = (NodeId, Duration)>) {
        let far = now.filter(|(_, round_trip)| *round_trip >= FAR);
        let far = far.map(|(node, far)| (node, u32::try_from(far.as_millis()).unwrap_or(u32::MAX)));
        let far: RoundTrips = far.collect();
        let is_like = |node: &NodeId, ms: u32| {
            let before = self.round_trips.get(node);
            before.is_some_and(|before| {
                ms <= before.saturating_mul(UNLIKE) && *before <= ms.saturating_mul(UNLIKE)
            })
        };
        if !far.iter().all(|(node, ms)| is_like(node, *ms)) {
            self.round_trips = far;
            self.dirty = true;
        }
    }

    pub(super) fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    /// False if too many wait already.
    pub(super) fn change(&mut self, pending: Pending) -> bool {
        let room = self.pending.len() < MAX_PENDING;
        if room {
            self.pending.push(pending);
            self.dirty = true;
        }
        room
    }

    /// Writes if there is something to write and nothing in flight. `lines` gives the roster in the
    /// wanted run, as if those changes had been made.
    pub(super) fn write(&mut self, edge: &mut Edge, lines: impl FnOnce(u64, &[Pending]) -> Lines) {
        if !self.dirty || self.flight.is_some() {
            return;
        }
        let lines = lines(self.wanted(), &self.pending);
        self.dirty = false;
        self.last_write += 1;
        let id = WriteId(self.last_write);
        self.flight = Some(Flight {
            id,
            run: self.wanted(),
            carried: self.pending.len(),
        });
        let bytes = record(&self.before, self.wanted(), &lines, &self.round_trips);
        let bytes = bytes.unwrap_or_else(|error| {
            // The bounds of a roster and of its lines do not admit this. The run is what must not
            // be lost.
            tracing::error!(%error, "the roster is too large to be kept");
            let (run, nobody) = (self.wanted(), RoundTrips::new());
            record(&self.before, run, &Lines::default(), &nobody).unwrap_or_default()
        });
        edge.put(Output::Write { id, bytes });
    }

    /// What the write that has ended brought; `None` if it is not the one in flight.
    pub(super) fn written(
        &mut self,
        edge: &mut Edge,
        id: WriteId,
        result: Result<(), WriteError>,
    ) -> Option<Outcome> {
        let flight = self.flight.take_if(|flight| flight.id == id)?;
        let carried = self
            .pending
            .drain(..flight.carried.min(self.pending.len()))
            .collect();
        if result.is_err() {
            edge.after(REWRITE, Timer::Rewrite);
            return Some(Outcome {
                result,
                run: None,
                carried,
            });
        }
        let run = (flight.run > self.run).then_some(flight.run);
        self.run = flight.run;
        Some(Outcome {
            result,
            run,
            carried,
        })
    }
}

#[cfg(test)]
impl Kept {
    /// As a program that has this run, and knows this roster without proofs, writes it.
    pub(super) fn new(run: u64, roster: &Roster) -> Self {
        let lines = unproved(roster).unwrap();
        Self::read(&record(&Bytes::new(), run, &lines, &RoundTrips::new()).unwrap()).unwrap()
    }

    /// The same with what was said of a member that is away.
    pub(super) fn with_away(mut self, away: Away) -> Self {
        self.kept.aways.push(away);
        Self::read(&self.bytes()).unwrap()
    }

    /// As it is written anew.
    pub(super) fn bytes(&self) -> Bytes {
        let KeptLines {
            lines,
            revocations,
            aways,
        } = &self.kept;
        let lines = lines.iter().map(|line| line.relayed().bytes().clone());
        let revocations = revocations.iter();
        let kept = Lines {
            lines: lines.collect(),
            revocations: revocations
                .map(|one| one.relayed().bytes().clone())
                .collect(),
            aways: aways
                .iter()
                .map(|one| one.relayed().bytes().clone())
                .collect(),
        };
        record(&self.record, self.run, &kept, &self.round_trips).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_version_is_an_error_in_words() {
        let mut bytes = Kept::new(7, &Roster::default()).bytes().to_vec();
        bytes[0] += 1;
        let error = Kept::read(&bytes.into()).unwrap_err();
        assert!(error.to_string().contains("version 2"), "{error}");
    }

    #[test]
    fn what_is_not_understood_is_kept() {
        let mut line = Line::write(
            Author::unproved(NodeId([1; 16])),
            NodeId([1; 16]),
            4,
            &line(3),
        )
        .unwrap();
        let mut bytes = line.relayed().bytes().to_vec();
        bytes[0] = 9;
        line = Line::read(bytes.into()).unwrap();
        let mut writer = Writer::new(VERSION);
        writer
            .put(RUN, &7_u64)
            .put(LINES, &vec![line.relayed().bytes()])
            .put(9, "later");
        let bytes = Bytes::from(writer.finish().unwrap());
        let kept = Kept::read(&bytes).unwrap();
        assert_eq!((kept.run, kept.kept.lines.len()), (7, 1));
        assert_eq!(kept.bytes(), bytes);
    }

    /// What the next start reads of the round trips, after they were these, in milliseconds.
    fn next_start(keeper: &mut Keeper, ms: &[u64]) -> Vec<u128> {
        let nodes = ms.iter().zip(1..);
        keeper.keep_round_trips(nodes.map(|(ms, n)| (NodeId([n; 16]), Duration::from_millis(*ms))));
        let bytes = record(&keeper.before, 7, &Lines::default(), &keeper.round_trips).unwrap();
        let (next, _) = Keeper::after(Kept::read(&bytes).unwrap());
        next.round_trips().map(|(_, far)| far.as_millis()).collect()
    }

    #[test]
    fn how_far_members_are_is_kept_and_seldom_written() {
        let (mut keeper, _) = Keeper::after(Kept::new(7, &Roster::default()));
        keeper.dirty = false;
        assert!(next_start(&mut keeper, &[2, 99]).is_empty());
        assert!(!keeper.dirty, "who is near is not kept");
        assert_eq!(next_start(&mut keeper, &[2, 640]), [640]);
        assert!(std::mem::take(&mut keeper.dirty));
        assert_eq!(next_start(&mut keeper, &[2, 900]), [640]);
        assert!(!keeper.dirty, "it is about the same");
        assert_eq!(next_start(&mut keeper, &[2, 1_500]), [1_500]);
        assert!(keeper.dirty);
    }

    fn line(run: u64) -> RosterEntry {
        let profile = crdt::roster::Profile {
            name: names::NodeName::new("alpha").unwrap(),
            address: ([10, 0, 0, 7], 6878).into(),
            version: "0.1.0".to_owned(),
            tags: Vec::new(),
        };
        RosterEntry {
            run,
            standing: Standing::Member,
            profile,
        }
    }

    #[test]
    fn what_an_older_program_kept_is_converted() {
        let mut roster = Roster::default();
        roster.merge_entry(NodeId([1; 16]), line(3));
        let old = crate::codec::encode(&(1_u8, 7_u64, [(NodeId([1; 16]), line(3))])).unwrap();
        // A map is written as its length and its pairs.
        let old = [&old[..2], &[1], &old[2..]].concat();
        let converted = convert_kept(&old).unwrap();
        assert_eq!(Kept::read(&converted), Ok(Kept::new(7, &roster)));
        assert!(convert_kept(&[2, 7, 0]).is_err());
    }

    proptest! {
        #[test]
        fn rubbish_is_refused_or_reads(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = Bytes::from(bytes);
            let _ = (Kept::read(&bytes), convert_kept(&bytes));
        }
    }
}
