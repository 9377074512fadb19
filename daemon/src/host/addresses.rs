//! The addresses of this host, its end of a route, and the word of the kernel that they changed.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// Groups of rtnetlink(7) by their bits: links, and addresses and routes of IPv4 and IPv6.
const LINKS: u32 = 0x1;
const ADDRESSES: u32 = 0x10 | 0x100;
const ROUTES: u32 = 0x40 | 0x400;

/// This end's address on the route there. Connecting a UDP socket only looks the route up: no
/// packet is sent.
pub(crate) fn local_end(to: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(to).ok()?;
    let local = socket.local_addr().ok()?;
    Some(local.ip()).filter(|ip| !ip.is_unspecified())
}

/// An interface's address that other hosts may reach.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Own {
    pub(crate) interface: String,
    pub(crate) ip: IpAddr,
}

/// The addresses of all interfaces that are up, but for those that mean nothing beyond their host
/// or link.
///
/// # Errors
/// The kernel does not tell.
pub(crate) fn all() -> std::io::Result<Vec<Own>> {
    let found = if_addrs::get_if_addrs()?.into_iter();
    let mut own: Vec<Own> = found
        .filter(|one| one.is_oper_up() && !one.is_loopback() && !one.is_link_local())
        .map(|one| Own {
            ip: one.ip(),
            interface: one.name,
        })
        .collect();
    // Of one interface IPv4 comes first.
    own.sort();
    Ok(own)
}

/// Whether there is an interface of that name, up or not.
pub(crate) fn has_interface(name: &str) -> bool {
    rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)
        .is_ok_and(|socket| rustix::net::netdevice::name_to_index(socket, name).is_ok())
}

/// The kernel's news of links, addresses and routes.
pub(crate) struct Changes(OwnedFd);

impl Changes {
    /// Listens from now on.
    ///
    /// # Errors
    /// The kernel or the service's sandbox does not let it.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        let groups = LINKS | ADDRESSES | ROUTES;
        bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self(socket))
    }

    /// Waits until something has changed, for at most that long. What it was is to be looked up:
    /// the news may be incomplete.
    ///
    /// # Errors
    /// The kernel tells nothing any more.
    pub(crate) fn wait(&self, at_most: Duration) -> std::io::Result<()> {
        let limit = Timespec::try_from(at_most).map_err(std::io::Error::other)?;
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut message = [0_u8; 4096];
        loop {
            match recv(&self.0, &mut message, RecvFlags::empty()) {
                // More came than could be kept: so much the more has changed.
                Ok(_) | Err(Errno::NOBUFS | Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_route_on_this_host_is_its_own() {
        let to = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(local_end(to), Some(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn no_address_is_told_that_means_nothing_elsewhere() {
        for own in all().unwrap() {
            assert!(!own.ip.is_loopback() && !own.ip.is_unspecified(), "{own:?}");
            assert!(has_interface(&own.interface), "{own:?}");
        }
        assert!(!has_interface("no-such-one"));
    }
}
