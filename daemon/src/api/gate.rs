//! The bounds on connections, and who has to yield when they are reached.
//!
//! A user may have so many connections, and the node so many in all. When a bound is reached, a newcomer does not wait
//! for the goodwill of those that came before: one of them is closed to make room. It is chosen from the user that the
//! bound concerns, in this order:
//!
//! 1. a connection of the process that holds most of them, on which it is the *client's turn*: it is idle, has sent half
//!    of a request, or does not read what is written to it; the one on which nothing has moved for the longest time first;
//! 2. such a connection of any other process;
//! 3. if the newcomer is another process: a stream (its client can resume it), then a call that is being worked on, of
//!    the process that holds most.
//!
//! Only when there is none of these is the newcomer refused with 429. So no program, whatever it does with its
//! connections, keeps another program of the same user out, and none of another user is touched by it.

use crate::api::problem::{Kind, Problem};
use crate::api::who::{Caller, Owner, Users};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Bounds on the clients of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all, on the socket and by TCP.
    pub connections: usize,
    /// Connections of one user on the socket. All of one address on TCP may have half of `connections`.
    pub connections_per_user: usize,
    /// Streams of one user or address.
    pub streams_per_user: usize,
    /// How long a client may take to send a request's head.
    pub head: Duration,
    /// How long a client may take to send a request's body.
    pub body: Duration,
    /// How long a connection may be idle between requests.
    pub idle: Duration,
    /// How long a client may leave an answer unread. Streams wait longer: they end when too much is waiting.
    pub unread: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_user: 128,
            streams_per_user: 64,
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            unread: Duration::from_secs(30),
        }
    }
}

/// Admits connections; one for all listeners. Clones share it.
#[derive(Clone, Debug)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    start: Instant,
    users: Users,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    conns: BTreeMap<u64, Arc<Conn>>,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Phase {
    /// No request is in work: idle, or its head is arriving, or an answer is being read.
    Head,
    /// A request's body is arriving.
    Body,
    /// An endless answer is being sent.
    Streaming,
    /// A request is in work.
    Working,
}

impl Phase {
    fn of(byte: u8) -> Self {
        [Self::Head, Self::Body, Self::Streaming].into_iter().find(|phase| *phase as u8 == byte).unwrap_or(Self::Working)
    }
}

/// One connection, as its requests and the gate see it.
#[derive(Debug)]
pub(crate) struct Conn {
    caller: Caller,
    shared: Arc<Shared>,
    phase: AtomicU8,
    /// When bytes last went through it, in milliseconds since the gate's start.
    moved_ms: AtomicU64,
    /// When the head that is arriving began, likewise; `IDLE` between requests.
    head_ms: AtomicU64,
    /// Whether the client leaves what is written to it unread.
    unread: AtomicBool,
    /// Whether it is to end without an answer to what is in work.
    cut: AtomicBool,
    close: Notify,
}

const IDLE: u64 = u64::MAX;

/// A connection's place in the gate's table; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) conn: Arc<Conn>,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.conn.shared.table().conns.remove(&self.number);
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(IDLE - 1)
    }

    fn bound(&self, owner: Owner) -> usize {
        match owner {
            Owner::User(_) => self.limits.connections_per_user,
            Owner::Address(_) => self.limits.connections / 2,
        }
    }
}

impl Gate {
    /// A gate with these bounds.
    pub fn new(limits: Limits) -> Self {
        Self { shared: Arc::new(Shared { limits, start: Instant::now(), users: Users::default(), table: Mutex::default() }) }
    }

    /// The process at the other end of a connection of the unix socket.
    pub(crate) fn process(&self, uid: u32, pid: Option<i32>) -> Caller {
        Caller::Process { uid, pid: pid.unwrap_or(0), user: self.shared.users.name(uid) }
    }

