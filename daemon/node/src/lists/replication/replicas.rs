//! Clients that wait until other nodes have their change on disk, too.

use super::peers::Peers;
use crate::cluster::RosterView;
use crate::lists::edge::{Edge, Timer};
use crate::lists::event::Wish;
use crate::lists::io::{Confirmations, Edited, Refusal, Replicas, Reply};
use crate::lists::wire::{Message, most_rows};
use crate::wire::{ConnId, Protocol, RequestId};
use crdt::vector::VersionVector;
use names::{ListId, NodeId, NodeName};
use std::collections::{BTreeMap, BTreeSet};

/// Clients that can wait at once.
const MAX_WAITS: usize = 4_096;

#[derive(Debug)]
struct Wait {
    list: ListId,
    wish: Wish,
    confirmed: BTreeSet<NodeId>,
    /// How many changes of the goal those have confirmed that were asked for it in parts.
    partly: BTreeMap<NodeId, usize>,
    reply: Reply,
}

/// All clients that wait. What they wait for is on this node's disk.
#[derive(Debug, Default)]
pub(super) struct Waits {
    waits: BTreeMap<RequestId, Wait>,
    lists: BTreeMap<ListId, BTreeSet<RequestId>>,
}

/// On how many nodes of the roster something shall be.
pub(super) fn asked(view: &RosterView, replicas: Replicas) -> Result<usize, Refusal> {
    let have = view.all().count();
    match replicas {
        Replicas::Count(asked) if asked > have => Err(Refusal::TooManyReplicas { asked, have }),
        Replicas::Count(asked) => Ok(asked.max(1)),
        Replicas::Majority => Ok(have / 2 + 1),
        Replicas::All => Ok(have.max(1)),
    }
}

impl Waits {
    pub(super) fn is_full(&self) -> bool {
        self.waits.len() >= MAX_WAITS
    }

    pub(super) fn len(&self) -> usize {
        self.waits.len()
    }

    /// Replies when enough nodes have it: at once if this one is enough.
    pub(super) fn begin(
        &mut self,
        edge: &mut Edge,
        view: &RosterView,
        peers: &Peers,
        request: RequestId,
        (list, wish, reply): (ListId, Wish, Reply),
    ) {
        let (asks, deadline) = (!wish.pushed, wish.deadline);
        let wait = Wait {
            list,
            wish,
            confirmed: BTreeSet::new(),
            partly: BTreeMap::new(),
            reply,
        };
        if wait.is_reached(view) || deadline <= edge.now.instant {
            return wait.end(edge, view, request);
        }
        if asks {
            wait.ask(edge, view, peers);
        }
        edge.at(deadline, Timer::Deadline(request));
        self.lists.entry(list).or_default().insert(request);
        self.waits.insert(request, wait);
    }

    /// A peer has all of `vector` of a list.
    pub(super) fn have(
        &mut self,
        edge: &mut Edge,
        view: &RosterView,
        peers: &Peers,
        (peer, list): (NodeId, ListId),
        vector: &VersionVector,
    ) {
        let Some(conn) = peers.conn_of(peer) else {
            return;
        };
        let protocol = peers.protocol_of(conn);
        for request in self.lists.get(&list).cloned().unwrap_or_default() {
            let Some(wait) = self.waits.get_mut(&request) else {
                continue;
            };
            let part = wait.part(peer, protocol);
            if wait.confirmed.contains(&peer) || !vector.covers(&part) {
                continue;
            }
            let confirmed = wait.partly.entry(peer).or_default();
            *confirmed += part.len();
            if *confirmed < wait.wish.goal.len() {
                wait.ask_peer(edge, (peer, conn), protocol);
                continue;
            }
            wait.partly.remove(&peer);
            wait.confirmed.insert(peer);
            if wait.is_reached(view) {
                self.finish(edge, view, request);
            }
        }
    }

    /// A deadline has passed: replies with what there is. False if the client does not wait here.
    pub(super) fn expire(
        &mut self,
        edge: &mut Edge,
        view: &RosterView,
        request: RequestId,
    ) -> bool {
        let waited = self.waits.contains_key(&request);
        self.finish(edge, view, request);
        waited
    }

    /// Asks those again that have not confirmed.
    pub(super) fn ask_again(&self, edge: &mut Edge, view: &RosterView, peers: &Peers) {
        self.waits
            .values()
            .for_each(|wait| wait.ask(edge, view, peers));
    }

    fn finish(&mut self, edge: &mut Edge, view: &RosterView, request: RequestId) {
        let Some(wait) = self.waits.remove(&request) else {
            return;
        };
        if let Some(requests) = self.lists.get_mut(&wait.list) {
            requests.remove(&request);
            if requests.is_empty() {
                self.lists.remove(&wait.list);
            }
        }
        wait.end(edge, view, request);
    }
}

impl Wait {
    fn ask(&self, edge: &mut Edge, view: &RosterView, peers: &Peers) {
        let open = peers.iter().filter(|(peer, _)| {
            !self.confirmed.contains(peer) && view.all().any(|member| member.id == *peer)
        });
        for (peer, conn) in open {
            self.ask_peer(edge, (peer, conn), peers.protocol_of(conn));
        }
    }

    fn ask_peer(&self, edge: &mut Edge, (peer, conn): (NodeId, ConnId), protocol: Protocol) {
        let part = self.part(peer, protocol);
        let message = Message::confirm(protocol, self.list, &part);
        edge.send_about(conn, self.list, &message);
    }

    /// The part of the goal that a peer is asked for.
    fn part(&self, peer: NodeId, protocol: Protocol) -> VersionVector {
        let confirmed = self.partly.get(&peer).copied().unwrap_or_default();
        let open = self.wish.goal.iter().skip(confirmed);
        open.take(most_rows(protocol)).collect()
    }

    /// This node's name, then those of the members that confirmed.
    fn names(&self, view: &RosterView) -> Vec<NodeName> {
        let me = view.member(view.me).into_iter();
        let others = view
            .all()
            .filter(|member| member.id != view.me && self.confirmed.contains(&member.id));
        me.chain(others)
            .map(|member| member.profile.name.clone())
            .collect()
    }

    fn is_reached(&self, view: &RosterView) -> bool {
        self.names(view).len() >= self.wish.asked
    }

    fn end(self, edge: &mut Edge, view: &RosterView, request: RequestId) {
        let confirmed = self.names(view);
        let outcome = Confirmations {
            asked: self.wish.asked,
            reached: confirmed.len() >= self.wish.asked,
            confirmed,
        };
        let reply = match self.reply {
            Reply::Edited(edited) => Reply::Edited(Edited {
                replicas: Some(outcome),
                ..edited
            }),
            reply @ (Reply::Unconfirmed(_)
            | Reply::Entries(_)
            | Reply::Disputes(_)
            | Reply::History(_)
            | Reply::Saved(..)
            | Reply::Differences(..)
            | Reply::Standings(_)
            | Reply::LastOf(_)
            | Reply::Lagging(_)
            | Reply::Forks(_)
            | Reply::Contradictions(_)
            | Reply::Rebuilt(_)
            | Reply::Holders(_)
            | Reply::Comparisons(_)
            | Reply::Done) => reply,
        };
        edge.reply(request, Ok(reply));
    }
}
