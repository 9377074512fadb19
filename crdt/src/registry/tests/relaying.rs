//! Whatever an owner does, in whatever parts its log is relayed and whoever forges them, replicas say only
//! what the owner has proved, and come to say what it says.

use super::proofs::{is_proved, prove};
use super::*;
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Clone, Debug)]
enum Step {
    Put {
        name: u8,
        process: u8,
        claim: u64,
    },
    End {
        name: u8,
        process: u8,
    },
    /// The owner's daemon starts again, in a new run or, from a copy of its disk, in the same one.
    Restart {
        same_run: bool,
    },
    /// Tombstones are dropped, by the owner or by a replica.
    Forget {
        at: Index,
        back: u64,
    },
    /// A node makes a part for another one, or for one that has nothing if `stale`.
    Make {
        by: Index,
        stale: bool,
        to: Index,
        bytes: usize,
    },
    /// A part that was made at any time before arrives, from its maker or, as if it were its own word,
    /// from the owner's peer.
    Deliver {
        part: Index,
        to: Index,
    },
    /// A part arrives that somebody has changed.
    Forge {
        part: Index,
        with: Index,
        at: Index,
        how: u8,
        to: Index,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (name, process) = (0u8..4, 0u8..2);
    let bytes = || prop_oneof![Just(1usize), Just(300), Just(ALL)];
    let step = prop_oneof![
        4 => (name.clone(), process.clone(), 1u64..4).prop_map(|(name, process, claim)| Step::Put { name, process, claim }),
        2 => (name, process).prop_map(|(name, process)| Step::End { name, process }),
        1 => any::<bool>().prop_map(|same_run| Step::Restart { same_run }),
        1 => (any::<Index>(), 0u64..4).prop_map(|(at, back)| Step::Forget { at, back }),
        5 => (any::<Index>(), any::<bool>(), any::<Index>(), bytes())
            .prop_map(|(by, stale, to, bytes)| Step::Make { by, stale, to, bytes }),
        8 => (any::<Index>(), any::<Index>()).prop_map(|(part, to)| Step::Deliver { part, to }),
        4 => (any::<Index>(), any::<Index>(), any::<Index>(), 0u8..6, any::<Index>())
            .prop_map(|(part, with, at, how, to)| Step::Forge { part, with, at, how, to }),
    ];
    proptest::collection::vec(step, 0..80)
}

type Live = BTreeMap<(ProcessName, Process), Arc<Entry>>;

/// The logs of the owner, which come first, and of three other nodes.
struct World {
    replicas: Vec<Logs>,
    /// The registrations that live according to the news that each replica was told.
    told: Vec<Live>,
    /// Who made which part.
    parts: Vec<(usize, ProvedDelta)>,
    /// What the owner has proved.
    proved: Vec<(Position, Live)>,
    run: u64,
    starts: u64,
}

fn id(node: usize) -> NodeId {
    if node == 0 {
        OWNER
    } else {
        NodeId([u8::try_from(node).unwrap() + 1; 16])
    }
}

fn live(logs: &Logs) -> Live {
    let entries = logs.get(OWNER).into_iter().flat_map(Log::iter);
    entries
        .filter_map(|(name, process, state)| {
            Some(((name.clone(), process), Arc::clone(state.entry()?)))
        })
        .collect()
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            replicas: vec![Logs::default(); 4],
            told: vec![BTreeMap::new(); 4],
            parts: Vec::new(),
            proved: Vec::new(),
            run: 1,
            starts: 0,
        };
        world.start();
        world
    }

    /// The owner's daemon starts with what it had; its clock may have jumped.
    fn start(&mut self) {
        self.starts += 1;
        let jumping_ms = self.starts.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 23;
        let kept = live(&self.replicas[0]);
        self.replicas[0] = Logs::default();
        self.replicas[0].begin(OWNER, self.run, Log::origin(jumping_ms, self.starts));
        for ((name, process), entry) in kept {
            self.replicas[0].put(OWNER, name, process, State::Live(entry));
        }
    }

    fn prove(&mut self) {
        prove(&mut self.replicas[0]);
        let position = self.replicas[0].position(OWNER);
        self.proved.push((position, live(&self.replicas[0])));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put {
                name: n,
                process: p,
                claim,
            } => {
                let state = State::Live(entry(claim, "text"));
                self.replicas[0].put(OWNER, name(n), process(p), state);
            }
            Step::End {
                name: n,
                process: p,
            } => {
                if live(&self.replicas[0]).contains_key(&(name(n), process(p))) {
                    let state = State::Gone(Reason::Exited);
                    self.replicas[0].put(OWNER, name(n), process(p), state);
                }
            }
            Step::Restart { same_run } => {
                self.run += u64::from(!same_run);
                self.start();
            }
            Step::Forget { at, back } => {
                let logs = &mut self.replicas[at.index(4)];
                let Position { run, version } = logs.position(OWNER);
                let version = version.saturating_sub(back);
                logs.forget(OWNER, Position { run, version });
            }
            Step::Make {
                by,
                stale,
                to,
                bytes,
            } => {
                self.prove();
                let by = by.index(4);
                let from = if stale {
                    Progress::default()
                } else {
                    self.replicas[to.index(4)].proved_progress(OWNER, id(by))
                };
                let made = self.replicas[by].proved_delta(OWNER, from, bytes);
                self.parts.extend(made.map(|delta| (by, delta)));
            }
            Step::Deliver { part, to } if !self.parts.is_empty() => {
                let (by, delta) = self.parts[part.index(self.parts.len())].clone();
                let _ = self.deliver(by, 1 + to.index(3), delta);
            }
            Step::Forge {
                part,
                with,
                at,
                how,
                to,
            } if !self.parts.is_empty() => {
                let (_, delta) = self.parts[part.index(self.parts.len())].clone();
                let (_, other) = self.parts[with.index(self.parts.len())].clone();
                let by = 1 + at.index(3);
                let _ = self.deliver(by, 1 + to.index(3), forged(delta, other, at, how));
            }
            Step::Deliver { .. } | Step::Forge { .. } => {}
        }
    }

    fn deliver(&mut self, by: usize, to: usize, delta: ProvedDelta) -> Result<Merged, Fault> {
        let merged = self.replicas[to].take(id(by), delta, is_proved)?;
        let told = &mut self.told[to];
        if let Merged::News(shifts) | Merged::Forked(shifts) = &merged {
            for shift in shifts.clone() {
                let key = (shift.name, shift.process);
                assert_eq!(
                    told.get(&key),
                    shift.before.as_ref(),
                    "news build on what was told"
                );
                match shift.after {
                    State::Live(entry) => told.insert(key, entry),
                    State::Gone(_) => told.remove(&key),
                };
            }
        }
        let now = live(&self.replicas[to]);
        assert_eq!(*told, now, "all that changed was told");
        let position = self.replicas[to].position(OWNER);
        let is_proved = position == Position::default() || self.proved.contains(&(position, now));
        assert!(is_proved, "what a replica says, the owner has proved");
        Ok(merged)
    }

    /// One replica asks another for what follows, part by part, until nothing does, as the protocol
    /// has it: from the beginning where what follows does not come to what is proved.
    fn catch_up(&mut self, by: usize, to: usize, bytes: usize) {
        let by_whom = id(by);
        self.replicas[to].drop_incomplete(|_, sender| sender == by_whom);
        let mut from_beginning = false;
        for _ in 0..1_000 {
            let from = if std::mem::take(&mut from_beginning) {
                Progress::default()
            } else {
                self.replicas[to].proved_progress(OWNER, id(by))
            };
            let Some(delta) = self.replicas[by].proved_delta(OWNER, from, bytes) else {
                return;
            };
            self.parts.push((by, delta.clone()));
            let was_whole = delta.after == 0;
            match self.deliver(by, to, delta) {
                Ok(Merged::Gap) => panic!("what was asked for fits"),
                Ok(_) => {}
                Err(Fault::Unproved) => {
                    assert!(by != 0 && !was_whole, "the log of {by} is proved");
                    from_beginning = true;
                }
                Err(fault) => panic!("{fault}"),
            }
        }
        panic!("no end of catching up");
    }
}

