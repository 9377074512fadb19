//! Clients that asked to join addresses, and what became of each.

use super::super::ask::Join;
use super::super::connections::Connections;
use super::super::edge::{Edge, Timer};
use super::super::io::{JoinOutcome, JoinResult, MemberState, Output, Reply, Target};
use super::super::roster::Replica;
use super::super::view::Viewer;
use crate::wire::{ConnId, DialId, Peer, RequestId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A join is answered after this at the latest, whatever became of it: ten round trips of a bad satellite
/// link.
const DEADLINE: Duration = Duration::from_secs(18);
/// How long an address has to answer.
const ANSWER: Duration = Duration::from_secs(8);
/// How many addresses one request may name, and how many requests may wait.
const MAX_ADDRESSES: usize = 64;
const MAX_REQUESTS: usize = 64;

/// Where one address stands.
#[derive(Debug)]
enum Progress {
    Dialling(DialId),
    /// A node answered; it has yet to become a member here.
    Answered {
        conn: ConnId,
        peer: Peer,
        before: bool,
    },
    Done(JoinResult, String),
}

#[derive(Debug)]
struct Item {
    address: String,
    progress: Progress,
}

/// All joins that were asked for and are not answered yet.
#[derive(Debug, Default)]
pub(in crate::cluster) struct Requests(BTreeMap<RequestId, Vec<Item>>);

impl Requests {
    pub(in crate::cluster) fn begin(
        &mut self,
        edge: &mut Edge,
        connections: &mut Connections,
        viewer: &Viewer,
        roster: &Replica,
        id: RequestId,
        Join { addresses, within }: Join,
    ) {
        let room = if self.0.len() < MAX_REQUESTS {
            MAX_ADDRESSES
        } else {
            0
        };
        let mut items = Vec::new();
        for (i, address) in addresses.into_iter().enumerate() {
            let progress = if i >= room {
                Progress::Done(
                    JoinResult::Unreachable,
                    "not tried: too many addresses at \
                    once"
                        .to_owned(),
                )
            } else if let Some(name) = bearer(viewer, roster, &address) {
                Progress::Done(JoinResult::Already, name)
            } else {
                Progress::Dialling(connections.dial(edge, Target::Named(address.clone()), ANSWER))
            };
            items.push(Item { address, progress });
        }
        self.0.insert(id, items);
        edge.after(within.min(DEADLINE), Timer::Join(id));
    }

    /// An attempt was answered by a node.
    pub(in crate::cluster) fn connected(
        &mut self,
        viewer: &Viewer,
        dial: DialId,
        conn: ConnId,
        peer: &Peer,
    ) {
        let before = viewer.state(peer.id).is_some_and(MemberState::is_reachable);
        self.update(dial, || Progress::Answered {
            conn,
            peer: peer.clone(),
            before,
        });
    }

    /// An attempt reached this node.
    pub(in crate::cluster) fn dialled_itself(&mut self, dial: DialId) {
        self.update(dial, || {
            Progress::Done(JoinResult::Already, "this is the node itself".to_owned())
        });
    }

    /// An attempt failed.
    pub(in crate::cluster) fn failed(&mut self, dial: DialId, refused: bool, reason: &str) {
        let result = if refused {
            JoinResult::Refused
        } else {
            JoinResult::Unreachable
        };
        self.update(dial, || Progress::Done(result, reason.to_owned()));
    }

    /// A connection was closed before its node became a member.
    pub(in crate::cluster) fn closed(&mut self, closed: ConnId) {
        for item in self.0.values_mut().flatten() {
            if matches!(&item.progress, Progress::Answered { conn, .. } if *conn == closed) {
                item.progress =
                    Progress::Done(JoinResult::Refused, "the connection was closed".to_owned());
            }
        }
    }

    fn update(&mut self, dial: DialId, progress: impl Fn() -> Progress) {
        for item in self.0.values_mut().flatten() {
            if matches!(item.progress, Progress::Dialling(of) if of == dial) {
                item.progress = progress();
            }
        }
    }

    /// The time of a request is over.
    pub(in crate::cluster) fn expire(&mut self, id: RequestId) {
        for item in self.0.get_mut(&id).into_iter().flatten() {
            if !matches!(item.progress, Progress::Done(..)) {
                item.progress = Progress::Done(
                    JoinResult::Unreachable,
                    "no answer in the time for it".to_owned(),
                );
            }
        }
    }

    /// Answers the requests of which each address has an outcome.
    pub(in crate::cluster) fn answer_finished(&mut self, edge: &mut Edge, viewer: &Viewer) {
        self.0
            .values_mut()
            .flatten()
            .for_each(|item| item.refresh(viewer));
        let is_done = |items: &Vec<Item>| {
            items
                .iter()
                .all(|item| matches!(item.progress, Progress::Done(..)))
        };
        let done: Vec<RequestId> = self
            .0
            .iter()
            .filter(|(_, items)| is_done(items))
            .map(|(id, _)| *id)
            .collect();
        for id in done {
            let outcomes = self
                .0
                .remove(&id)
                .unwrap_or_default()
                .into_iter()
                .filter_map(Item::outcome)
                .collect();
            edge.put(Output::Reply {
                id,
                result: Ok(Reply::Joined(outcomes)),
            });
        }
    }
}

impl Item {
    fn refresh(&mut self, viewer: &Viewer) {
        let Progress::Answered { peer, before, .. } = &self.progress else {
            return;
        };
        if viewer.state(peer.id).is_some_and(MemberState::is_reachable) {
            let result = if *before {
                JoinResult::Already
            } else {
                JoinResult::Joined
            };
            self.progress = Progress::Done(result, peer.name.to_string());
        }
    }

    fn outcome(self) -> Option<JoinOutcome> {
        let Progress::Done(result, detail) = self.progress else {
            return None;
        };
        Some(JoinOutcome {
            address: self.address,
            result,
            detail,
        })
    }
}

/// The name of the reachable member (or of this node) that gives this very address as its own.
fn bearer(viewer: &Viewer, roster: &Replica, address: &str) -> Option<String> {
    let address: SocketAddr = address.parse().ok()?;
    let is_reachable = |node| viewer.state(node).is_some_and(MemberState::is_reachable);
    let found = roster
        .roster()
        .members()
        .find(|(node, entry)| entry.profile.address == address && is_reachable(*node));
    found.map(|(_, entry)| entry.profile.name.to_string())
}
