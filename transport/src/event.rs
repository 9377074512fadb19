//! What an endpoint tells its user, and the bounded queues on which it does.

use crate::refusal::DialErrorKind;
use crate::settings::Lane;
use bytes::Bytes;
use pki::Role;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Who is at the other end, by its certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName {
    /// The node's id.
    pub id: [u8; 16],
    /// The node's name.
    pub name: String,
    /// What it is in its cluster.
    pub role: Role,
}

/// What happened. For one connection and on one queue: `Connected` first, `Closed` last, messages
/// of a channel in the order in which they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection stands; on both queues. Two nodes can have several for a while (both dialled,
    /// or one restarted): use the living one with the greatest `(preferred, conn)`, then both ends
    /// settle on the same one, whatever the order of events.
    Connected {
        /// Its number, never used again, greater than all earlier ones.
        conn: u64,
        /// Who is there.
        peer: PeerName,
        /// Which dial of ours it answers.
        dial: Option<u64>,
        /// Which of the protocol's versions both speak.
        alpn: Vec<u8>,
        /// The address at the other end; an IPv4 address is always written as one.
        remote: SocketAddr,
        /// Dialled by the node with the smaller id. A connection that is not preferred is as good
        /// as any while it is the only one; otherwise its dialler closes it once it has been quiet
        /// and the other one has proved to be alive.
        preferred: bool,
    },
    /// A dial of ours failed; on the urgent queue.
    DialFailed {
        /// The attempt.
        dial: u64,
        /// What kind of failure.
        kind: DialErrorKind,
        /// In words.
        reason: String,
    },
    /// A message; channel 0 on the urgent queue, all others on the bulk queue.
    Message {
        /// Where it came in.
        conn: u64,
        /// On which channel.
        channel: u8,
        /// Its bytes.
        bytes: Bytes,
    },
    /// A datagram; on the urgent queue, dropped when that is full.
    Datagram {
        /// Where it came in.
        conn: u64,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Messages for this channel were dropped because its send queue was full; on the queue of that
    /// channel. Told once until the send queue is empty again.
    Overflowed {
        /// On which connection.
        conn: u64,
        /// On which channel.
        channel: u8,
    },
    /// A connection is gone; on both queues, never lost.
    Closed {
        /// The connection.
        conn: u64,
        /// Why, in words.
        reason: String,
        /// Whether this end closed it because the peer broke the protocol of this layer.
        is_violated: bool,
    },
}

impl Event {
    /// What it takes of its queue's room, in bytes.
    fn weight(&self) -> usize {
        match self {
            Self::Message { bytes, .. } | Self::Datagram { bytes, .. } => bytes.len(),
            Self::Connected { .. }
            | Self::DialFailed { .. }
            | Self::Overflowed { .. }
            | Self::Closed { .. } => 0,
        }
    }
}

/// The reading end of one ordered, bounded queue of events. While it is full, peers are held back
/// by flow control.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<Queued>,
}

impl Events {
    /// The next event; `None` after a shutdown, when all connections have ended. Loses nothing when
    /// it is cancelled.
    pub async fn next(&mut self) -> Option<Event> {
        self.queue.recv().await.map(|queued| queued.event)
    }

    /// The next event if there is one now.
    pub fn try_next(&mut self) -> Option<Event> {
        self.queue.try_recv().ok().map(|queued| queued.event)
    }
}

/// An event, and the room it takes until it is read.
#[derive(Debug)]
struct Queued {
    event: Event,
    _room: Option<OwnedSemaphorePermit>,
}

/// The writing end of [`Events`].
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    queue: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    room_bytes: usize,
}

/// Makes a queue for so many events with so many bytes in all.
pub(crate) fn queue(len: usize, bytes: usize) -> (Outbox, Events) {
    let room_bytes = bytes.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
    let (sender, receiver) = mpsc::channel(len.max(1));
    (
        Outbox {
            queue: sender,
            room: Arc::new(Semaphore::new(room_bytes)),
            room_bytes,
        },
        Events { queue: receiver },
    )
}

impl Outbox {
    /// Waits for room. An event for a queue that nobody reads any more is dropped.
    pub(crate) async fn deliver(&self, event: Event) {
        let room = match self.permits(&event) {
            0 => None,
            permits => tokio::select! {
                room = self.room.clone().acquire_many_owned(permits) => room.ok(),
                () = self.queue.closed() => return,
            },
        };
        let _ = self.queue.send(Queued { event, _room: room }).await;
    }

    /// Does not wait; whether there was room.
    pub(crate) fn offer(&self, event: Event) -> bool {
        let Ok(room) = self
            .room
            .clone()
            .try_acquire_many_owned(self.permits(&event))
        else {
            return false;
        };
        self.queue
            .try_send(Queued {
                event,
                _room: Some(room),
            })
            .is_ok()
    }

    /// An event heavier than the whole queue waits until it is alone.
    fn permits(&self, event: &Event) -> u32 {
        u32::try_from(event.weight().min(self.room_bytes)).unwrap_or(u32::MAX)
    }
}

/// Both queues.
#[derive(Clone, Debug)]
pub(crate) struct Outboxes {
    pub(crate) urgent: Outbox,
    pub(crate) bulk: Outbox,
}

impl Outboxes {
    /// Where the messages of a lane go.
    pub(crate) fn of(&self, lane: Lane) -> &Outbox {
        match lane {
            Lane::Urgent => &self.urgent,
            Lane::Bulk => &self.bulk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(len: usize) -> Event {
        Event::Datagram {
            conn: 1,
            bytes: vec![0; len].into(),
        }
    }

    #[tokio::test]
    async fn a_queue_is_full_by_bytes_and_by_events() {
        let (outbox, mut events) = queue(3, 100);
        assert!(outbox.offer(datagram(60)));
        assert!(!outbox.offer(datagram(60)));
        assert!(outbox.offer(datagram(0)) && outbox.offer(datagram(0)));
        assert!(!outbox.offer(datagram(0)));
        assert_eq!(events.try_next(), Some(datagram(60)));
        assert!(outbox.offer(datagram(60)));
    }

    #[tokio::test]
    async fn an_event_heavier_than_the_queue_passes_alone() {
        let (outbox, mut events) = queue(3, 100);
        outbox.deliver(datagram(1000)).await;
        assert!(!outbox.offer(datagram(1)));
        assert_eq!(events.next().await, Some(datagram(1000)));
        assert!(outbox.offer(datagram(1)));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_queue_that_is_not_read_any_more() {
        let (outbox, events) = queue(1, 100);
        outbox.deliver(datagram(100)).await;
        drop(events);
        outbox.deliver(datagram(100)).await;
    }
}
