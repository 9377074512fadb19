//! The bounds on connections, and who has to yield when they are reached.
//!
//! A user may have so many connections, and the node so many in all. When a bound is reached, a
//! newcomer does not wait for the goodwill of those that came before: one of them is closed to make
//! room. It is chosen from the user that the bound concerns, in this order:
//!
//! 1. a connection of the process that holds most of them, on which it is the *client's turn*: it
//!    is idle, has sent half of a request, or does not read what is written to it; the one on which
//!    nothing has moved for the longest time first;
//! 2. such a connection of any other process;
//! 3. if the newcomer is another process: a stream (its client can resume it), then a call that is
//!    being worked on or a connection to which a process's registration is bound, of the process
//!    that holds most.
//!
//! Only when there is none of these is the newcomer refused with 429. So no program, whatever it
//! does with its connections, keeps another program of the same user out, and none of another user
//! is touched by it.

mod conn;

pub(crate) use conn::{Conn, Streaming};

use crate::http::connections::who::{Caller, Owner, Program, Users};
use crate::http::problem::{Kind, Problem};
use crate::metrics;
use crate::reload::Limits;
use conn::Phase;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::watch;

/// Admits connections; one for all listeners. Clones share it.
#[derive(Clone, Debug)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: watch::Receiver<Limits>,
    start: Instant,
    users: Users,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    conns: BTreeMap<u64, Arc<Conn>>,
}

/// A connection's place in the gate's table; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) conn: Arc<Conn>,
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.shared.table();
        table.conns.remove(&self.number);
        metrics::connections(table.conns.len());
        self.conn.ended();
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }

    fn limits(&self) -> Limits {
        *self.limits.borrow()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn bound(&self, owner: Owner) -> usize {
        match owner {
            Owner::User(_) => self.limits().connections_per_user,
            Owner::Address(_) => self.limits().connections / 2,
        }
    }
}

impl Gate {
    /// A gate with these bounds, as they are at each moment.
    pub fn new(limits: watch::Receiver<Limits>) -> Self {
        Self {
            shared: Arc::new(Shared {
                limits,
                start: Instant::now(),
                users: Users::default(),
                table: Mutex::default(),
            }),
        }
    }

    /// The process at the other end of a connection of the unix socket.
    pub(crate) fn process(&self, uid: u32, pid: Option<i32>) -> Caller {
        Caller::Process {
            uid,
            pid: pid.unwrap_or(0),
            user: self.shared.users.name(uid),
        }
    }

    /// Admits a connection, at the cost of another one if need be.
    pub(crate) fn admit(&self, caller: Caller) -> Result<Seat, Problem> {
        let mut table = self.shared.table();
        if let Some(crowd) = table.crowd(&caller, &self.shared) {
            table.make_room(crowd, &caller)?;
        }
        let number = table.next;
        table.next += 1;
        let conn = Arc::new(Conn::new(number, caller, Arc::clone(&self.shared)));
        table.conns.insert(number, Arc::clone(&conn));
        metrics::connections(table.conns.len());
        Ok(Seat {
            conn,
            shared: Arc::clone(&self.shared),
            number,
        })
    }

    /// Closes the connections whose client exceeds a time limit. To be called now and then.
    pub(crate) fn sweep(&self) {
        let now_ms = self.shared.now_ms();
        let table = self.shared.table();
        table
            .conns
            .values()
            .filter(|conn| conn.is_overdue(now_ms))
            .for_each(|conn| conn.cut());
    }

    /// Closes all connections: those in work after their answer.
    pub(crate) fn close_all(&self) {
        self.shared
            .table()
            .conns
            .values()
            .for_each(|conn| conn.close());
    }
}

fn refusal() -> Problem {
    metrics::connection_refused();
    Problem::new(
        Kind::TooMany,
        "all connections that this user may have are in \
        work",
    )
    .retry_after(1)
}

