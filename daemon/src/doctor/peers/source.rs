//! From which address a member sees this node: where it is none of this host's, something translates
//! addresses between both. Nothing is changed by that: whoever is told an address must be reached there.

use super::super::Finding;
use std::net::{IpAddr, SocketAddr};

const CHECK: &str = "source";

/// Judges what a member sees. `advertised` is what others are told, `own` the addresses of this host.
pub(super) fn judge(
    name: &str,
    seen: IpAddr,
    (advertised, own): (SocketAddr, &[IpAddr]),
) -> Finding {
    let seen = seen.to_canonical();
    // These never pass a translation.
    let is_near = seen.is_loopback()
        || match seen {
            IpAddr::V4(seen) => seen.is_link_local(),
            IpAddr::V6(seen) => seen.is_unicast_link_local(),
        };
    let is_advertised = seen == advertised.ip().to_canonical();
    let is_own = own.iter().any(|own| own.to_canonical() == seen);
    if is_near || is_advertised || is_own {
        return Finding::good(CHECK, name, format!("it sees this node at {seen}"));
    }
    Finding::warning(
        CHECK,
        name,
        format!(
            "it sees this node at {seen}, which is none of this host's addresses, and others are told \
             {advertised}: a NAT is between both"
        ),
        format!(
            "if {name} does not reach this node by itself, have the NAT pass UDP on to this host and set \
             [quic] advertise to {seen} and the port there; nothing is taken over from what others see"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn an_address_that_is_neither_this_hosts_nor_advertised_is_told() {
        let advertised: SocketAddr = "10.0.0.7:6878".parse().unwrap();
        let own = ["10.0.0.7", "fd00::7"].map(|ip| ip.parse().unwrap());
        let level = |seen: &str| judge("n2", seen.parse().unwrap(), (advertised, &own)).level;
        for seen in [
            "10.0.0.7",
            "::ffff:10.0.0.7",
            "fd00::7",
            "127.0.0.1",
            "fe80::1",
        ] {
            assert_eq!(level(seen), Level::Good, "{seen}");
        }
        let outer: SocketAddr = "198.51.100.7:6878".parse().unwrap();
        assert_eq!(level("198.51.100.7"), Level::Warning);
        let known = judge("n2", outer.ip(), (outer, &own));
        assert_eq!(known.level, Level::Good, "it is what others are told");
    }
}
