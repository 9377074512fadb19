//! Every number has room above it: whatever members have said, the next number of an honest node is
//! taken by all.

use super::super::Phase;
use super::super::message::Message;
use super::arbitrary::{Act, acts, protocols};
use super::{Bench, lied_to_bench, proved_log};
use crate::belief::{MAX_RUN, run_of};
use crate::registry;
use crate::wire::Protocol;
use crdt::registry::{Delta, Position};
use crdt::roster::{Line, Standing};
use names::NodeId;
use proptest::prelude::*;

/// The one of whom others speak and that has said nothing itself: no [`Act`] connects as it.
const HONEST: u8 = 5;
const NODE: NodeId = NodeId([HONEST; 16]);

impl Bench {
    /// The honest node says its hello on a new connection; gives the run that it has to go above.
    fn greeted_by_honest(&mut self, run: u64) -> Option<u64> {
        self.act(Act::Connect(HONEST));
        self.sent.clear();
        self.say(self.hello(HONEST, run));
        let answers = self.sent.iter().map(|bytes| Message::read(bytes));
        let above = answers.filter_map(|answer| match answer {
            Ok(Message::Above { run }) => Some(run),
            Ok(Message::AboveLine(line)) => Some(Line::read(line).ok()?.relayed().rank().run),
            Ok(_) | Err(_) => None,
        });
        above.last()
    }

    fn is_honest_accepted(&self) -> bool {
        self.machine.connections.current(NODE).is_some()
    }
}

/// The number of the last change of a log.
const VERSION: u64 = 1 << 40;

impl Bench {
    /// The honest node says what is registered there, on its latest connection; gives how far that has
    /// come here.
    fn told_of_registrations(&mut self, run: u64) -> Position {
        let pushed = true;
        if self.protocol >= Protocol::PROVED {
            let delta = proved_log(HONEST, run, VERSION);
            self.act(Act::Registry(
                0,
                registry::message::Message::Proved { delta, pushed },
            ));
            return self.machine.registry.position(NODE);
        }
        let delta = Delta {
            owner: NODE,
            run,
            after: 0,
            upto: VERSION,
            latest: VERSION,
            horizon: 0,
            records: Vec::new(),
        };
        let part = registry::message::Message::Part { delta, pushed };
        self.act(Act::Registry(0, part));
        self.machine.registry.position(NODE)
    }
}

/// Whether a peer says that this node has had a higher run, be it by chance: in words, or as of which run
/// it has this node's log.
fn is_refusal(act: &Act) -> bool {
    let reads_so = |bytes: &[u8]| matches!(Message::read(bytes), Ok(Message::Above { .. }));
    match act {
        Act::Say(_, message) => reads_so(&message.bytes()),
        Act::Rubbish(_, bytes) => reads_so(bytes),
        Act::Registry(..) | Act::RegistryRubbish(..) => true,
        Act::Connect(_) | Act::Close(_) | Act::Packet(..) | Act::Wait(_) => false,
    }
}

#[test]
fn that_a_node_left_in_a_run_that_it_never_had_hides_no_registration() {
    let mut bench = lied_to_bench(Protocol::UNPROVED);
    bench.say_line(HONEST, 1_004, Standing::Left);
    assert_eq!(bench.greeted_by_honest(1), None);
    let position = Position {
        run: 1,
        version: VERSION,
    };
    assert_eq!(bench.told_of_registrations(1), position);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_node_of_which_others_have_spoken_is_taken_at_its_word(
        acts in proptest::collection::vec(acts(), 0..60), first in 1u64..5, protocol in protocols(),
    ) {
        let mut bench = lied_to_bench(protocol);
        for act in acts {
            bench.act(act);
        }
        prop_assert_eq!(&bench.machine.phase, &Phase::Up);
        let mut run = first;
        if let Some(above) = bench.greeted_by_honest(run) {
            prop_assert!(above <= first + 1_000, "it has to go above {above}");
            run = above + 1;
            prop_assert_eq!(bench.greeted_by_honest(run), None);
        }
        if !bench.machine.roster.is_member(NODE) {
            // It is told that it has left in this very run, and takes the next one.
            run += 1;
            prop_assert_eq!(bench.greeted_by_honest(run), None);
        }
        prop_assert!(bench.is_honest_accepted() && bench.machine.roster.is_member(NODE));
        prop_assert_eq!(bench.machine.roster.run(NODE), run);

        // Its registrations, and those of its next start.
        for run in [run, run + 1] {
            prop_assert_eq!(bench.greeted_by_honest(run), None);
            prop_assert!(bench.is_honest_accepted());
            let position = Position { run, version: VERSION };
            prop_assert_eq!(bench.told_of_registrations(run), position);
        }
    }

    #[test]
    fn what_the_machine_says_of_itself_stays_within_the_bounds(
        acts in proptest::collection::vec(acts(), 0..60), protocol in protocols(),
    ) {
        let mut bench = lied_to_bench(protocol);
        let refusals = acts.iter().filter(|act| is_refusal(act));
        let most = 2 + 1_001 * u64::try_from(refusals.count()).unwrap();
        for act in acts {
            bench.act(act);
        }
        bench.wait(2_000);
        bench.sent.clear();
        bench.act(Act::Connect(HONEST));
        let hellos = bench.sent.iter().filter_map(|bytes| match Message::read(bytes) {
            Ok(Message::Hello(hello)) => hello.is_sound().then_some(hello.generation),
            Ok(Message::Greeting { generation, line, .. }) => {
                let line = Line::read(line).ok()?;
                let is_taken = line.relayed().rank().run == run_of(generation)
                    && run_of(generation) < MAX_RUN;
                is_taken.then_some(generation)
            }
            Ok(_) | Err(_) => None,
        });
        let generations: Vec<u64> = hellos.collect();
        prop_assert_eq!(generations.len(), 1);
        for generation in generations {
            prop_assert!(run_of(generation) <= most + 60, "{generation}");
        }
    }
}
