//! What a replica takes from whom: a relayed log is used if it is what its owner has proved, and only
//! then.

use super::*;
use crate::lthash::LtHash;
use crate::relayed::{Rank, Relayed};
use bytes::Bytes;

const RELAY: NodeId = NodeId([2; 16]);
const SECOND: NodeId = NodeId([3; 16]);

/// A proof that only the owner can make, as long as nobody else calls this.
fn sign(said: &[u8]) -> Bytes {
    [b"signed: ", said].concat().into()
}

pub(super) fn is_proved(head: &Head) -> bool {
    head.relayed().proof() == Some(&sign(head.relayed().said()))
}

pub(super) fn prove(logs: &mut Logs) {
    logs.prove(OWNER, sign).unwrap();
}

fn take(logs: &mut Logs, by: NodeId, delta: ProvedDelta) -> Result<Merged, Fault> {
    logs.take(by, delta, is_proved)
}

/// The part, or all parts, that a replica with nothing lacks.
fn whole(logs: &Logs) -> ProvedDelta {
    logs.proved_delta(OWNER, Progress::default(), ALL).unwrap()
}

fn names(logs: &Logs) -> Vec<String> {
    let entries = logs.get(OWNER).into_iter().flat_map(Log::iter);
    let live = entries.filter(|(.., state)| state.entry().is_some());
    live.map(|(name, ..)| name.as_str().to_owned()).collect()
}

fn put(logs: &mut Logs, n: u8) {
    logs.put(OWNER, name(n), process(n), State::Live(entry(1, "text")));
}

fn end(logs: &mut Logs, n: u8) {
    let state = State::Gone(Reason::Killed(9));
    logs.put(OWNER, name(n), process(n), state);
}

/// An owner with two live records and a tombstone, in its third run.
fn owner() -> Logs {
    let mut logs = Logs::default();
    logs.begin(OWNER, 3, 10);
    (1..4).for_each(|n| put(&mut logs, n));
    end(&mut logs, 3);
    prove(&mut logs);
    logs
}

/// A replica that has the owner's log from the owner.
fn replica(owner: &Logs) -> Logs {
    let mut logs = Logs::default();
    take(&mut logs, OWNER, whole(owner)).unwrap();
    logs
}

#[test]
fn a_relayed_log_is_used_and_relayed_on() {
    let owner = owner();
    let (mut first, mut second) = (replica(&owner), Logs::default());
    let reason = |logs: &Logs| {
        let log = logs.get(OWNER).unwrap();
        log.get(&name(3), process(3)).cloned()
    };
    assert_eq!(reason(&first), Some(State::Gone(Reason::Killed(9))));
    for (from, to, by) in [
        (first.clone(), &mut second, RELAY),
        (owner, &mut first, OWNER),
    ] {
        take(to, by, whole(&from)).unwrap();
        assert_eq!(names(to), ["p1", "p2"]);
        assert_eq!(whole(to), whole(&from), "byte for byte");
        assert_eq!(to.proved_hash(), from.proved_hash());
    }
    let mut third = Logs::default();
    take(&mut third, SECOND, whole(&second)).unwrap();
    assert_eq!(names(&third), ["p1", "p2"]);
    // Who brings a tombstone could have made it up, with its reason.
    assert_eq!(reason(&third), Some(State::Gone(Reason::Unknown)));
    assert_eq!(whole(&third), whole(&first));
}

/// A statement of the owner's, with what this program does not know.
fn foreign(version: u8, serial: u64, standing: u64) -> Bytes {
    let rank = Rank {
        run: 3,
        serial,
        standing,
    };
    let relayed = Relayed::write(version, OWNER, rank, |writer| {
        let of = u8::try_from(serial).unwrap();
        writer.put(4, &name(of)).put(5, &process(of)).put(99, "new");
    });
    relayed.unwrap().bytes().clone()
}

fn head_of(position: Position, horizon: u64, statements: &[Bytes]) -> Bytes {
    let mut sum = LtHash::default();
    statements
        .iter()
        .for_each(|statement| sum.insert(statement));
    let head = Head::write(OWNER, position, horizon, sum.digest(), sign).unwrap();
    head.relayed().bytes().clone()
}