    /// Admits a connection, at the cost of another one if need be.
    pub(crate) fn admit(&self, caller: Caller) -> Result<Seat, Problem> {
        let mut table = self.shared.table();
        if let Some(crowd) = table.crowd(&caller, &self.shared) {
            let victim = table.victim(crowd, &caller).ok_or_else(refusal)?;
            table.conns.remove(&victim).inspect(|conn| conn.cut());
        }
        let number = table.next;
        table.next += 1;
        let conn = Arc::new(Conn::new(caller, Arc::clone(&self.shared)));
        table.conns.insert(number, Arc::clone(&conn));
        Ok(Seat { conn, number })
    }

    /// Closes the connections whose client exceeds a time limit. To be called now and then.
    pub(crate) fn sweep(&self) {
        let now_ms = self.shared.now_ms();
        let table = self.shared.table();
        table.conns.values().filter(|conn| conn.is_overdue(now_ms)).for_each(|conn| conn.cut());
    }

    /// Closes all connections: those in work after their answer.
    pub(crate) fn close_all(&self) {
        self.shared.table().conns.values().for_each(|conn| conn.close.notify_one());
    }
}

fn refusal() -> Problem {
    Problem::new(Kind::TooMany, "all connections that this user may have are in work").retry_after(1)
}

impl Table {
    /// Whose connections are too many when this caller comes.
    fn crowd(&self, caller: &Caller, shared: &Shared) -> Option<Owner> {
        let owner = caller.owner();
        if self.count(owner) >= shared.bound(owner) {
            return Some(owner);
        }
        if self.conns.len() < shared.limits.connections {
            return None;
        }
        let owners: BTreeMap<Owner, usize> = self.conns.values().fold(BTreeMap::new(), |mut counts, conn| {
            *counts.entry(conn.caller.owner()).or_default() += 1;
            counts
        });
        owners.into_iter().max_by_key(|(_, count)| *count).map(|(owner, _)| owner)
    }

    fn count(&self, owner: Owner) -> usize {
        self.conns.values().filter(|conn| conn.caller.owner() == owner).count()
    }

    /// Which connection of that owner yields to the newcomer.
    fn victim(&self, owner: Owner, newcomer: &Caller) -> Option<u64> {
        let of_owner = || self.conns.iter().filter(|(_, conn)| conn.caller.owner() == owner);
        let held = of_owner().fold(BTreeMap::<i32, usize>::new(), |mut held, (_, conn)| {
            *held.entry(conn.caller.process()).or_default() += 1;
            held
        });
        let (greediest, _) = held.into_iter().max_by_key(|(_, count)| *count)?;
        let is_other = newcomer.owner() != owner || newcomer.process() != greediest;
        let candidates = of_owner().filter_map(|(number, conn)| {
            let (greedy, phase) = (conn.caller.process() == greediest, conn.phase());
            let rank = match (conn.is_clients_turn(), greedy) {
                (true, true) => 1,
                (true, false) => 2,
                (false, true) if is_other => {
                    if phase == Phase::Streaming {
                        3
                    } else {
                        4
                    }
                }
                (false, _) => return None,
            };
            Some((rank, conn.moved_ms.load(Ordering::Relaxed), *number))
        });
        candidates.min().map(|(_, _, number)| number)
    }
}

