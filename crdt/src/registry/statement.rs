//! A record of a registry log in the form in which it goes to third nodes.
//!
//! See [`crate::relayed`] for the form and the fields 1 to 3. This is version 1:
//!
//! | field | is |
//! | --- | --- |
//! | 2 | the number of the change in its owner's log |
//! | 3 | 10 registered; 20 registered no longer (a tombstone), in all versions; others are for later |
//! | 4 | the name of the process, in all versions |
//! | 5 | the process: boot id, pid and start, in all versions |
//! | 16 to 23 | of what is registered: uid, user, executable, groups, metadata, address, claim, since |
//! | 24 | of what is registered no longer: the number of the reason |
//! | 25 | the exit code or the signal, where the reason has one |
//!
//! Reasons: 1 exited with a code, 2 killed by a signal, 3 exited, 4 unregistered, 5 the node left,
//! 6 unknown, 7 the node was revoked. A reason that a program does not know is an unknown one there, and stays what it is
//! for others.

use super::{Entry, Process, Reason, Record, State};
use crate::record::{Number, RecordError, Writer};
use crate::relayed::{Rank, Relayed};
use bytes::Bytes;
use names::{NodeId, ProcessName};
use std::sync::Arc;

const VERSION: u8 = 1;
const NAME: Number = 4;
const PROCESS: Number = 5;
const UID: Number = 16;
const USER: Number = 17;
const EXE: Number = 18;
const GROUPS: Number = 19;
const METADATA: Number = 20;
const ADDRESS: Number = 21;
const CLAIM: Number = 22;
const SINCE: Number = 23;
const REASON: Number = 24;
const DETAIL: Number = 25;

const REGISTERED: u64 = 10;
const ENDED: u64 = 20;

/// What a process under a name is, on the node that says so.
pub type About = (NodeId, ProcessName, Process);

/// One record of a log, as the log's owner wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Statement {
    relayed: Relayed,
    about: About,
}

impl Statement {
    /// Takes the bytes of a statement, of whatever version.
    ///
    /// # Errors
    /// They are no statement.
    pub fn read(bytes: Bytes) -> Result<Self, RecordError> {
        let relayed = Relayed::read(bytes)?;
        let fields = relayed.fields();
        let about = (relayed.owner(), fields.need(NAME)?, fields.need(PROCESS)?);
        Ok(Self { relayed, about })
    }

    /// Writes a record of `owner`'s log in that run.
    ///
    /// # Errors
    /// It is too large.
    pub fn write(owner: NodeId, run: u64, record: &Record) -> Result<Self, RecordError> {
        let rank = Rank {
            run,
            serial: record.version,
            standing: match &record.state {
                State::Live(_) => REGISTERED,
                State::Gone(_) => ENDED,
            },
        };
        let relayed = Relayed::write(VERSION, owner, rank, |writer| {
            writer.put(NAME, &record.name).put(PROCESS, &record.process);
            match &record.state {
                State::Live(entry) => put_entry(writer, entry),
                State::Gone(reason) => put_reason(writer, *reason),
            }
        })?;
        Ok(Self {
            relayed,
            about: (owner, record.name.clone(), record.process),
        })
    }

    /// What it is about.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// What it says, as far as this program understands it; `None` if its version or its standing is
    /// not known here.
    ///
    /// # Errors
    /// It is of a known version, but does not hold what such a statement holds.
    pub fn record(&self) -> Result<Option<Record>, RecordError> {
        let (_, name, process) = self.about.clone();
        Ok(self.state()?.map(|state| Record {
            name,
            process,
            version: self.relayed.rank().serial,
            state,
        }))
    }

    /// What it says of the process, as [`record`](Self::record) has it.
    ///
    /// # Errors
    /// As for the record.
    pub fn state(&self) -> Result<Option<State>, RecordError> {
        Ok(
            match (self.relayed.version(), self.relayed.rank().standing) {
                (VERSION, REGISTERED) => Some(State::Live(Arc::new(self.entry()?))),
                (VERSION, ENDED) => Some(State::Gone(self.reason()?)),
                (_, ENDED) => Some(State::Gone(Reason::Unknown)),
                _ => None,
            },
        )
    }

