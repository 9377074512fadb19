//! The address under which other nodes are told to reach this one, where nobody gave one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

/// Addresses kept for documentation: nobody is there, so that the route to them is the default
/// route.
const ANYWHERE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9),
    SocketAddr::new(
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        9,
    ),
];

/// A listener on one address advertises that one (`None`); on a wildcard, the address that the
/// route to the first seed has at this end, else that of the default route, else loopback.
pub(super) fn advertised(listen: SocketAddr, seeds: &[String]) -> Option<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return None;
    }
    let resolved = seeds
        .iter()
        .filter_map(|seed| seed.to_socket_addrs().ok())
        .flatten();
    let ip = resolved
        .chain(ANYWHERE)
        .filter(|to| listen.is_ipv6() || to.is_ipv4())
        .find_map(local_end);
    Some(SocketAddr::new(
        ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        listen.port(),
    ))
}

/// This end's address on the route there. Connecting a UDP socket only looks the route up: no
/// packet is sent.
fn local_end(to: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(to).ok()?;
    socket
        .local_addr()
        .ok()
        .map(|local| local.ip())
        .filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_advertises_its_end_of_the_route_to_the_first_seed() {
        let listen: SocketAddr = "[::]:7000".parse().unwrap();
        assert_eq!(
            advertised(listen, &["127.0.0.1:1".to_owned()]),
            "127.0.0.1:7000".parse().ok()
        );
        assert_eq!(
            advertised(
                listen,
                &["no such host:1".to_owned(), "127.0.0.1:1".to_owned()]
            ),
            "127.0.0.1:7000".parse().ok()
        );
    }

    #[test]
    fn a_listener_on_one_address_advertises_it() {
        let listen: SocketAddr = "10.1.2.3:7000".parse().unwrap();
        assert_eq!(advertised(listen, &["127.0.0.1:1".to_owned()]), None);
    }
}