impl Conn {
    fn new(caller: Caller, shared: Arc<Shared>) -> Self {
        let now_ms = AtomicU64::new(shared.now_ms());
        let moved_ms = AtomicU64::new(shared.now_ms());
        let phase = AtomicU8::new(Phase::Head as u8);
        Self {
            caller,
            shared,
            phase,
            moved_ms,
            head_ms: now_ms,
            unread: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            close: Notify::new(),
        }
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Relaxed))
    }

    fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Whether it is the client who has to do something before we can go on.
    fn is_clients_turn(&self) -> bool {
        matches!(self.phase(), Phase::Head | Phase::Body) || self.unread.load(Ordering::Relaxed)
    }

    fn is_overdue(&self, now_ms: u64) -> bool {
        let since = |ms: u64| Duration::from_millis(now_ms.saturating_sub(ms));
        let (moved, head_ms) = (since(self.moved_ms.load(Ordering::Relaxed)), self.head_ms.load(Ordering::Relaxed));
        let limits = self.limits();
        let unread = self.unread.load(Ordering::Relaxed);
        match self.phase() {
            Phase::Head if unread => moved > limits.unread,
            Phase::Head if head_ms != IDLE => since(head_ms) > limits.head,
            Phase::Head => moved > limits.idle,
            // A body has its own deadline, work has that of its call, and a stream ends when too much is waiting.
            Phase::Body | Phase::Working | Phase::Streaming => false,
        }
    }

    /// Bytes came from the client.
    pub(crate) fn read(&self) {
        let now_ms = self.shared.now_ms();
        self.moved_ms.store(now_ms, Ordering::Relaxed);
        if self.phase() == Phase::Head && self.head_ms.load(Ordering::Relaxed) == IDLE {
            self.head_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Bytes went to the client.
    pub(crate) fn wrote(&self) {
        self.moved_ms.store(self.shared.now_ms(), Ordering::Relaxed);
        self.unread.store(false, Ordering::Relaxed);
    }

    /// The client does not take what we write.
    pub(crate) fn blocked(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// A request's head has arrived.
    pub(crate) fn begin(&self) {
        self.head_ms.store(IDLE, Ordering::Relaxed);
        self.set_phase(Phase::Working);
    }

    /// A request is answered. An answer that is a stream goes on until its [`Streaming`] is dropped.
    pub(crate) fn end(&self) {
        if self.phase() != Phase::Streaming {
            self.set_phase(Phase::Head);
        }
    }

    /// Marks the time in which a body is awaited.
    pub(crate) async fn receiving<T>(&self, body: impl Future<Output = T>) -> T {
        self.set_phase(Phase::Body);
        let received = body.await;
        self.set_phase(Phase::Working);
        received
    }

    /// Makes this request's answer a stream, if its owner may have one more.
    pub(crate) fn stream(self: &Arc<Self>) -> Result<Streaming, Problem> {
        let table = self.shared.table();
        let is_mine = |conn: &&Arc<Self>| conn.caller.owner() == self.caller.owner() && conn.phase() == Phase::Streaming;
        let bound = self.shared.limits.streams_per_user;
        if table.conns.values().filter(is_mine).count() >= bound {
            let detail = format!("this user has {bound} streams open, which is as many as may be");
            return Err(Problem::new(Kind::TooMany, detail).retry_after(1));
        }
        self.set_phase(Phase::Streaming);
        Ok(Streaming(Arc::clone(self)))
    }

    /// Closes it, whatever is in work.
    fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
        self.close.notify_one();
    }

    /// Waits until the gate wants this connection closed.
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }

    /// Whether a connection that is to be closed may first answer what is in work: not if that waits for the client or
    /// never ends.
    pub(crate) fn may_finish(&self) -> bool {
        let is_in_head = self.phase() == Phase::Head && self.head_ms.load(Ordering::Relaxed) != IDLE;
        let waits = is_in_head || self.phase() == Phase::Body || self.unread.load(Ordering::Relaxed);
        !(self.cut.load(Ordering::Relaxed) || waits || self.phase() == Phase::Streaming)
    }
}

