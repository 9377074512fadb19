//! Who is there: membership, joining, the roster, leaving, the process registry, and this node's
//! verdict on the whole.
//!
//! [`Cluster`] owns the parts and routes between them. A part keeps its own state and reaches the
//! outside through the `Edge`; what it needs of another part it is lent as an argument, so that
//! each call says what it may touch. What follows in one part from what happened in another stands
//! in the router's own files: here, in `greeting` (hellos), in `peer` (what peers say besides) and in
//! `command` (what clients ask).
//!
//! | protocol | told in | messages |
//! | --- | --- | --- |
//! | membership (SWIM) | `swim` | datagrams |
//! | joining: dialling, hello, challenge | `join` | `message`, tags 0 to 6 and 9 |
//! | the roster, leaving, forgetting and being away | `roster` | `message`, tags 7, 8, 10 and 12 to 19 |
//! | a new address of this node | `moving` | `message`, tags of the roster |
//! | the process registry | [`registry`](crate::registry) | `registry::message` |

mod apart;
pub mod ask;
mod away;
mod breaches;
mod bundle;
mod command;
mod connections;
mod dials;
mod edge;
mod event;
mod farewell;
#[cfg(test)]
mod golden;
mod greeting;
mod hello;
mod indirect;
mod io;
mod join;
mod judging;
mod kept;
mod message;
mod moving;
mod peer;
mod processes;
mod revoking;
mod roster;
mod round;
mod search;
mod swim;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod verdict;
mod view;

pub use away::{AwayView, Declared};
pub use event::{Event, EventKind, MemberChange};
pub use indirect::Indirect;
pub use io::{
    Chain, Command, Input, JoinOutcome, JoinResult, MemberState, MemberView, Output, Refusal,
    Reply, RosterView, Settings, Stats, StopReason, Target, Verdict,
};
pub use kept::{Kept, convert_kept};
pub(crate) use round::METERED_COMPARE_EACH;
pub use search::{Search, Sought, in_words};

use crate::belief::Impostors;
use crate::machine::Machine;
use crate::registry::{Registry, Trust};
use crate::time::{Instant, Now};
use crate::wire::{ConnId, DialId, Peer, RequestId, WriteError, WriteId};
use apart::AllApart;
use connections::{Connection, Connections};
use crdt::roster::Standing;
use edge::{Edge, Timer};
use farewell::Absences;
use hello::Hellos;
use join::{Requests, Seeds};
use judging::Waiting;
use kept::{Asked, Keeper};
use moving::Moves;
use names::NodeId;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use roster::{Own, Replica};
use search::{Outcome, Searcher};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use swim::{Identity, Sighting, Swim};
use verdict::Silence;
use view::{Sources, Viewer};

/// Where the machine is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Its run is not on disk yet: it says nothing to anybody.
    Starting,
    /// It takes part.
    Up,
    /// It has said goodbye and listens to nobody; it ends with this reason.
    Going(StopReason),
    /// It has ended.
    Stopped,
}

