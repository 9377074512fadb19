//! Ports on loopback for the nodes.

use super::mark::Marked;
use crate::failure::Failure;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::time::Duration;

/// Below the ports that Linux gives to outgoing connections (32768 on), so that nobody takes the
/// port of a node that was killed before it is started again.
const RANGE: Range<u16> = 20_000..32_000;
/// How long nodes of a cluster whose parent was killed may take to end.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// That many ports which are free on UDP and on TCP now, none of them in `taken`. `start` says
/// where in the range to begin: drawn at random, it keeps clusters in different directories apart.
pub(super) fn choose(count: usize, taken: &[u16], start: u16) -> Result<Vec<u16>, Failure> {
    let length = RANGE.end - RANGE.start;
    let from = RANGE.start + start % length;
    let ports: Vec<u16> = (from..RANGE.end)
        .chain(RANGE.start..from)
        .filter(|port| !taken.contains(port) && is_free(*port))
        .take(count)
        .collect();
    if ports.len() < count {
        return Err(Failure::Failed(format!(
            "no {count} free ports from {} to {} on \
            127.0.0.1",
            RANGE.start,
            RANGE.end - 1
        )));
    }
    Ok(ports)
}

fn is_free(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
}

/// Waits a moment until nobody listens on the nodes' UDP ports: nodes of an earlier cluster may
/// still be ending.
pub(super) async fn released(nodes: &[Marked]) -> Result<(), Failure> {
    let deadline = tokio::time::Instant::now() + LAST_BREATH;
    loop {
        let Some(held) = nodes
            .iter()
            .find(|node| UdpSocket::bind(node.address()).is_err())
        else {
            return Ok(());
        };
        if tokio::time::Instant::now() >= deadline {
            return Err(Failure::Conflict(format!(
                "the UDP port {} of {} is used by another process; end that one, or choose \
                    another directory",
                held.port, held.name
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different_and_free() {
        let ports = choose(5, &[], 11_998).unwrap();
        assert_eq!(ports.len(), 5);
        assert!(ports.iter().all(|port| RANGE.contains(port)));
        let more = choose(5, &ports, 11_998).unwrap();
        assert!(more.iter().all(|port| !ports.contains(port)));
    }

    #[test]
    fn a_port_in_use_is_not_chosen() {
        let first = choose(1, &[], 500).unwrap();
        let _held = UdpSocket::bind(("127.0.0.1", first[0])).unwrap();
        assert_ne!(choose(1, &[], 500).unwrap(), first);
    }
}