impl Table {
    /// Whose connections are too many when this caller comes.
    fn crowd(&self, caller: &Caller, shared: &Shared) -> Option<Owner> {
        let owner = caller.owner();
        if self.count(owner) >= shared.bound(owner) {
            return Some(owner);
        }
        if self.conns.len() < shared.limits().connections {
            return None;
        }
        let owners: BTreeMap<Owner, usize> =
            self.conns
                .values()
                .fold(BTreeMap::new(), |mut counts, conn| {
                    *counts.entry(conn.caller().owner()).or_default() += 1;
                    counts
                });
        owners
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(owner, _)| owner)
    }

    /// Closes one of an owner's connections for that newcomer.
    fn make_room(&mut self, owner: Owner, newcomer: &Caller) -> Result<(), Problem> {
        let victim = self.victim(owner, newcomer).ok_or_else(refusal)?;
        self.conns.remove(&victim).inspect(|conn| conn.cut());
        Ok(())
    }

    fn count(&self, owner: Owner) -> usize {
        self.conns
            .values()
            .filter(|conn| conn.caller().owner() == owner)
            .count()
    }

    /// Which connection of that owner yields to the newcomer.
    fn victim(&self, owner: Owner, newcomer: &Caller) -> Option<u64> {
        let of_owner = || {
            self.conns
                .iter()
                .filter(|(_, conn)| conn.caller().owner() == owner)
        };
        let held = of_owner().fold(BTreeMap::<Program, usize>::new(), |mut held, (_, conn)| {
            *held.entry(conn.caller().program()).or_default() += 1;
            held
        });
        let (greediest, _) = held.into_iter().max_by_key(|(_, count)| *count)?;
        let is_other = newcomer.owner() != owner || newcomer.program() != greediest;
        let candidates = of_owner().filter_map(|(number, conn)| {
            let (greedy, phase) = (conn.caller().program() == greediest, conn.phase());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(connections: usize, per_user: usize) -> Gate {
        let limits = Limits {
            connections,
            connections_per_user: per_user,
            streams_per_user: 2,
            ..Limits::default()
        };
        Gate::new(watch::channel(limits).1)
    }

    fn process(uid: u32, pid: i32) -> Caller {
        Caller::Process {
            uid,
            pid,
            user: None,
        }
    }

    fn is_closed(seat: &Seat) -> bool {
        use futures_util::FutureExt;
        seat.conn.closed().now_or_never().is_some()
    }

    fn seats(gate: &Gate, caller: &Caller, count: usize) -> Vec<Seat> {
        (0..count)
            .map(|_| gate.admit(caller.clone()).unwrap())
            .collect()
    }

    fn age(seat: &Seat, ms: u64) {
        seat.conn.moved_ms.store(ms, Ordering::Relaxed);
    }

    #[test]
    fn the_connection_that_has_waited_longest_for_its_client_yields() {
        let gate = gate(10, 3);
        let seats = seats(&gate, &process(1, 1), 3);
        seats
            .iter()
            .zip([5, 9, 7])
            .for_each(|(seat, ms)| age(seat, ms));
        seats[0].conn.begin();
        gate.admit(process(1, 1)).unwrap();
        assert_eq!(
            seats.iter().map(is_closed).collect::<Vec<_>>(),
            [false, false, true]
        );
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
        assert_eq!(
            seats.iter().map(is_closed).collect::<Vec<_>>(),
            [false, true, false]
        );
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
    fn a_connection_to_which_something_is_bound_may_be_idle_until_it_ends() {
        let gate = gate(10, 2);
        let seats = seats(&gate, &process(1, 1), 2);
        let (tell, told) = std::sync::mpsc::channel();
        seats.iter().for_each(|seat| {
            let tell = tell.clone();
            seat.conn.begin();
            seat.conn.end();
            seat.conn.bind(move || tell.send(()).unwrap());
        });
        assert!(!seats[0].conn.is_overdue(1_000_000));
        assert_eq!(gate.admit(process(1, 1)).unwrap_err().status(), 429);
        assert!(told.try_recv().is_err());
        drop(seats);
        assert_eq!(told.try_iter().count(), 2);
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

    fn bearer(uid: u32, token: u8) -> Caller {
        Caller::Bearer {
            uid,
            user: None,
            token: crate::tokens::TokenId([token; 8]),
        }
    }

    #[test]
    fn who_bears_a_token_is_counted_with_its_user() {
        let gate = gate(10, 2);
        let address = Caller::Address([127, 0, 0, 1].into());
        let seats = seats(&gate, &address, 3);
        seats.iter().for_each(|seat| seat.conn.begin());
        seats[0].conn.act_as(bearer(1, 1)).unwrap();
        seats[1].conn.act_as(bearer(1, 1)).unwrap();
        assert_eq!(
            seats[2].conn.act_as(bearer(1, 1)).unwrap_err().status(),
            429
        );
        assert_eq!(
            gate.admit(process(1, 7))
                .map(drop)
                .map_err(|problem| problem.status()),
            Ok(()),
            "another program takes its turn"
        );
        assert!(seats[2].conn.act_as(bearer(2, 2)).is_ok());
        seats[2].conn.act_as(address.clone()).unwrap();
        assert_eq!(seats[2].conn.caller(), address);
    }

    #[test]
    fn streams_by_tcp_are_counted_by_the_tokens_user() {
        let gate = gate(10, 10);
        let seats = seats(&gate, &Caller::Address([127, 0, 0, 1].into()), 3);
        [1, 2, 3]
            .into_iter()
            .zip(&seats)
            .for_each(|(token, seat)| seat.conn.act_as(bearer(1, token)).unwrap());
        let _first = seats[0].conn.stream().unwrap();
        let _second = seats[1].conn.stream().unwrap();
        assert_eq!(seats[2].conn.stream().unwrap_err().status(), 429);
        seats[2].conn.act_as(bearer(2, 4)).unwrap();
        assert!(seats[2].conn.stream().is_ok());
    }

    #[test]
    fn clients_have_a_time_for_each_step() {
        let gate = gate(10, 10);
        let seat = gate.admit(process(1, 1)).unwrap();
        assert!(
            !seat.conn.is_overdue(10_000) && seat.conn.is_overdue(10_100 + gate.shared.now_ms())
        );
        seat.conn.begin();
        assert!(!seat.conn.is_overdue(1_000_000));
        seat.conn.end();
        assert!(!seat.conn.is_overdue(30_000) && seat.conn.is_overdue(1_000_000));
        seat.conn.blocked();
        assert!(seat.conn.is_overdue(31_000 + gate.shared.now_ms()));
    }
}
