//! What a connection receives: datagrams, and the peer's streams, each read by a task of its own.

use crate::connection::Link;
use crate::endpoint::Core;
use crate::event::{Event, Outbox, Outboxes};
use crate::frame::{self, Assembler, Frame};
use crate::settings::Lane;
use bytes::Bytes;
use quinn::{ReadError, ReadExactError, ReadToEndError, RecvStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::watch;
use tracing::debug;

/// How much is read from QUIC at once, in bytes.
const CHUNK_BYTES: usize = 64 << 10;
/// The code with which the stream of a channel is refused that a later program may have.
pub(crate) const UNKNOWN_CHANNEL: u32 = 1;

/// Closed until `Connected` was told on a lane; `Closed` waits until nobody holds them (see
/// [`crate::connection::start`]).
#[derive(Clone, Debug)]
pub(crate) struct Gates {
    pub(crate) urgent: watch::Receiver<bool>,
    pub(crate) bulk: watch::Receiver<bool>,
}

impl Gates {
    /// The gate of a lane. The other one is let go: a full queue must not hold up `Closed` on the
    /// other.
    fn of(self, lane: Lane) -> watch::Receiver<bool> {
        match lane {
            Lane::Urgent => self.urgent,
            Lane::Bulk => self.bulk,
        }
    }
}

/// How a stream ended otherwise than well.
enum End {
    /// With its connection.
    Lost,
    /// By the peer's fault.
    Violation(String),
}

impl From<ReadError> for End {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(_) => Self::Lost,
            ReadError::Reset(_)
            | ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected => Self::Violation("it broke a channel off".to_owned()),
        }
    }
}

/// Delivers datagrams until the connection closes; drops them when the queue is full.
pub(crate) async fn datagrams(
    core: Arc<Core>,
    link: Arc<Link>,
    outbox: Outbox,
    gate: watch::Receiver<bool>,
) {
    let gate = pass(gate).await;
    while let Ok(bytes) = link.quic.read_datagram().await {
        datagram(&core, &link, &outbox, bytes);
    }
    drop(gate);
}

/// Accepts the peer's streams until the connection closes, then takes the connection out of the
/// registry.
pub(crate) async fn streams(
    core: Arc<Core>,
    link: Arc<Link>,
    outboxes: Outboxes,
    gates: Gates,
    first: Option<RecvStream>,
) {
    let mut next = first;
    loop {
        if let Some(stream) = next.take() {
            let reader = Reader {
                core: core.clone(),
                link: link.clone(),
                outboxes: outboxes.clone(),
                gates: gates.clone(),
            };
            core.runtime.spawn(reader.run(stream));
        }
        match link.quic.accept_uni().await {
            Ok(stream) => next = Some(stream),
            Err(_) => break,
        }
    }
    link.end_queues();
    core.forget(&link);
}

/// Reads one stream.
struct Reader {
    core: Arc<Core>,
    link: Arc<Link>,
    outboxes: Outboxes,
    gates: Gates,
}

impl Reader {
    async fn run(self, stream: RecvStream) {
        let (core, link) = (self.core.clone(), self.link.clone());
        if let Err(End::Violation(reason)) = self.read(stream).await {
            link.violated(&core, &reason);
        }
    }

    async fn read(self, mut stream: RecvStream) -> Result<(), End> {
        let mut kind = [0];
        match stream.read_exact(&mut kind).await {
            Ok(()) => {}
            Err(ReadExactError::FinishedEarly(_)) => {
                return Err(End::Violation("it opened an empty stream".to_owned()));
            }
            Err(ReadExactError::ReadError(error)) => return Err(error.into()),
        }
        match kind {
            [frame::ONE_DATAGRAM] => self.one_datagram(stream).await,
            [channel] => self.channel(channel, stream).await,
        }
    }

    /// A large datagram that the peer gave up is no fault of it.
    async fn one_datagram(self, mut stream: RecvStream) -> Result<(), End> {
        let gate = pass(self.gates.of(Lane::Urgent)).await;
        match stream.read_to_end(frame::MAX_DATAGRAM_BYTES).await {
            Ok(bytes) => datagram(&self.core, &self.link, &self.outboxes.urgent, bytes.into()),
            Err(ReadToEndError::TooLong) => {
                return Err(End::Violation(
                    "it sent a datagram that is \
                too large"
                        .to_owned(),
                ));
            }
            Err(ReadToEndError::Read(_)) => {}
        }
        drop(gate);
        Ok(())
    }

    async fn channel(self, channel: u8, mut stream: RecvStream) -> Result<(), End> {
        let opened = self.link.opened.get(usize::from(channel));
        if opened.is_none_or(|opened| opened.swap(true, Relaxed)) {
            return Err(End::Violation(format!("it opened channel {channel} twice")));
        }
        if channel >= self.core.settings.channels {
            debug!(
                conn = self.link.conn,
                channel, "a peer opened a channel that is not known here"
            );
            let _ = stream.stop(UNKNOWN_CHANNEL.into());
            return Ok(());
        }
        let lane = self.core.settings.lane(channel);
        let gate = pass(self.gates.of(lane)).await;
        let outbox = self.outboxes.of(lane);
        let mut assembler = Assembler::new(self.core.settings.max_frame_bytes);
        while let Some(chunk) = stream.read_chunk(CHUNK_BYTES, true).await? {
            let mut bytes = chunk.bytes;
            while !bytes.is_empty() {
                let frame = assembler
                    .next(&mut bytes)
                    .map_err(|error| End::Violation(error.to_string()))?;
                self.link.greeted.store(true, Relaxed);
                if let Some(Frame::Message(message)) = frame {
                    message_received(&self.core, &self.link, message.len());
                    self.link.delivering.fetch_add(1, Relaxed);
                    outbox
                        .deliver(Event::Message {
                            conn: self.link.conn,
                            channel,
                            bytes: message,
                        })
                        .await;
                    self.link.delivering.fetch_sub(1, Relaxed);
                }
            }
        }
        drop(gate);
        if assembler.is_between_frames() {
            Ok(())
        } else {
            Err(End::Violation(
                "it ended a channel within a message".to_owned(),
            ))
        }
    }
}

/// Waits until `Connected` was told; the returned gate is held until all was delivered.
async fn pass(mut gate: watch::Receiver<bool>) -> watch::Receiver<bool> {
    // An error means that the lane has gone, which it does not while a gate is held.
    let _ = gate.wait_for(|open| *open).await;
    gate
}

fn datagram(core: &Core, link: &Link, outbox: &Outbox, bytes: Bytes) {
    let counter = match outbox.offer(Event::Datagram {
        conn: link.conn,
        bytes,
    }) {
        true => &core.counters.datagrams_received,
        false => &core.counters.datagrams_dropped,
    };
    counter.fetch_add(1, Relaxed);
}

fn message_received(core: &Core, link: &Link, bytes: usize) {
    link.moved.fetch_add(1, Relaxed);
    core.counters.messages_received.fetch_add(1, Relaxed);
    core.counters
        .message_bytes_received
        .fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Relaxed);
}
