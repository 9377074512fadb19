//! What reaches a process by the network.

use bytes::Bytes;
use node::wire::{Channel, ConnId, DialId, Peer};
use std::net::SocketAddr;

/// What the network tells a process.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// A connection stands.
    Connected {
        /// Who is there.
        peer: Peer,
        /// The connection.
        conn: ConnId,
        /// Which attempt of this process it answers.
        dial: Option<DialId>,
        /// The other end's address.
        remote: SocketAddr,
        /// Whether the one with the smaller id dialled it.
        preferred: bool,
    },
    /// An attempt failed.
    DialFailed {
        /// The attempt.
        dial: DialId,
        /// Whether somebody answered.
        refused: bool,
    },
    /// An attempt reached the process itself.
    DialledItself {
        /// The attempt.
        dial: DialId,
    },
    /// A message.
    Message {
        /// The connection on which it came.
        conn: ConnId,
        /// On which channel.
        channel: Channel,
        /// Its bytes.
        bytes: Bytes,
    },
    /// A datagram.
    Datagram {
        /// The connection on which it came.
        conn: ConnId,
        /// Its bytes.
        bytes: Bytes,
    },
    /// A message of this process was dropped.
    Overflowed {
        /// The connection whose messages were dropped.
        conn: ConnId,
        /// On which channel.
        channel: Channel,
    },
    /// A connection is gone.
    Closed {
        /// The connection.
        conn: ConnId,
    },
}