/// Held while an answer is a stream.
#[derive(Debug)]
pub(crate) struct Streaming(Arc<Conn>);

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.set_phase(Phase::Head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(connections: usize, per_user: usize) -> Gate {
        Gate::new(Limits { connections, connections_per_user: per_user, streams_per_user: 2, ..Limits::default() })
    }

    fn process(uid: u32, pid: i32) -> Caller {
        Caller::Process { uid, pid, user: None }
    }

    fn is_closed(seat: &Seat) -> bool {
        use futures_util::FutureExt;
        seat.conn.closed().now_or_never().is_some()
    }

    fn seats(gate: &Gate, caller: &Caller, count: usize) -> Vec<Seat> {
        (0..count).map(|_| gate.admit(caller.clone()).unwrap()).collect()
    }

    fn age(seat: &Seat, ms: u64) {
        seat.conn.moved_ms.store(ms, Ordering::Relaxed);
    }

    #[test]
    fn the_connection_that_has_waited_longest_for_its_client_yields() {
        let gate = gate(10, 3);
        let seats = seats(&gate, &process(1, 1), 3);
        seats.iter().zip([5, 9, 7]).for_each(|(seat, ms)| age(seat, ms));
        seats[0].conn.begin();
        gate.admit(process(1, 1)).unwrap();
        assert_eq!(seats.iter().map(is_closed).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn an_idle_program_is_not_closed_for_a_greedy_one() {
        let gate = gate(10, 3);
        let idle = gate.admit(process(1, 1)).unwrap();
        let greedy = seats(&gate, &process(1, 2), 2);
        greedy.iter().for_each(|seat| age(seat, 100));
        gate.admit(process(1, 2)).unwrap();
        assert!(!is_closed(&idle) && greedy.iter().filter(|seat| is_closed(seat)).count() == 1);
    }

    #[test]
    fn a_program_that_works_on_all_connections_is_refused_more() {
        let gate = gate(10, 3);
        let seats = seats(&gate, &process(1, 1), 3);
        seats.iter().for_each(|seat| seat.conn.begin());
        assert_eq!(gate.admit(process(1, 1)).unwrap_err().status(), 429);
        assert!(!seats.iter().any(is_closed));
    }

    #[test]
    fn another_program_of_the_user_takes_a_stream_of_the_greedy_one() {
        let gate = gate(10, 3);
        let seats = seats(&gate, &process(1, 1), 3);
        seats.iter().for_each(|seat| seat.conn.begin());
        let _stream = seats[1].conn.stream().unwrap();
        gate.admit(process(1, 2)).unwrap();
        assert_eq!(seats.iter().map(is_closed).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn a_stalled_reader_yields_even_while_it_streams() {
        let gate = gate(10, 1);
        let seat = gate.admit(process(1, 1)).unwrap();
        seat.conn.begin();
        let _stream = seat.conn.stream().unwrap();
        seat.conn.blocked();
        gate.admit(process(1, 1)).unwrap();
        assert!(is_closed(&seat));
    }

    #[test]
    fn other_users_are_not_touched() {
        let gate = gate(10, 2);
        let bystander = gate.admit(process(2, 9)).unwrap();
        let _greedy = seats(&gate, &process(1, 1), 5);
        assert!(!is_closed(&bystander));
    }

    #[test]
    fn a_full_node_makes_room_at_the_cost_of_the_user_with_most() {
        let gate = gate(4, 3);
        let many = seats(&gate, &process(1, 1), 3);
        let few = gate.admit(process(2, 2)).unwrap();
        gate.admit(process(3, 3)).unwrap();
        assert!(many.iter().filter(|seat| is_closed(seat)).count() == 1 && !is_closed(&few));
    }

    #[test]
    fn a_connection_that_ends_makes_room() {
        let gate = gate(10, 1);
        let first = gate.admit(process(1, 1)).unwrap();
        first.conn.begin();
        assert!(gate.admit(process(1, 1)).is_err());
        drop(first);
        assert!(gate.admit(process(1, 1)).is_ok());
    }

    #[test]
    fn streams_are_counted_by_user() {
        let gate = gate(10, 10);
        let seats = seats(&gate, &process(1, 1), 3);
        let first = seats[0].conn.stream().unwrap();
        let _second = seats[1].conn.stream().unwrap();
        assert_eq!(seats[2].conn.stream().unwrap_err().status(), 429);
        assert!(gate.admit(process(2, 1)).unwrap().conn.stream().is_ok());
        drop(first);
        assert!(seats[2].conn.stream().is_ok());
    }

    #[test]
    fn clients_have_a_time_for_each_step() {
        let gate = gate(10, 10);
        let seat = gate.admit(process(1, 1)).unwrap();
        assert!(!seat.conn.is_overdue(10_000) && seat.conn.is_overdue(10_100 + seat.conn.shared.now_ms()));
        seat.conn.begin();
        assert!(!seat.conn.is_overdue(1_000_000));
        seat.conn.end();
        assert!(!seat.conn.is_overdue(30_000) && seat.conn.is_overdue(1_000_000));
        seat.conn.blocked();
        assert!(seat.conn.is_overdue(31_000 + seat.conn.shared.now_ms()));
    }
}
