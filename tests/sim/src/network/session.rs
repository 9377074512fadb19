//! One connection between two processes, as both ends have it.

use bytes::Bytes;
use node::time::Instant;
use node::wire::{Channel, ConnId, DialId};
use std::collections::VecDeque;

/// How far one end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The handshake goes on.
    Opening,
    /// Its process was told of it.
    Open,
    /// Gone, also when its process is.
    Closed,
}

/// One channel's messages on their way from one end to the other.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Not sent yet.
    pub(super) waiting: VecDeque<Bytes>,
    pub(super) waiting_bytes: usize,
    /// Whether its process was told that the queue is full, and it has not drained since.
    pub(super) overflowed: bool,
    /// Which step to send the next one is planned, if one is.
    pub(super) planned: Option<u64>,
    /// How many steps were planned.
    pub(super) plans: u64,
    /// Under way; they arrive in this order.
    pub(super) in_flight: VecDeque<Bytes>,
    pub(super) last_arrival: Instant,
    /// Failed attempts to send the first one.
    pub(super) attempts: u32,
}

impl Outgoing {
    /// Plans a step to send the next message instead of the one that was planned; gives its number.
    pub(super) fn plan(&mut self) -> u64 {
        self.plans += 1;
        self.planned = Some(self.plans);
        self.plans
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.in_flight.clear();
    }
}

/// One side's end of a connection.
#[derive(Debug)]
pub(super) struct End {
    pub(super) host: usize,
    pub(super) epoch: u64,
    pub(super) conn: ConnId,
    pub(super) state: State,
    pub(super) keep_alive: bool,
    /// When a packet of the other end last came in.
    pub(super) heard: Instant,
    /// When a message last went in or out.
    pub(super) active: Instant,
    /// Whether another connection to the same peer is kept instead of this one.
    pub(super) loser: bool,
    pub(super) channels: [Outgoing; Channel::ALL.len()],
}

impl End {
    pub(super) fn new(host: usize, epoch: u64, conn: ConnId, now: Instant) -> Self {
        let channels = Default::default();
        Self {
            host,
            epoch,
            conn,
            state: State::Opening,
            keep_alive: true,
            heard: now,
            active: now,
            loser: false,
            channels,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }
}

/// A connection: end 0 dialled, end 1 listens.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) dial: DialId,
    /// Who must answer, if only one may.
    pub(super) expect: Option<names::NodeId>,
    pub(super) ends: [End; 2],
}

impl Session {
    pub(super) fn hosts(&self) -> (usize, usize) {
        (self.ends[0].host, self.ends[1].host)
    }
}
