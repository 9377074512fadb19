//! The UDP socket under QUIC: counts packets and, on demand, drops those to and from some addresses
//! like a cut cable.

use crate::stats::Counters;
use parking_lot::Mutex;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::collections::BTreeSet;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Context, Poll, ready};

/// A development aid: cuts this node off from some UDP addresses, in both directions, below QUIC.
/// Clones share one cut.
#[derive(Clone, Debug, Default)]
pub struct Fault(Arc<Cut>);

#[derive(Debug, Default)]
struct Cut {
    /// Spares the lock while nothing is cut.
    on: AtomicBool,
    blocked: Mutex<BTreeSet<SocketAddr>>,
}

impl Fault {
    /// From now on drops every packet to and from exactly these addresses; replaces an earlier cut.
    pub fn block(&self, peers: &[SocketAddr]) {
        let mut blocked = self.0.blocked.lock();
        *blocked = peers.iter().copied().map(canonical).collect();
        self.0.on.store(!blocked.is_empty(), Release);
    }

    /// Lets everything pass again.
    pub fn clear(&self) {
        self.block(&[]);
    }

    fn drops(&self, peer: SocketAddr) -> bool {
        self.0.on.load(Acquire) && self.0.blocked.lock().contains(&canonical(peer))
    }
}

/// An IPv4 address that an IPv6 socket reports as mapped, as itself; without scope and flow, which
/// name no other peer.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The socket that quinn drives.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) inner: Arc<dyn AsyncUdpSocket>,
    pub(crate) fault: Fault,
    pub(crate) counters: Arc<Counters>,
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    /// A packet that is cut off counts as sent for QUIC: a cable tells nobody either.
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let packets = packets(transmit.contents.len(), transmit.segment_size);
        if self.fault.drops(transmit.destination) {
            self.counters
                .udp_packets_blocked
                .fetch_add(packets, Relaxed);
            return Ok(());
        }
        self.inner.try_send(transmit)?;
        self.counters.udp_packets_sent.fetch_add(packets, Relaxed);
        self.counters
            .udp_bytes_sent
            .fetch_add(as_u64(transmit.contents.len()), Relaxed);
        Ok(())
    }

    /// One entry is one sender's packets, coalesced by the kernel; quinn skips an entry of length
    /// zero.
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = ready!(self.inner.poll_recv(cx, bufs, meta))?;
        for entry in meta.iter_mut().take(received) {
            let packets = packets(entry.len, Some(entry.stride));
            if self.fault.drops(entry.addr) {
                self.counters
                    .udp_packets_blocked
                    .fetch_add(packets, Relaxed);
                entry.len = 0;
            } else {
                self.counters
                    .udp_packets_received
                    .fetch_add(packets, Relaxed);
                self.counters
                    .udp_bytes_received
                    .fetch_add(as_u64(entry.len), Relaxed);
            }
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

/// How many packets a buffer of equal segments holds.
fn packets(bytes: usize, segment: Option<usize>) -> u64 {
    as_u64(
        segment
            .filter(|size| *size > 0)
            .map_or(1, |size| bytes.div_ceil(size)),
    )
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_knows_a_mapped_address() {
        let fault = Fault::default();
        fault.block(&["127.0.0.1:7001".parse().unwrap()]);
        assert!(fault.drops("[::ffff:127.0.0.1]:7001".parse().unwrap()));
        assert!(!fault.drops("127.0.0.1:7002".parse().unwrap()));
        fault.clear();
        assert!(!fault.drops("127.0.0.1:7001".parse().unwrap()));
    }

    #[test]
    fn coalesced_packets_are_counted_one_by_one() {
        assert_eq!(packets(3000, Some(1200)), 3);
        assert_eq!(packets(1200, Some(1200)), 1);
        assert_eq!(packets(1200, None), 1);
        assert_eq!(packets(10, Some(0)), 1);
    }
}