fn forged(mut delta: ProvedDelta, other: ProvedDelta, at: Index, how: u8) -> ProvedDelta {
    let count = delta.statements.len();
    match how {
        0 if count > 0 => drop(delta.statements.remove(at.index(count))),
        1 => delta.head = other.head,
        2 => delta.statements.extend(other.statements),
        3 => delta.statements = other.statements,
        4 => (delta.after, delta.horizon) = (other.after, other.horizon),
        _ => (delta.run, delta.upto, delta.latest) = (other.run, other.upto, other.latest),
    }
    delta
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn replicas_say_what_is_proved_and_come_to_say_what_the_owner_says(
        steps in steps(), order in Just(vec![1usize, 2, 3]).prop_shuffle(), bytes in prop_oneof![Just(1usize), Just(300), Just(ALL)],
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        // Another start of the owner's may have come further in this run.
        world.run += 1;
        world.start();
        world.prove();
        // The first hears the owner, the others hear the one before them.
        world.catch_up(0, order[0], bytes);
        world.catch_up(order[0], order[1], bytes);
        world.catch_up(order[1], order[2], bytes);
        for replica in &world.replicas {
            prop_assert_eq!(live(replica), live(&world.replicas[0]));
            prop_assert_eq!(replica.proved_hash(), world.replicas[0].proved_hash());
        }
    }

    /// The same where there is one run, so that the logs follow each other.
    #[test]
    fn relayed_parts_of_one_run_follow_each_other(
        steps in steps(), order in Just(vec![1usize, 2, 3]).prop_shuffle(), bytes in prop_oneof![Just(1usize), Just(300), Just(ALL)],
    ) {
        let mut world = World::new();
        let steps = steps.into_iter().filter(|step| !matches!(step, Step::Restart { .. }));
        steps.for_each(|step| world.step(step));
        world.prove();
        world.catch_up(0, order[0], bytes);
        world.catch_up(order[0], order[1], bytes);
        world.catch_up(order[1], order[2], bytes);
        for replica in &world.replicas {
            prop_assert_eq!(live(replica), live(&world.replicas[0]));
            prop_assert_eq!(replica.proved_hash(), world.replicas[0].proved_hash());
        }
    }
}