#[test]
fn what_a_program_does_not_understand_is_relayed_byte_for_byte_and_not_shown() {
    let known = Statement::read(whole(&owner()).statements[0].clone()).unwrap();
    let known = known.relayed().bytes().clone();
    let live = [known.clone(), foreign(1, 12, 15), foreign(7, 13, 10)];
    let tombstone = foreign(7, 14, 20);
    let latest = Position {
        run: 3,
        version: 14,
    };
    let delta = ProvedDelta {
        owner: OWNER,
        run: 3,
        after: 0,
        upto: 14,
        latest: 14,
        horizon: 10,
        statements: live.iter().chain([&tombstone]).cloned().collect(),
        head: Some(head_of(latest, 10, &live)),
    };
    let (mut first, mut second) = (Logs::default(), Logs::default());
    let Ok(Merged::News(news)) = take(&mut first, RELAY, delta.clone()) else {
        panic!("it is proved");
    };
    assert_eq!(news.len(), 1, "{news:?}");
    take(&mut second, SECOND, whole(&first)).unwrap();
    assert_eq!(whole(&second), delta);
    assert_eq!(names(&second), ["p1"]);

    // What was shown is not any more once the owner says something of it that is not understood.
    let statement = {
        let rank = Rank {
            run: 3,
            serial: 15,
            standing: 30,
        };
        let relayed = Relayed::write(1, OWNER, rank, |writer| {
            writer.put(4, &name(1)).put(5, &process(1));
        });
        relayed.unwrap().bytes().clone()
    };
    let [_, live @ ..] = live;
    let live: Vec<Bytes> = live.into_iter().chain([statement.clone()]).collect();
    let latest = Position {
        run: 3,
        version: 15,
    };
    let next = ProvedDelta {
        after: 14,
        upto: 15,
        latest: 15,
        statements: vec![statement],
        head: Some(head_of(latest, 10, &live)),
        ..delta
    };
    let Ok(Merged::News(news)) = take(&mut second, OWNER, next) else {
        panic!("it is proved");
    };
    let ended: Vec<_> = news.iter().map(|shift| &shift.after).collect();
    assert_eq!(ended, [&State::Gone(Reason::Unknown)]);
    assert_eq!(names(&second), [""; 0]);
}

/// The head of another log than that which is relayed.
fn other_head(change: impl FnOnce(&mut Logs)) -> Option<Bytes> {
    let mut other = owner();
    change(&mut other);
    prove(&mut other);
    whole(&other).head
}

fn rewritten(statement: &Bytes, change: impl FnOnce(&mut Record)) -> Bytes {
    let mut record = Statement::read(statement.clone())
        .unwrap()
        .record()
        .unwrap()
        .unwrap();
    change(&mut record);
    let statement = Statement::write(OWNER, 3, &record).unwrap();
    statement.relayed().bytes().clone()
}