    /// As it is merged and handed on.
    pub fn relayed(&self) -> &Relayed {
        &self.relayed
    }

    fn entry(&self) -> Result<Entry, RecordError> {
        let fields = self.relayed.fields();
        Ok(Entry {
            uid: fields.need(UID)?,
            user: fields.get(USER)?,
            exe: fields.get(EXE)?,
            groups: fields.need(GROUPS)?,
            metadata: fields.need(METADATA)?,
            address: fields.get(ADDRESS)?,
            claim: fields.need(CLAIM)?,
            since_ms: fields.need(SINCE)?,
        })
    }

    fn reason(&self) -> Result<Reason, RecordError> {
        let fields = self.relayed.fields();
        Ok(match fields.need::<u64>(REASON)? {
            1 => Reason::ExitedWith(fields.need(DETAIL)?),
            2 => Reason::Killed(fields.need(DETAIL)?),
            3 => Reason::Exited,
            4 => Reason::Unregistered,
            5 => Reason::Left,
            7 => Reason::Revoked,
            _ => Reason::Unknown,
        })
    }
}

fn put_entry(writer: &mut Writer<'_>, entry: &Entry) {
    writer
        .put(UID, &entry.uid)
        .put_some(USER, entry.user.as_ref())
        .put_some(EXE, entry.exe.as_ref())
        .put(GROUPS, &entry.groups)
        .put(METADATA, &entry.metadata)
        .put_some(ADDRESS, entry.address.as_ref())
        .put(CLAIM, &entry.claim)
        .put(SINCE, &entry.since_ms);
}