/// The cluster machine of one node. See [`Input`] and [`Output`] for all that happens at its edge.
pub struct Cluster {
    me: Peer,
    phase: Phase,
    edge: Edge,
    rng: ChaCha8Rng,
    swim: Swim,
    connections: Connections,
    hellos: Hellos,
    seeds: Seeds,
    joins: Requests,
    roster: Replica,
    keeper: Keeper,
    silence: Silence,
    absences: Absences,
    searcher: Searcher,
    moves: Moves,
    viewer: Viewer,
    registry: Registry,
    impostors: Impostors,
    /// Members that others say are down, and that have yet to answer.
    accused: BTreeSet<NodeId>,
    accept_v1: bool,
    /// How much each peer has brought since the last round that proves nothing.
    refused: BTreeMap<NodeId, u32>,
    waiting: Waiting,
    /// What one of two nodes refuses that the other has.
    apart: AllApart,
    /// Others have said that this node is forgotten: it says its line again in the next round.
    is_contradicted: bool,
    /// Whether a timer runs after which lines go on to peers.
    is_spreading: bool,
    /// What clients asked before the run was on disk.
    early: Vec<(RequestId, Command)>,
    /// Something changed that the view is made of.
    changed: bool,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("me", &self.me)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// A machine at its start. It wants its new run written, and says nothing to anybody before
    /// that is committed.
    pub fn new(settings: Settings, now: Now) -> Self {
        let Settings {
            me,
            profile,
            seeds,
            kept,
            nonce,
            seed,
            proofs,
            accept_v1,
            pace,
            registry,
        } = settings;
        let trust = Trust::new(Arc::clone(&proofs), accept_v1);
        let profile = message::sound(profile);
        let (keeper, lines) = Keeper::after(kept);
        let address = profile.address;
        let own = Own {
            me: me.id,
            role: me.role,
            start: nonce,
            profile,
            pace,
        };
        let roster = Replica::new(own, proofs, accept_v1, lines);
        let mut rng = ChaCha8Rng::from_seed(seed);
        let swim = Swim::new(
            Identity::of_run(me.id, address, keeper.wanted()),
            ChaCha8Rng::from_rng(&mut rng),
        );
        let viewer = Viewer::new(roster.roster().members().map(|(node, _)| node).collect());
        let knew_others = roster.roster().iter().any(|(node, _)| node != me.id);
        let registry_rng = ChaCha8Rng::from_rng(&mut rng);
        let registry = Registry::new(now, &me, keeper.wanted(), (registry, registry_rng, trust));
        let mut machine = Self {
            seeds: Seeds::new(me.id, address, seeds),
            edge: Edge::new(now),
            registry,
            phase: Phase::Starting,
            connections: Connections::default(),
            hellos: Hellos::default(),
            joins: Requests::default(),
            silence: Silence::default(),
            absences: Absences::default(),
            searcher: Searcher::new(knew_others),
            moves: Moves::default(),
            impostors: Impostors::new(now.instant),
            accused: BTreeSet::new(),
            accept_v1,
            refused: BTreeMap::new(),
            waiting: Waiting::default(),
            apart: AllApart::default(),
            is_contradicted: false,
            is_spreading: false,
            early: Vec::new(),
            changed: true,
            me,
            rng,
            swim,
            roster,
            keeper,
            viewer,
        };
        machine.begin_run();
        machine
    }

    /// Writes this node's own line of the roster for its new run, and starts the timers.
    fn begin_run(&mut self) {
        self.roster.speak(self.keeper.wanted(), Standing::Member);
        self.tell_revoked();
        self.trust_addresses();
        self.edge.after(verdict::LISTEN, Timer::Listen);
        self.edge.after(join::ROUND, Timer::Round);
        self.route_and_publish();
    }
}

impl Machine for Cluster {
    type Input = Input;
    type Output = Output;
    type Stats = Stats;

    /// After [`Output::Stop`] nothing happens any more.
    fn handle(&mut self, now: Now, input: Input) {
        self.set_now(now);
        if self.phase == Phase::Stopped {
            return;
        }
        match input {
            Input::Connected {
                peer,
                conn,
                dial,
                remote,
                protocol,
            } => self.connected(conn, Connection::new(peer, remote, protocol, dial)),
            Input::DialFailed {
                dial,
                refused,
                reason,
            } => self.dial_failed(dial, refused, &reason),
            Input::DialledItself { dial } => self.dialled_itself(dial),
            Input::Message { conn, bytes } => self.message(conn, &bytes),
            Input::Datagram { conn, bytes } => self.datagram(conn, &bytes),
            Input::Closed { conn } => self.closed(conn),
            Input::Breach { conn, reason } => self.breach(conn, reason),
            Input::Written { id, result } => self.written(id, result),
            Input::Moved { address } => self.moved(address),
            Input::Recertified => self.recertified(),
            Input::Request { id, command } => self.request(id, command),
            Input::Registry(input) => self.registry_input(input),
        }
        self.route_and_publish();
    }