type Lie = (&'static str, fn(&mut ProvedDelta));

const LIES: &[Lie] = &[
    ("a record is left out", |delta| {
        delta.statements.remove(0);
    }),
    ("a record is made up", |delta| {
        let made_up = rewritten(&delta.statements[0], |record| {
            (record.name, record.version) = (name(9), 14);
        });
        delta.statements.pop();
        delta.statements.push(made_up);
    }),
    ("an entry is changed", |delta| {
        delta.statements[0] = rewritten(&delta.statements[0], |record| {
            record.state = State::Live(entry(1, "other text"));
        });
    }),
    ("a record has another number", |delta| {
        let number = |record: &mut Record| record.version = 13;
        delta.statements[1] = rewritten(&delta.statements[1], number);
    }),
    ("a record has ended", |delta| {
        delta.statements[0] = rewritten(&delta.statements[0], |record| {
            record.state = State::Gone(Reason::Exited);
        });
    }),
    ("the log has come further", |delta| {
        (delta.upto, delta.latest) = (15, 15);
    }),
    ("the log is of another run", |delta| delta.run = 4),
    ("the log is another node's", |delta| delta.owner = SECOND),
    ("the horizon lies before the owner's", |delta| {
        delta.horizon = 9;
    }),
    ("the head is of another run", |delta| {
        delta.head = other_head(|logs| logs.begin(OWNER, 4, 10));
    }),
    ("the head is an older one", |delta| {
        let mut older = Logs::default();
        older.begin(OWNER, 3, 10);
        (1..3).for_each(|n| put(&mut older, n));
        prove(&mut older);
        delta.head = whole(&older).head;
    }),
    ("the head is of another node's log", |delta| {
        let said = Head::read(delta.head.clone().unwrap()).unwrap();
        let head = Head::write(SECOND, said.position(), 10, said.hash(), sign).unwrap();
        delta.head = Some(head.relayed().bytes().clone());
    }),
    ("the head is not signed", |delta| {
        let said = Head::read(delta.head.clone().unwrap()).unwrap();
        let head = Head::write(OWNER, said.position(), 10, said.hash(), |_| Bytes::new());
        delta.head = Some(head.unwrap().relayed().bytes().clone());
    }),
    ("the horizon in the head is another one", |delta| {
        let said = Head::read(delta.head.clone().unwrap()).unwrap();
        let proof = Bytes::copy_from_slice(said.relayed().proof().unwrap());
        let head = Head::write(OWNER, said.position(), 9, said.hash(), |_| proof);
        delta.head = Some(head.unwrap().relayed().bytes().clone());
    }),
    ("there is no head", |delta| delta.head = None),
    ("the head comes too early", |delta| delta.latest = 15),
];

#[test]
fn a_relayed_log_that_its_owner_has_not_proved_changes_nothing() {
    let owner = owner();
    let mut ahead = owner.clone();
    put(&mut ahead, 4);
    end(&mut ahead, 1);
    prove(&mut ahead);
    for (lie, tell) in LIES {
        // To a node that has nothing, and to one that is behind.
        for mut victim in [Logs::default(), {
            let mut behind = Logs::default();
            behind.begin(OWNER, 3, 10);
            put(&mut behind, 1);
            prove(&mut behind);
            replica(&behind)
        }] {
            let mut delta = whole(&owner);
            tell(&mut delta);
            let before = names(&victim);
            let heard = take(&mut victim, RELAY, delta);
            assert!(heard.is_err(), "{lie}: {heard:?}");
            assert_eq!(names(&victim), before, "{lie}");
            assert_eq!(names_of(&victim, SECOND), 0, "{lie}");
            // And it hinders nobody who tells the truth.
            take(&mut victim, RELAY, whole(&ahead)).unwrap();
            assert_eq!(names(&victim), names(&ahead), "{lie}");
        }
    }
}

fn names_of(logs: &Logs, owner: NodeId) -> usize {
    logs.get(owner).map_or(0, Log::live)
}

#[test]
fn from_its_owner_a_log_needs_no_proof_but_must_come_to_its_head() {
    let mut unsigned = Logs::default();
    unsigned.begin(OWNER, 3, 10);
    put(&mut unsigned, 1);
    unsigned.prove(OWNER, |_| Bytes::new()).unwrap();
    let delta = whole(&unsigned);
    let mut logs = Logs::default();
    let relayed = take(&mut logs, RELAY, delta.clone());
    assert_eq!(relayed, Err(Fault::Unproved));
    let mut wrong = delta.clone();
    wrong.statements.clear();
    assert_eq!(take(&mut logs, OWNER, wrong), Err(Fault::Unproved));
    assert!(matches!(take(&mut logs, OWNER, delta), Ok(Merged::News(_))));
}

#[test]
fn parts_are_put_in_place_as_one_and_an_owner_that_falls_silent_leaves_what_can_be_relayed() {
    let mut owner = owner();
    let mut logs = replica(&owner);
    let before = whole(&logs);
    (4..9).for_each(|n| put(&mut owner, n));
    end(&mut owner, 1);
    prove(&mut owner);
    let mut parts = 0;
    loop {
        let from = logs.proved_progress(OWNER, OWNER);
        let delta = owner.proved_delta(OWNER, from, 1).unwrap();
        parts += 1;
        let is_last = delta.head.is_some();
        let merged = take(&mut logs, OWNER, delta).unwrap();
        if is_last {
            assert!(matches!(merged, Merged::News(news) if news.len() == 6));
            break;
        }
        assert_eq!(merged, Merged::Staged);
        assert_eq!((whole(&logs), names(&logs).len()), (before.clone(), 2));
        let mut other = Logs::default();
        take(&mut other, RELAY, whole(&logs)).unwrap();
        assert_eq!(names(&other), ["p1", "p2"], "after {parts} parts");
        assert!(logs.bytes_of(|_| true) > other.bytes_of(|_| true));
    }
    assert_eq!((parts, names(&logs).len()), (6, 6));
    assert_eq!(names(&logs), names(&owner));
}

#[test]
fn what_one_node_has_sent_of_a_log_is_not_mixed_with_what_another_sends() {
    let mut owner = owner();
    (4..9).for_each(|n| put(&mut owner, n));
    prove(&mut owner);
    let mut logs = Logs::default();
    let first = owner.proved_delta(OWNER, Progress::default(), 1).unwrap();
    let mut forged = first.clone();
    forged.statements[0] = rewritten(&first.statements[0], |record| record.name = name(9));
    take(&mut logs, RELAY, forged).unwrap();
    assert_eq!(logs.proved_progress(OWNER, RELAY).position, first.end());
    assert_eq!(logs.proved_progress(OWNER, OWNER), Progress::default());
    let rest = owner.proved_delta(OWNER, Progress::from(first.end()), ALL);
    assert_eq!(take(&mut logs, OWNER, rest.unwrap()), Ok(Merged::Gap));
    logs.drop_incomplete(|_, by| by == RELAY);
    assert_eq!(logs.proved_progress(OWNER, RELAY).position, first.end());
    logs.drop_incomplete(|_, _| false);
    assert_eq!(logs.proved_progress(OWNER, RELAY), Progress::default());
    // Nobody gets in the way of the owner.
    let staged = take(&mut logs, OWNER, first.clone());
    assert_eq!(staged, Ok(Merged::Staged));
    assert_eq!(take(&mut logs, RELAY, first.clone()), Ok(Merged::Gap));
    assert_eq!(logs.proved_progress(OWNER, OWNER).position, first.end());
    take(&mut logs, OWNER, whole(&owner)).unwrap();
    assert_eq!(names(&logs), names(&owner));
}

/// A relay that leaves out a tombstone cannot be found out by the one that it tells, but what that one
/// relays does not fit then.
#[test]
fn where_a_tombstone_was_left_out_the_whole_log_helps() {
    let mut owner = owner();
    let (mut misled, mut behind) = (Logs::default(), replica(&owner));
    end(&mut owner, 1);
    prove(&mut owner);
    let mut delta = whole(&owner);
    delta.statements.pop();
    take(&mut misled, RELAY, delta).unwrap();
    assert_eq!(names(&misled), ["p2"]);
    let from = behind.proved_progress(OWNER, SECOND);
    let next = misled.proved_delta(OWNER, from, ALL).unwrap();
    assert_eq!(take(&mut behind, SECOND, next), Err(Fault::Unproved));
    take(&mut behind, SECOND, whole(&misled)).unwrap();
    assert_eq!(names(&behind), ["p2"]);
}

#[test]
fn of_two_logs_that_an_owner_proves_for_one_position_the_same_stays_everywhere() {
    let forked = |n| {
        let mut owner = owner();
        put(&mut owner, n);
        prove(&mut owner);
        owner
    };
    let (one, other) = (forked(7), forked(8));
    let (mut first, mut second) = (replica(&one), replica(&other));
    assert_eq!(first.position(OWNER), second.position(OWNER));
    assert_eq!(first.hash(), second.hash());
    assert_ne!(first.proved_hash(), second.proved_hash());
    let crossed = [
        take(&mut first, RELAY, whole(&other)).unwrap(),
        take(&mut second, RELAY, whole(&one)).unwrap(),
    ];
    let changes = crossed.map(|merged| {
        let Merged::Forked(shifts) = merged else {
            panic!("{merged:?}");
        };
        shifts.len()
    });
    assert_eq!(changes.iter().sum::<usize>(), 2, "one of them changes");
    assert_eq!(whole(&first), whole(&second));
    assert_eq!(first.proved_hash(), second.proved_hash());
}

#[test]
fn a_log_that_is_proved_is_not_replaced_by_one_that_is_not() {
    let mut owner = owner();
    let mut logs = replica(&owner);
    put(&mut owner, 7);
    let unproved = |from| owner.delta(OWNER, from, ALL).unwrap();
    let known = logs.merge(unproved(logs.progress(OWNER)));
    assert_eq!((known, names(&logs).len()), (Ok(Merged::Known), 2));
    // The other way round it is, and is asked for as if nothing were there.
    let mut old = Logs::default();
    old.merge(unproved(Progress::default())).unwrap();
    assert_eq!((names(&old).len(), old.head(OWNER)), (3, None));
    assert_eq!(old.proved_progress(OWNER, OWNER), Progress::default());
    assert_eq!(old.proved_delta(OWNER, Progress::default(), ALL), None);
    prove(&mut owner);
    take(&mut old, OWNER, whole(&owner)).unwrap();
    assert_eq!(old.head(OWNER), owner.head(OWNER));
}

#[test]
fn parts_that_are_not_complete_are_bounded() {
    let text = "x".repeat(1_000);
    let mut owner = Logs::default();
    owner.begin(OWNER, 1, 0);
    let mut logs = Logs::default();
    let refused = loop {
        let from = logs.proved_progress(OWNER, RELAY);
        for n in 0..1_000_u32 {
            let process = Process {
                boot: [7; 16],
                pid: n,
                start: from.position.version,
            };
            owner.put(OWNER, name(1), process, State::Live(entry(1, &text)));
        }
        prove(&mut owner);
        let mut delta = owner.proved_delta(OWNER, from, ALL).unwrap();
        (delta.latest, delta.head) = (1 << 40, None);
        match take(&mut logs, RELAY, delta) {
            Ok(merged) => assert_eq!(merged, Merged::Staged),
            Err(fault) => break fault,
        }
    };
    assert_eq!(refused, Fault::TooMany);
    let bytes = logs.bytes_of(|_| true);
    assert!(bytes <= 128 << 20, "{bytes}");
    assert!(names(&logs).is_empty());
}
