//! What a connection sends: one task per channel, and one-off streams for large datagrams.

use crate::connection::Link;
use crate::endpoint::Core;
use crate::frame;
use crate::reader::UNKNOWN_CHANNEL;
use bytes::Bytes;
use quinn::{SendStream, VarInt, WriteError};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;

/// About how much is framed and handed to QUIC at once, in bytes.
const BATCH_BYTES: usize = 64 << 10;

/// What a writer does next.
enum Step {
    Messages(Vec<Bytes>),
    KeepAlive,
    End,
}

/// Sends a channel's messages until its queue has ended, then waits until the last byte is
/// acknowledged, or until an older program has refused the channel. `_alive` tells by its drop that
/// this writer is done.
pub(crate) async fn run(
    core: Arc<Core>,
    link: Arc<Link>,
    channel: u8,
    _alive: watch::Receiver<()>,
) {
    match write_all(&core, &link, channel).await {
        Err(WriteError::Stopped(code)) if code == VarInt::from_u32(UNKNOWN_CHANNEL) => {
            debug!(
                conn = link.conn,
                channel, "the peer does not know a channel"
            );
            if let Some(queue) = link.queues.get(usize::from(channel)) {
                queue.discard();
            }
        }
        Err(WriteError::Stopped(_)) => link.violated(&core, "it stopped reading a channel"),
        Err(error) => debug!(conn = link.conn, channel, %error, "a channel has ended"),
        Ok(()) => {}
    }
}

async fn write_all(core: &Core, link: &Link, channel: u8) -> Result<(), WriteError> {
    let Some(queue) = link.queues.get(usize::from(channel)) else {
        return Ok(());
    };
    let mut stream = None;
    if channel == 0 {
        // The greeting: see the crate's documentation of the wire, and `duplicate`.
        write(link, channel, &mut stream, &mut [frame::keep_alive()]).await?;
    }
    loop {
        match next(core, link, channel).await {
            Step::KeepAlive => {
                write(link, channel, &mut stream, &mut [frame::keep_alive()]).await?
            }
            Step::Messages(messages) => {
                write(link, channel, &mut stream, &mut frame::encode(&messages)).await?;
                queue.written();
                count(core, link, &messages);
            }
            Step::End => break,
        }
    }
    let Some(mut stream) = stream else {
        return Ok(());
    };
    if stream.finish().is_ok() {
        let _ = stream.stopped().await;
    }
    Ok(())
}

async fn next(core: &Core, link: &Link, channel: u8) -> Step {
    let Some(queue) = link.queues.get(usize::from(channel)) else {
        return Step::End;
    };
    loop {
        let before = link.packets_received();
        tokio::select! {
            taken = queue.take(BATCH_BYTES) => return taken.map_or(Step::End, Step::Messages),
            () = link.ping.notified(), if channel == 0 => return Step::KeepAlive,
            () = sleep(core.settings.keep_alive), if channel == 0 => {
                if link.keep_alive.load(Relaxed) && link.packets_received() == before {
                    return Step::KeepAlive;
                }
            }
        }
    }
}

/// Writes to the channel's stream, which the first write opens. A peer that allows no streams holds
/// this channel up until the connection closes.
async fn write(
    link: &Link,
    channel: u8,
    stream: &mut Option<SendStream>,
    chunks: &mut [Bytes],
) -> Result<(), WriteError> {
    let stream = match stream {
        Some(stream) => stream,
        None => stream.insert(open(link, channel).await?),
    };
    stream.write_all_chunks(chunks).await
}

async fn open(link: &Link, channel: u8) -> Result<SendStream, WriteError> {
    let mut stream = link.quic.open_uni().await?;
    // Channel 0 goes before the others, large datagrams (see below) before all.
    let _ = stream.set_priority(if channel == 0 { 1 } else { 0 });
    stream.write_all(&[channel]).await?;
    Ok(stream)
}

fn count(core: &Core, link: &Link, messages: &[Bytes]) {
    let sent = u64::try_from(messages.len()).unwrap_or(u64::MAX);
    let bytes = u64::try_from(messages.iter().map(Bytes::len).sum::<usize>()).unwrap_or(u64::MAX);
    link.moved.fetch_add(sent, Relaxed);
    core.counters.messages_sent.fetch_add(sent, Relaxed);
    core.counters.message_bytes_sent.fetch_add(bytes, Relaxed);
}

/// Sends a datagram that fits into no packet as a stream of its own.
pub(crate) async fn one_datagram(quic: &quinn::Connection, bytes: Bytes) -> Result<(), WriteError> {
    let mut stream = quic.open_uni().await?;
    let _ = stream.set_priority(2);
    stream
        .write_all_chunks(&mut [Bytes::from_static(&[frame::ONE_DATAGRAM]), bytes])
        .await?;
    let _ = stream.finish();
    Ok(())
}
