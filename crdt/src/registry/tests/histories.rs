//! Whatever an owner does, and in whatever parts and order its log arrives, all replicas come to say
//! what the owner says.

use super::*;
use proptest::prelude::*;
use proptest::sample::Index;

/// What the owner does, and what travels.
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
    /// Its daemon starts again.
    Restart,
    /// A copy of its disk is made.
    Backup,
    /// Its daemon starts again from that copy, or from its disk if there is none, in the same run as
    /// before.
    Restore,
    /// Tombstones are dropped, by the owner or by a replica.
    Forget {
        at: Index,
        back: u64,
    },
    /// The owner or a replica makes a part for a replica, or for one that has nothing if `stale`; the
    /// part waits to be delivered.
    Make {
        by: Index,
        stale: bool,
        to: Index,
        bytes: usize,
    },
    /// A part that was made at any time before arrives. It may arrive again later.
    Deliver {
        part: Index,
        to: Index,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (name, process) = (0u8..4, 0u8..3);
    let step = prop_oneof![
        4 => (name.clone(), process.clone(), 1u64..4).prop_map(|(name, process, claim)| Step::Put { name, process, claim }),
        2 => (name, process).prop_map(|(name, process)| Step::End { name, process }),
        1 => Just(Step::Restart),
        1 => Just(Step::Backup),
        1 => Just(Step::Restore),
        1 => (any::<Index>(), 0u64..4).prop_map(|(at, back)| Step::Forget { at, back }),
        5 => (any::<Index>(), any::<bool>(), any::<Index>(), prop_oneof![Just(1usize), Just(200), Just(ALL)])
            .prop_map(|(by, stale, to, bytes)| Step::Make { by, stale, to, bytes }),
        8 => (any::<Index>(), any::<Index>()).prop_map(|(part, to)| Step::Deliver { part, to }),
    ];
    proptest::collection::vec(step, 0..80)
}

/// The logs of the owner, which come first, and of three other nodes.
struct World {
    replicas: Vec<Logs>,
    /// The registrations that live according to the news that each replica was told.
    told: Vec<BTreeMap<(ProcessName, Process), Arc<Entry>>>,
    parts: Vec<Delta>,
    run: u64,
    backup: Option<BTreeMap<(ProcessName, Process), Arc<Entry>>>,
    starts: u64,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            replicas: vec![Logs::default(); 4],
            told: vec![BTreeMap::new(); 4],
            parts: Vec::new(),
            run: 1,
            backup: None,
            starts: 0,
        };
        world.start(BTreeMap::new());
        world
    }

    /// The owner's daemon starts with these registrations. Its origin is far from all others, now
    /// before and now after them, as if its clock had jumped.
    fn start(&mut self, kept: BTreeMap<(ProcessName, Process), Arc<Entry>>) {
        self.starts += 1;
        let jumping_ms = self.starts.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 23;
        let origin = Log::origin(jumping_ms, self.starts);
        self.replicas[0] = Logs::default();
        self.replicas[0].begin(OWNER, self.run, origin);
        kept.into_iter().for_each(|((name, process), entry)| {
            self.replicas[0].put(OWNER, name, process, State::Live(entry))
        });
    }

    /// The owner hears how far the others are, and takes a higher run if one of them has heard more
    /// from another start of the owner.
    fn go_above(&mut self) {
        let others = self.replicas.iter().map(|logs| logs.position(OWNER));
        let parts = self.parts.iter().map(Delta::end);
        let known = |position| self.replicas[0].has_been_at(OWNER, position);
        if !others.chain(parts).all(known) {
            self.run += 1;
            let origin = self.starts;
            self.replicas[0].begin(OWNER, self.run, origin);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put {
                name: n,
                process: p,
                claim,
            } => self.replicas[0].put(
                OWNER,
                name(n),
                process(p),
                State::Live(entry(claim, "text")),
            ),
            Step::End {
                name: n,
                process: p,
            } => {
                if self.replicas[0]
                    .get(OWNER)
                    .and_then(|log| log.get(&name(n), process(p)))
                    .is_some_and(|state| state.entry().is_some())
                {
                    self.replicas[0].put(OWNER, name(n), process(p), State::Gone(Reason::Exited));
                }
            }
            Step::Restart => {
                self.run += 1;
                self.start(live(&self.replicas[0]));
            }
            Step::Backup => self.backup = Some(live(&self.replicas[0])),
            Step::Restore => {
                let kept = self.backup.clone();
                self.start(kept.unwrap_or_else(|| live(&self.replicas[0])));
            }
            Step::Forget { at, back } => {
                let at = at.index(4);
                let Position { run, version } = self.replicas[at].position(OWNER);
                self.replicas[at].forget(
                    OWNER,
                    Position {
                        run,
                        version: version.saturating_sub(back),
                    },
                );
            }
            Step::Make {
                by,
                stale,
                to,
                bytes,
            } => {
                let from = if stale {
                    Progress::default()
                } else {
                    self.replicas[to.index(4)].progress(OWNER)
                };
                self.parts
                    .extend(self.replicas[by.index(4)].delta(OWNER, from, bytes));
            }
            Step::Deliver { part, to } if !self.parts.is_empty() => {
                self.deliver(part.index(self.parts.len()), 1 + to.index(3));
            }
            Step::Deliver { .. } => {}
        }
    }

    fn deliver(&mut self, part: usize, to: usize) -> bool {
        let merged = self.replicas[to].merge(self.parts[part].clone()).unwrap();
        let told = &mut self.told[to];
        if let Merged::News(shifts) = &merged {
            for Shift {
                name,
                process,
                before,
                after,
            } in shifts.clone()
            {
                let key = (name, process);
                assert_eq!(
                    told.get(&key),
                    before.as_ref(),
                    "news build on what was told"
                );
                match after {
                    State::Live(entry) => told.insert(key, entry),
                    State::Gone(_) => told.remove(&key),
                };
            }
        }
        assert_eq!(*told, live(&self.replicas[to]), "all that changed was told");
        merged != Merged::Gap
    }

    /// One replica asks another for what follows, part by part, until nothing does, as the protocol
    /// has it.
    fn catch_up(&mut self, by: usize, to: usize, bytes: usize) {
        for _ in 0..1_000 {
            let from = self.replicas[to].progress(OWNER);
            let Some(delta) = self.replicas[by].delta(OWNER, from, bytes) else {
                return;
            };
            self.parts.push(delta);
            assert!(
                self.deliver(self.parts.len() - 1, to),
                "what was asked for fits"
            );
        }
        panic!("no end of catching up");
    }
}