    fn wake(&mut self, now: Now) {
        self.set_now(now);
        if self.phase != Phase::Stopped {
            self.fire_due();
            self.route_and_publish();
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.edge.next_output()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Stopped {
            None
        } else {
            let deadlines = [self.edge.next_deadline(), self.registry.next_deadline()];
            deadlines.into_iter().flatten().min()
        }
    }

    fn stats(&self) -> Stats {
        Stats {
            registry: self.registry.stats(),
            ..self.edge.stats
        }
    }
}

impl Cluster {
    fn own_standing(&self) -> Standing {
        if self.phase == Phase::Going(StopReason::Left) {
            Standing::Left
        } else {
            Standing::Member
        }
    }

    /// This node's line carries its new certificate from now on, and other authorities may count.
    fn recertified(&mut self) {
        self.connections.breaches.forget_all();
        if self.phase == Phase::Up {
            self.roster
                .speak(self.roster.run(self.me.id), Standing::Member);
            self.roster_changed(&[self.me.id]);
            self.broadcast_line(self.me.id);
            self.judge_refused_again();
        }
    }

    fn set_now(&mut self, now: Now) {
        self.edge.now = now;
        self.registry.set_now(now);
    }

    /// Fires what is due, the earlier first; of two at the same moment the registry's is the later.
    fn fire_due(&mut self) {
        while self.phase != Phase::Stopped {
            let own = self.edge.next_deadline();
            let registrys = self.registry.next_deadline();
            if registrys.is_some_and(|at| own.is_none_or(|own| at < own)) {
                if !self.with_registry(|registry, _| registry.fire_next_due()) {
                    return;
                }
            } else if let Some(timer) = self.edge.next_due() {
                self.fire(timer);
            } else {
                return;
            }
            self.route_packets();
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Swim(timer) if self.may_rest(&timer) => {
                self.edge.after(swim::ANNOUNCE_EACH, Timer::Swim(timer));
            }
            Timer::Swim(timer) => self.swim.fire(&mut self.edge, timer),
            Timer::Prober(timer) => self.probe(timer),
            Timer::Listen => self.listen(),
            Timer::Round => self.round(),
            Timer::Challenge(older) => self.challenge_expired(older),
            Timer::Greeting(conn) => self.greeting_expired(conn),
            Timer::Presence(node) => self.judge_accusation(node),
            Timer::Join(id) => self.joins.expire(id),
            Timer::Grace(node) => {
                self.absences.expire(&mut self.edge, node);
                self.changed = true;
            }
            Timer::Judge => self.judge_more(),
            Timer::Spread => self.spread(),
            Timer::Move => self.move_on(),
            Timer::Rewrite => self.keeper.mark_dirty(),
            Timer::Leave => self.swim.leave(&mut self.edge),
            Timer::Stop => {
                if let Phase::Going(reason) = self.phase.clone() {
                    self.stop(reason);
                }
            }
        }
    }

    fn written(&mut self, id: WriteId, result: Result<(), WriteError>) {
        let Some(outcome) = self.keeper.written(&mut self.edge, id, result) else {
            return;
        };
        if let Some(run) = outcome.run {
            self.adopt(run);
        }
        for change in outcome.carried {
            self.carried_out(change, outcome.result);
        }
    }

    /// The run is on disk: now it may be spoken of.
    fn adopt(&mut self, run: u64) {
        tracing::info!(node = %self.me.name, id = %self.me.id, run, "this node has a new run");
        let identity = Identity::of_run(self.me.id, self.roster.own().profile.address, run);
        if identity != self.swim.identity() {
            self.swim.become_identity(&mut self.edge, identity);
        }
        self.roster.speak(run, self.own_standing());
        self.with_registry(|registry, _| registry.begin(run));
        self.changed = true;
        let starts = self.phase == Phase::Starting;
        if starts {
            self.phase = Phase::Up;
            self.swim.start_probing(&mut self.edge);
            let others = self.roster.roster().members().count() > 1;
            self.seeds.start(&self.edge, others);
            self.searcher.start(self.edge.instant());
            self.dial_missing();
            self.seeds.round(
                &mut self.edge,
                &mut self.connections,
                &mut self.swim,
                &self.roster,
            );
            self.look_around();
        }
        for conn in self.connections.all().collect::<Vec<_>>() {
            self.greet(conn);
            if starts {
                self.judge(conn);
            }
        }
        if starts {
            self.move_on();
        }
        for (id, command) in std::mem::take(&mut self.early) {
            self.request(id, command);
        }
    }

