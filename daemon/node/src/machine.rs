//! What the two machines have in common: how they are driven from outside, and what their parts
//! share inside.

use crate::time::{Instant, Now};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A state machine without I/O. Whoever drives it hands in what happens, carries out all outputs in
/// their order, and calls [`wake`](Self::wake) when the deadline has come.
///
/// The same calls at the same times with the same seed give the same outputs, bit for bit.
pub trait Machine {
    /// What happens to it.
    type Input;
    /// What it wants done.
    type Output;
    /// Plain numbers of what it did and has.
    type Stats;

    /// Takes an input. Never fails and never blocks: what a peer does wrong is counted, and what a
    /// client does wrong is a reply.
    fn handle(&mut self, now: Now, input: Self::Input);

    /// Does what is due by now. Called too early, or for nothing, it does no harm.
    fn wake(&mut self, now: Now);

    /// The next output, in order. To be called until there is none, after the machine was made and
    /// after each [`handle`](Self::handle) and [`wake`](Self::wake).
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When the machine wants [`wake`](Self::wake) at the latest; `None` while it waits for inputs
    /// only.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The numbers as of now; counters run from the start of the machine.
    fn stats(&self) -> Self::Stats;
}

/// A question of a client, of which it is known what kind of answer it gets.
pub trait Ask: Into<Self::Command> {
    /// All questions to that machine.
    type Command;
    /// All answers of it.
    type Reply;
    /// The answer to this one.
    type Answer;

    /// Takes the answer out of the machine's reply. `None` if it is the reply to another question,
    /// which is an error of the program.
    fn answer(reply: Self::Reply) -> Option<Self::Answer>;
}

/// For each question the command that it is, and the reply that belongs to it.
macro_rules! asks {
    ($command:ty => $reply:ty {
        $($ask:ty: $make:expr => $answer:ty: $pattern:pat => $value:expr,)*
    }) => {$(
        impl From<$ask> for $command {
            fn from(ask: $ask) -> Self {
                let make: fn($ask) -> Self = $make;
                make(ask)
            }
        }

        impl crate::machine::Ask for $ask {
            type Command = $command;
            type Reply = $reply;
            type Answer = $answer;

            fn answer(reply: $reply) -> Option<$answer> {
                if let $pattern = reply { Some($value) } else { None }
            }
        }
    )*};
}
pub(crate) use asks;

/// What a part of a machine may touch besides its own state: the clock, the deadlines, the queue of
/// outputs and the counters.
#[derive(Debug)]
pub(crate) struct Edge<Output, Timer, Stats> {
    pub(crate) now: Now,
    pub(crate) stats: Stats,
    outputs: VecDeque<Output>,
    /// By when, then by the timers' own order, then by the order in which they were set.
    timers: BTreeMap<(Instant, Timer, u64), ()>,
    timers_set: u64,
}

impl<Output, Timer: Ord, Stats: Default> Edge<Output, Timer, Stats> {
    pub(crate) fn new(now: Now) -> Self {
        Self {
            now,
            stats: Stats::default(),
            outputs: VecDeque::new(),
            timers: BTreeMap::new(),
            timers_set: 0,
        }
    }

    pub(crate) fn instant(&self) -> Instant {
        self.now.instant
    }

    pub(crate) fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Sets a timer. None is ever taken back: one that fires for nothing must do no harm.
    pub(crate) fn at(&mut self, at: Instant, timer: Timer) {
        self.timers_set += 1;
        self.timers.insert((at, timer, self.timers_set), ());
    }

    pub(crate) fn after(&mut self, span: Duration, timer: Timer) {
        self.at(self.now.instant + span, timer);
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.keys().next().map(|(at, ..)| *at)
    }

    pub(crate) fn next_due(&mut self) -> Option<Timer> {
        let first = self.timers.first_entry()?;
        (first.key().0 <= self.now.instant).then(|| first.remove_entry().0.1)
    }
}