fn live(logs: &Logs) -> BTreeMap<(ProcessName, Process), Arc<Entry>> {
    let entries = logs.get(OWNER).into_iter().flat_map(Log::iter);
    entries
        .filter_map(|(name, process, state)| {
            Some(((name.clone(), process), Arc::clone(state.entry()?)))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_arrives_in_whatever_order_all_come_to_say_what_the_owner_says(
        steps in steps(), order in Just(vec![1usize, 2, 3]).prop_shuffle(), bytes in prop_oneof![Just(1usize), Just(200), Just(ALL)],
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.go_above();
        // The first hears the owner, the others hear the one before them: relayed is as good as
        // direct.
        world.catch_up(0, order[0], bytes);
        world.catch_up(order[0], order[1], bytes);
        world.catch_up(order[1], order[2], ALL);
        for replica in &world.replicas {
            prop_assert_eq!(live(replica), live(&world.replicas[0]));
            prop_assert_eq!(replica.position(OWNER), world.replicas[0].position(OWNER));
            prop_assert_eq!(replica.hash(), world.replicas[0].hash());
        }
        // Old parts change nothing any more.
        let before = world.replicas.iter().map(live).collect::<Vec<_>>();
        for part in 0..world.parts.len() {
            for to in 1..4 {
                world.deliver(part, to);
            }
        }
        prop_assert_eq!(world.replicas.iter().map(live).collect::<Vec<_>>(), before);
    }

    #[test]
    fn two_logs_of_one_run_are_never_mixed(
        first in steps(), second in steps(), bytes in prop_oneof![Just(1usize), Just(200), Just(ALL)],
    ) {
        let writes = |steps: Vec<Step>| {
            steps.into_iter().filter(|step| matches!(step, Step::Put { .. } | Step::End { .. }))
        };
        let mut world = World::new();
        writes(first).for_each(|step| world.step(step));
        let before = live(&world.replicas[0]);
        world.catch_up(0, 1, ALL);
        world.backup = Some(BTreeMap::new());
        world.step(Step::Restore);
        writes(second).for_each(|step| world.step(step));
        let after = live(&world.replicas[0]);
        world.catch_up(0, 2, ALL);
        world.catch_up(1, 2, bytes);
        world.catch_up(2, 1, bytes);
        prop_assert_eq!(live(&world.replicas[1]), live(&world.replicas[2]));
        prop_assert!([before, after.clone()].contains(&live(&world.replicas[1])));
        world.go_above();
        world.catch_up(0, 1, bytes);
        prop_assert_eq!(live(&world.replicas[1]), after);
    }

    #[test]
    fn what_lives_on_is_never_said_to_have_ended(steps in steps()) {
        let mut world = World::new();
        let key = (name(9), process(9));
        world.step(Step::Put { name: 9, process: 9, claim: 1 });
        (1..4).for_each(|to| world.catch_up(0, to, ALL));
        for step in steps {
            world.step(step);
            prop_assert!(world.told.iter().skip(1).all(|told| told.contains_key(&key)));
        }
    }

    #[test]
    fn hostile_parts_break_nothing(
        owner in 0u8..3, numbers in proptest::collection::vec(prop_oneof![0u64..6, any::<u64>()], 5),
        records in proptest::collection::vec((0u8..3, 0u8..2, prop_oneof![0u64..6, any::<u64>()], any::<bool>()), 0..6), steps in steps(),
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        let records = records.into_iter().map(|(n, p, version, lives)| {
            let state = if lives { State::Live(entry(version, "x")) } else { State::Gone(Reason::Unknown) };
            Record { name: name(n), process: process(p), version, state }
        });
        let delta = Delta {
            owner: NodeId([owner; 16]), run: numbers[0], after: numbers[1], upto: numbers[2], latest: numbers[3], horizon: numbers[4],
            records: records.collect(),
        };
        for replica in &mut world.replicas {
            let _ = replica.merge(delta.clone());
            let _ = replica.merge(delta.clone());
            let anew = replica.vector().fold(0u64, |sum, (owner, position)| sum.wrapping_add(logs::leaf(owner, position, &[])));
            prop_assert_eq!(replica.hash(), anew);
        }
    }
}

#[test]
fn a_newer_run_replaces_the_older_one_only_when_all_of_it_has_come() {
    let mut world = World::new();
    (0..4).for_each(|n| {
        world.step(Step::Put {
            name: n,
            process: n,
            claim: 1,
        })
    });
    world.catch_up(0, 1, ALL);
    world.step(Step::Restart);
    world.step(Step::End {
        name: 3,
        process: 3,
    });
    for taken in 1..=4 {
        let delta = world.replicas[0]
            .delta(OWNER, world.replicas[1].progress(OWNER), 1)
            .unwrap();
        let merged = world.replicas[1].merge(delta).unwrap();
        let gone = Shift {
            name: name(3),
            process: process(3),
            before: Some(entry(1, "text")),
            after: State::Gone(Reason::Exited),
        };
        assert_eq!(
            merged,
            if taken < 4 {
                Merged::Staged
            } else {
                Merged::News(vec![gone])
            }
        );
        assert_eq!(
            live(&world.replicas[1]).len(),
            if taken < 4 { 4 } else { 3 }
        );
    }
}

#[test]
fn who_missed_a_dropped_tombstone_gets_the_log_whole_and_the_reason_is_unknown() {
    let mut world = World::new();
    (0..3).for_each(|n| {
        world.step(Step::Put {
            name: n,
            process: n,
            claim: 1,
        })
    });
    world.catch_up(0, 1, ALL);
    world.step(Step::End {
        name: 1,
        process: 1,
    });
    let here = world.replicas[0].position(OWNER);
    world.replicas[0].forget(OWNER, here);
    world.step(Step::Put {
        name: 7,
        process: 7,
        claim: 1,
    });
    let delta = world.replicas[0]
        .delta(OWNER, world.replicas[1].progress(OWNER), ALL)
        .unwrap();
    assert_eq!((delta.after, delta.records.len()), (0, 3));
    let Ok(Merged::News(news)) = world.replicas[1].merge(delta) else {
        panic!("no news")
    };
    let seen: Vec<_> = news
        .iter()
        .map(|shift| (shift.name.as_str(), shift.after.entry().is_some()))
        .collect();
    assert_eq!(seen, [("p1", false), ("p7", true)]);
    assert_eq!(news[0].after, State::Gone(Reason::Unknown));
}

#[test]
fn an_old_part_does_not_complete_what_a_newer_one_began() {
    let mut world = World::new();
    let put = |name| Step::Put {
        name,
        process: name,
        claim: 1,
    };
    world.step(put(1));
    world.step(put(2));
    let old = world.replicas[0].delta(OWNER, Progress::default(), ALL);
    // The first changes again, and an end after it is forgotten: the log is needed from its beginning.
    world.step(put(1));
    world.step(put(3));
    world.step(Step::End {
        name: 3,
        process: 3,
    });
    let here = world.replicas[0].position(OWNER);
    world.replicas[0].forget(OWNER, here);
    let new = world.replicas[0].delta(OWNER, Progress::default(), 1);
    let new = new.unwrap();
    assert!(new.upto < new.latest, "the newer part is not the last one");
    world.parts.extend([new, old.unwrap()]);
    world.deliver(0, 1);
    world.deliver(1, 1);
    assert_eq!(world.replicas[1].position(OWNER), Position::default());
    world.catch_up(0, 1, ALL);
    assert_eq!(live(&world.replicas[1]), live(&world.replicas[0]));
}