    fn stop(&mut self, reason: StopReason) {
        self.phase = Phase::Stopped;
        farewell::stop(&mut self.edge, reason);
    }

    /// Carries on between the parts until nothing is left to carry; then writes and shows what has
    /// changed.
    fn route_and_publish(&mut self) {
        if self.phase == Phase::Stopped {
            return;
        }
        self.route_packets();
        let (roster, me, standing) = (&self.roster, self.me.id, self.own_standing());
        self.keeper.write(&mut self.edge, |run, pending| {
            let asked = Asked::of(pending, (me, run), roster.roster());
            let standing = if asked.leaves {
                Standing::Left
            } else {
                standing
            };
            roster.kept_lines(run, standing, &asked)
        });
        if std::mem::take(&mut self.changed) {
            let sources = Sources {
                me: self.me.id,
                roster: &self.roster,
                swim: &self.swim,
                connections: &self.connections,
                absences: &self.absences,
                isolated: self.silence.is_total(),
                now: self.edge.now.wall,
            };
            self.viewer.refresh(&mut self.edge, &sources);
            self.pass_members_to_registry();
        }
        self.joins.answer_finished(&mut self.edge, &self.viewer);
        self.with_registry(|registry, links| registry.finish_step(links));
    }

    fn route_packets(&mut self) {
        while let Some(node) = self.swim.poll_accused() {
            self.hear_accusation(node);
        }
        while let Some(sighting) = self.swim.poll_sighting() {
            self.sighted(sighting);
        }
        while let Some(suspect) = self.swim.poll_suspected() {
            self.notify_suspect(suspect);
        }
        while let Some((to, bytes)) = self.swim.poll_packet() {
            if to.node != self.me.id {
                let to = (to.node, self.roster.address(to));
                self.connections.packet(&mut self.edge, to, bytes);
            }
        }
    }

    fn sighted(&mut self, sighting: Sighting) {
        self.changed = true;
        if let Some(identity) = sighting.came_up() {
            let addr = self.roster.address(identity);
            self.connections.ensure(&mut self.edge, identity.node, addr);
            self.connections
                .keep_alive(&mut self.edge, identity.node, true);
        } else if sighting.went_down() {
            self.connections
                .keep_alive(&mut self.edge, sighting.node, false);
            self.forget_in_swim(sighting.node);
        } else if sighting.is_suspect() {
            // If others declare it down later, it had its time to answer.
            self.ask_presence(sighting.node);
        }
    }

    /// Nobody is to be announced to who is not expected back.
    fn forget_in_swim(&mut self, node: NodeId) {
        if !self.roster.is_member(node) {
            self.swim.forget(&mut self.edge, node);
        }
    }

    fn dial_failed(&mut self, dial: DialId, refused: bool, reason: &str) {
        let outcome = Outcome {
            is_refused: refused,
            reason: reason.to_owned(),
        };
        self.seeds.failed(dial, &outcome);
        if let Some(node) = self.connections.dials.sought(dial) {
            self.searcher.failed(node, outcome);
        }
        self.connections.dial_failed(&mut self.edge, dial);
        self.joins.failed(dial, refused, reason);
    }

    fn dialled_itself(&mut self, dial: DialId) {
        self.connections.dial_over(&self.edge, dial);
        self.seeds.dialled_itself(&self.edge, dial);
        self.joins.dialled_itself(dial);
        self.met_own_certificate(dial);
    }

    fn closed(&mut self, conn: ConnId) {
        if self.connections.remove(&mut self.edge, conn).is_some() {
            self.connection_ended(conn);
        }
    }
}
