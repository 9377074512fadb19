//! Others say that another daemon has this node's certificate, or another node this node's name:
//! where to look for it, and when it is proved.

use crate::time::Instant;
use crate::wire::{DialId, Peer};
use names::NodeId;
use std::net::SocketAddr;
use std::time::Duration;

/// How often this node looks where others say that its identity or its name is borne.
const LOOK_EACH: Duration = Duration::from_secs(3);
/// A node whose name another bears ends no sooner after its start, so that whoever starts it again
/// does not do so in vain all the time.
const NAMESAKE_AFTER: Duration = Duration::from_secs(5);

/// What others have said of a *rival*, which has this node's certificate, and of a *namesake*, which
/// has its name in a certificate of its own. Neither ends this node before it has proved itself in a
/// handshake.
#[derive(Debug)]
pub(crate) struct Impostors {
    started: Instant,
    /// When this node may look again.
    next_look: Instant,
    /// The dial to where a rival is said to be.
    rival: Option<(DialId, SocketAddr)>,
    /// The node that is said to be the namesake.
    namesake: Option<(NodeId, SocketAddr)>,
}

impl Impostors {
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            next_look: started,
            rival: None,
            namesake: None,
        }
    }

    /// Whether this node may look for an impostor now. If so, it may not for a while.
    pub(crate) fn may_look(&mut self, now: Instant) -> bool {
        let may = now >= self.next_look;
        if may {
            self.next_look = now + LOOK_EACH;
        }
        may
    }

    /// A dial looks for a rival at the address where it is said to be.
    pub(crate) fn look_for_rival(&mut self, dial: DialId, address: SocketAddr) {
        self.rival = Some((dial, address));
    }

    /// A dial has met this node's own certificate. Gives the rival's address, if the dial looked for
    /// one and `own`, the address of this node, is another one: a liar may say that the rival is
    /// where this node itself is.
    pub(crate) fn met_own_certificate(
        &mut self,
        dial: DialId,
        own: SocketAddr,
    ) -> Option<SocketAddr> {
        let (_, address) = self.rival.take_if(|(looked, _)| *looked == dial)?;
        let may_be_own = address.ip() == own.ip() || address.ip().to_canonical().is_loopback();
        (address.port() != own.port() || !may_be_own).then_some(address)
    }

    /// A peer says that another node bears this node's name. False if that means nothing: of two that
    /// bear one name each says so to the other, and others decide. `me` is no other one.
    pub(crate) fn note_namesake(
        &mut self,
        (speaker, me): (NodeId, NodeId),
        bearer: NodeId,
        address: SocketAddr,
    ) -> bool {
        if speaker == bearer || bearer == me {
            return false;
        }
        self.namesake = Some((bearer, address));
        true
    }

    /// A peer has shown its certificate. Gives the namesake and its address if it is the one that
    /// was told of, bears the name of this node, and this node has run for a while.
    pub(crate) fn met_namesake(
        &self,
        peer: &Peer,
        me: &Peer,
        now: Instant,
    ) -> Option<(NodeId, SocketAddr)> {
        let is_early = now < self.started + NAMESAKE_AFTER;
        self.namesake
            .filter(|(bearer, _)| peer.id == *bearer && peer.name == me.name && !is_early)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use names::NodeName;

    fn address(host: u8, port: u16) -> SocketAddr {
        ([10, 0, 0, host], port).into()
    }

    fn peer(id: u8, name: &str) -> Peer {
        Peer {
            id: NodeId([id; 16]),
            name: NodeName::new(name).unwrap(),
            role: names::Role::Member,
        }
    }

    #[test]
    fn a_rival_is_where_it_was_looked_for_and_not_this_node_itself() {
        let own = address(1, 6878);
        let loopback = SocketAddr::from(([127, 0, 0, 1], 6878));
        for (said, is_rival) in [
            (address(9, 6878), true),
            (address(1, 7000), true),
            (own, false),
            (loopback, false),
        ] {
            let mut impostors = Impostors::new(Instant::default());
            impostors.look_for_rival(DialId(7), said);
            assert_eq!(impostors.met_own_certificate(DialId(6), own), None);
            let met = impostors.met_own_certificate(DialId(7), own);
            assert_eq!(met, is_rival.then_some(said));
        }
    }

    #[test]
    fn a_namesake_is_told_of_by_a_third_node_and_shows_the_name_itself() {
        let (me, late) = (peer(1, "web"), Instant::default() + NAMESAKE_AFTER);
        let mut impostors = Impostors::new(Instant::default());
        let (bearer, at) = (NodeId([2; 16]), address(2, 6878));
        assert!(!impostors.note_namesake((bearer, me.id), bearer, at));
        let liar = NodeId([3; 16]);
        assert!(!impostors.note_namesake((liar, me.id), me.id, at));
        assert_eq!(impostors.met_namesake(&me, &me, late), None);
        assert_eq!(impostors.met_namesake(&peer(2, "web"), &me, late), None);
        assert!(impostors.note_namesake((liar, me.id), bearer, at));
        for (met, now, is_met) in [
            (peer(2, "web"), late, true),
            (peer(2, "db"), late, false),
            (peer(3, "web"), late, false),
            (peer(2, "web"), Instant::default(), false),
        ] {
            let found = impostors.met_namesake(&met, &me, now);
            assert_eq!(found, is_met.then_some((bearer, at)), "{met:?}");
        }
    }
}
