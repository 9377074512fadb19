//! Places for incoming handshakes.
//!
//! Whoever has no certificate can begin a handshake and fall silent, and so hold a place until its
//! time is over. So one address has few places, and a network has only a part of all; half of all
//! are kept for addresses at which a node of the cluster has proved itself: strangers from however many
//! networks do not keep a node of the cluster out. A node's handshakes all come from the port at
//! which it can be reached itself.

use crate::fault::canonical;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// The most places of one address and port.
const MAX_PER_ADDRESS: usize = 16;
/// One network of strangers has at most this part of all places.
const NETWORK_PART: usize = 8;
/// How many addresses of nodes are remembered; the smallest ones go first.
const MAX_KNOWN: usize = 20_000;

/// The places of an endpoint. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    all: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    taken: BTreeMap<Holder, usize>,
    by_strangers: usize,
    by_known: usize,
    known: BTreeSet<SocketAddr>,
}

/// Who holds places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Address(SocketAddr),
    /// Its strangers together.
    Network(IpAddr),
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    from: SocketAddr,
    is_known: bool,
}

impl Places {
    pub(crate) fn new(all: usize) -> Self {
        Self {
            all,
            state: Arc::default(),
        }
    }

    /// A node of the cluster has proved itself at that address.
    pub(crate) fn note_known(&self, address: SocketAddr) {
        let known = &mut self.state.lock().known;
        if known.insert(canonical(address)) && known.len() > MAX_KNOWN {
            known.pop_first();
        }
    }

    /// Takes a place for a handshake from that address, if there is one.
    pub(crate) fn take(&self, from: SocketAddr) -> Option<Place> {
        let mut state = self.state.lock();
        let from = canonical(from);
        let is_known = state.known.contains(&from);
        let has_room = if is_known {
            true
        } else {
            let of_network = (self.all / NETWORK_PART).max(1);
            state.by_strangers < self.for_strangers()
                && state.has(Holder::Network(network(from.ip()))) < of_network
        };
        if !has_room
            || state.by_strangers + state.by_known >= self.all
            || state.has(Holder::Address(from)) >= MAX_PER_ADDRESS
        {
            return None;
        }
        let place = Place {
            places: self.clone(),
            from,
            is_known,
        };
        for holder in place.holders() {
            *state.taken.entry(holder).or_default() += 1;
        }
        *state.count(is_known) += 1;
        Some(place)
    }

    /// Whether so many strangers are there that the next ones must prove their addresses first.
    pub(crate) fn are_crowded(&self) -> bool {
        self.state.lock().by_strangers > self.for_strangers() / 2
    }

    fn for_strangers(&self) -> usize {
        self.all.div_ceil(2)
    }
}

impl State {
    fn has(&self, holder: Holder) -> usize {
        self.taken.get(&holder).copied().unwrap_or(0)
    }

    fn count(&mut self, is_known: bool) -> &mut usize {
        if is_known {
            &mut self.by_known
        } else {
            &mut self.by_strangers
        }
    }
}

impl Place {
    fn holders(&self) -> impl Iterator<Item = Holder> + use<> {
        let network = (!self.is_known).then(|| Holder::Network(network(self.from.ip())));
        std::iter::once(Holder::Address(self.from)).chain(network)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state.lock();
        *state.count(self.is_known) -= 1;
        for holder in self.holders() {
            if let Some(taken) = state.taken.get_mut(&holder) {
                *taken -= 1;
                if *taken == 0 {
                    state.taken.remove(&holder);
                }
            }
        }
    }
}

/// What one owner usually has: 256 addresses of IPv4, a site's /48 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(network: u8, host: u8) -> SocketAddr {
        ([10, 0, network, host], 6878).into()
    }

    fn take_all(places: &Places, from: impl Fn(u8) -> SocketAddr) -> Vec<Place> {
        (0..=255).filter_map(|n| places.take(from(n))).collect()
    }

    #[test]
    fn a_network_has_an_eighth_of_all_places() {
        let places = Places::new(256);
        let one = take_all(&places, |host| v4(1, host));
        assert_eq!(one.len(), 32);
        assert!(places.take(v4(2, 1)).is_some());
        let site = |n: u8| ([0x2001, 0xdb8, 1, u16::from(n), 0, 0, 0, 1], 6878).into();
        assert_eq!(take_all(&places, site).len(), 32);
        drop(one);
        assert_eq!(take_all(&places, |host| v4(1, host)).len(), 32);
    }

    #[test]
    fn one_address_does_not_keep_its_neighbours_out() {
        let places = Places::new(256);
        let held = take_all(&places, |_| v4(1, 1));
        assert_eq!(held.len(), MAX_PER_ADDRESS);
        assert!(places.take(([10, 0, 1, 1], 7000).into()).is_some());
    }

    #[test]
    fn strangers_leave_half_of_the_places_to_known_addresses() {
        let places = Places::new(256);
        for host in 0..16 {
            places.note_known(v4(200, host));
        }
        let strangers = take_all(&places, |n| v4(n, 100));
        assert_eq!(strangers.len(), 128);
        assert!(places.take(v4(201, 1)).is_none());
        let known: Vec<_> = (0..16)
            .flat_map(|host| take_all(&places, |_| v4(200, host)))
            .collect();
        assert_eq!(known.len(), 128);
        drop(strangers);
        assert!(places.take(v4(201, 1)).is_some());
    }

    #[test]
    fn strangers_prove_their_addresses_once_there_are_many() {
        let places = Places::new(8);
        places.note_known(v4(9, 9));
        let _known = places.take(v4(9, 9)).unwrap();
        let mut strangers: Vec<_> = (0..2).filter_map(|n| places.take(v4(n, 1))).collect();
        assert!(!places.are_crowded());
        strangers.extend(places.take(v4(3, 1)));
        assert!(places.are_crowded());
    }

    #[test]
    fn an_address_is_known_in_either_form() {
        let places = Places::new(16);
        let mapped = Ipv4Addr::new(10, 0, 1, 1).to_ipv6_mapped();
        places.note_known((mapped, 6878).into());
        assert!(places.take(v4(1, 1)).unwrap().is_known);
    }

    #[test]
    fn even_few_places_are_given() {
        let places = Places::new(1);
        let place = places.take(v4(1, 1));
        assert!(place.is_some() && places.take(v4(2, 1)).is_none());
        drop(place);
        assert!(places.take(v4(2, 1)).is_some());
    }
}