fn put_reason(writer: &mut Writer<'_>, reason: Reason) {
    let (number, detail): (u64, _) = match reason {
        Reason::ExitedWith(code) => (1, Some(code)),
        Reason::Killed(signal) => (2, Some(signal)),
        Reason::Exited => (3, None),
        Reason::Unregistered => (4, None),
        Reason::Left => (5, None),
        Reason::Unknown => (6, None),
        Reason::Revoked => (7, None),
    };
    writer
        .put(REASON, &number)
        .put_some(DETAIL, detail.as_ref());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relayed::Relay;
    use proptest::prelude::*;

    const NODE: NodeId = NodeId([7; 16]);
    const PROCESS_7: Process = Process {
        boot: [3; 16],
        pid: 7,
        start: 9,
    };

    fn name() -> ProcessName {
        ProcessName::new("web").unwrap()
    }

    fn record(version: u64, state: State) -> Record {
        Record {
            name: name(),
            process: PROCESS_7,
            version,
            state,
        }
    }

    fn live() -> State {
        State::Live(Arc::new(Entry {
            uid: 1000,
            user: Some("alice".to_owned()),
            exe: None,
            groups: [name()].into(),
            metadata: [("port".to_owned(), "8080".to_owned())].into(),
            address: None,
            claim: 12,
            since_ms: 5,
        }))
    }

    #[test]
    fn a_statement_says_what_was_written() {
        let reasons = [
            Reason::ExitedWith(1),
            Reason::Killed(9),
            Reason::Exited,
            Reason::Unregistered,
            Reason::Left,
            Reason::Unknown,
        ];
        for state in std::iter::once(live()).chain(reasons.map(State::Gone)) {
            let record = record(4, state);
            let written = Statement::write(NODE, 3, &record).unwrap();
            let read = Statement::read(written.relayed().bytes().clone()).unwrap();
            assert_eq!(read.record(), Ok(Some(record)));
            assert_eq!(read.about(), &(NODE, name(), PROCESS_7));
            assert_eq!(read, written);
        }
    }

    #[test]
    fn the_form_is_what_it_was() {
        let head = [&[1_u8][..], &[7; 16], &[1, 1, 3, 2, 1, 4, 3, 1]].concat();
        let about = [&[4, 4, 3][..], b"web", &[5, 18], &[3; 16], &[7, 9]].concat();
        let entry = [
            &[16, 3, 251, 0xe8, 0x03, 17, 6, 5][..],
            b"alice",
            &[19, 5, 1, 3],
            b"web",
            &[20, 11, 1, 4],
            b"port",
            &[4],
            b"8080",
            &[22, 1, 12, 23, 1, 10],
        ]
        .concat();
        let bytes = |state| {
            let statement = Statement::write(NODE, 3, &record(4, state)).unwrap();
            statement.relayed().bytes().clone()
        };
        assert_eq!(bytes(live()), [&head[..], &[10], &about, &entry].concat());
        let reason = [24, 1, 2, 25, 1, 18];
        assert_eq!(
            bytes(State::Gone(Reason::Killed(9))),
            [&head[..], &[20], &about, &reason].concat()
        );
    }

    #[test]
    fn a_reason_that_is_not_known_is_unknown_and_stays_what_it_is() {
        let rank = Rank {
            run: 3,
            serial: 4,
            standing: ENDED,
        };
        let relayed = Relayed::write(VERSION, NODE, rank, |writer| {
            writer
                .put(NAME, &name())
                .put(PROCESS, &PROCESS_7)
                .put(REASON, &77_u64);
        })
        .unwrap();
        let statement = Statement::read(relayed.bytes().clone()).unwrap();
        assert_eq!(
            statement.record(),
            Ok(Some(record(4, State::Gone(Reason::Unknown))))
        );
        assert_eq!(statement.relayed().bytes(), relayed.bytes());
    }

    /// A statement as a program of any version may make it.
    fn statements() -> impl Strategy<Value = Bytes> {
        let rank = (
            0..2_u64,
            0..3_u64,
            prop_oneof![Just(10_u64), Just(20), Just(99)],
        );
        let unknown = prop::collection::btree_map(26..60_u16, any::<u8>(), 0..3);
        (1..4_u8, rank, 0..2_u32, 1..9_u64, unknown).prop_map(
            |(version, (run, serial, standing), pid, reason, unknown)| {
                let rank = Rank {
                    run,
                    serial,
                    standing,
                };
                let process = Process {
                    boot: [3; 16],
                    pid,
                    start: 9,
                };
                let relayed = Relayed::write(version, NODE, rank, |writer| {
                    writer
                        .put(NAME, &name())
                        .put(PROCESS, &process)
                        .put(REASON, &reason)
                        .put(DETAIL, &1_i32);
                    for (number, value) in unknown {
                        writer.put(number, &value);
                    }
                });
                relayed.unwrap().bytes().clone()
            },
        )
    }

    /// A node that takes in statements in that order, and hands on what was news.
    fn node(statements: &[Bytes]) -> (Relay<About>, Vec<Bytes>) {
        let (mut relay, mut handed_on) = (Relay::default(), Vec::new());
        for bytes in statements {
            let statement = Statement::read(bytes.clone()).unwrap();
            if relay.merge(statement.about().clone(), statement.relayed().clone()) {
                handed_on.push(statement.relayed().bytes().clone());
            }
        }
        (relay, handed_on)
    }

    proptest! {
        #[test]
        fn statements_that_a_node_does_not_understand_are_kept_and_handed_on_byte_for_byte(statements in prop::collection::vec(statements(), 0..8)) {
            let (relay, handed_on) = node(&statements);
            for (_, kept) in relay.iter() {
                prop_assert!(statements.contains(kept.bytes()));
            }
            prop_assert_eq!(&node(&handed_on).0, &relay, "a node behind it comes to the same");
        }

        #[test]
        fn statements_merge_alike_everywhere(
            a in prop::collection::vec(statements(), 0..5), b in prop::collection::vec(statements(), 0..5),
            c in prop::collection::vec(statements(), 0..5),
        ) {
            let of = |parts: &[&[Bytes]]| node(&parts.concat()).0;
            prop_assert_eq!(of(&[&a, &b]), of(&[&b, &a]));
            prop_assert_eq!(of(&[&a, &a]), of(&[&a]));
            prop_assert_eq!(of(&[&[a.clone(), b.clone()].concat(), &c]), of(&[&a, &[c, b].concat()]));
        }
    }
}
