//! Which connected members have a list, and how far it has come there.
//!
//! They are asked by the message with which lists are compared, as if nothing of the list were here: the answer
//! to that is all that the member has, in parts where it has very many actors.

use super::Replication;
use crate::lists::ask;
use crate::lists::edge::{Edge, Timer};
use crate::lists::io::{Holder, Refusal, Reply};
use crate::lists::wire::Message;
use crate::wire::RequestId;
use crdt::vector::{PART_ROWS, Part, Span, VersionVector};
use names::{Actor, ListId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Clients that can ask at once.
const MAX_OPEN: usize = 16;

/// What a client wants to know.
#[derive(Debug)]
struct Survey {
    list: ListId,
    /// Those that have not told all.
    unheard: BTreeSet<NodeId>,
    told: BTreeMap<NodeId, VersionVector>,
}

/// Clients that wait for what members have.
#[derive(Debug, Default)]
pub(super) struct Surveys {
    open: BTreeMap<RequestId, Survey>,
}

impl Surveys {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// A member tells what it has of a list. Gives from which actor on it is to be asked for more; `None` if
    /// nobody has asked it.
    fn heard(&mut self, peer: NodeId, list: ListId, part: &VersionVector) -> Option<Option<Actor>> {
        let mut surveys = self.open.values_mut();
        let survey =
            surveys.find(|survey| survey.list == list && survey.unheard.contains(&peer))?;
        let told = survey.told.entry(peer).or_default();
        part.iter().for_each(|tip| told.insert(tip));
        let last = part.iter().last().filter(|_| part.len() >= PART_ROWS);
        let next = last.and_then(|tip| following(tip.id.actor));
        if next.is_none() {
            survey.unheard.remove(&peer);
        }
        Some(next)
    }

    /// A member is not connected any more.
    pub(super) fn gone(&mut self, edge: &mut Edge, peer: NodeId) {
        for survey in self.open.values_mut() {
            if survey.unheard.remove(&peer) {
                survey.told.remove(&peer);
            }
        }
        self.answer(edge);
    }

    /// Answers those for whom all that were asked have told.
    fn answer(&mut self, edge: &mut Edge) {
        let is_complete = |survey: &Survey| survey.unheard.is_empty();
        let complete = self.open.iter().filter(|(_, survey)| is_complete(survey));
        let complete: Vec<RequestId> = complete.map(|(request, _)| *request).collect();
        for request in complete {
            self.finish(edge, request);
        }
    }

    /// Answers a client with what was told by now. False if it does not wait here.
    pub(super) fn finish(&mut self, edge: &mut Edge, request: RequestId) -> bool {
        let Some(survey) = self.open.remove(&request) else {
            return false;
        };
        let told = survey.told.into_iter();
        let whole = told.filter(|(peer, _)| !survey.unheard.contains(peer));
        let holders = whole.map(|(peer, vector)| Holder { peer, vector });
        edge.reply(request, Ok(Reply::Holders(holders.collect())));
        true
    }
}

fn following(actor: Actor) -> Option<Actor> {
    let next = u128::from_be_bytes(actor.0).checked_add(1)?;
    Some(Actor(next.to_be_bytes()))
}

/// That nothing is here of the actors from that one on.
fn nothing_from(from: Actor) -> Part {
    Part {
        span: Span { from, ..Span::ALL },
        vector: VersionVector::default(),
    }
}

impl Replication {
    /// A client asks which members have a list.
    pub(in crate::lists) fn survey(
        &mut self,
        edge: &mut Edge,
        id: RequestId,
        ask: ask::Holders,
    ) -> Result<(), Refusal> {
        if self.surveys.open.len() >= MAX_OPEN {
            return Err(Refusal::Busy);
        }
        let list = ListId::of(&ask.list);
        let members: BTreeSet<NodeId> = self.peers.heard().map(|(peer, _)| peer).collect();
        for peer in &members {
            self.ask_what_is_there(edge, *peer, list, Span::ALL.from);
        }
        let survey = Survey {
            list,
            unheard: members,
            told: BTreeMap::new(),
        };
        self.surveys.open.insert(id, survey);
        edge.after(ask.timeout, Timer::Deadline(id));
        self.surveys.answer(edge);
        Ok(())
    }

    fn ask_what_is_there(&self, edge: &mut Edge, peer: NodeId, list: ListId, from: Actor) {
        self.send_to(edge, peer, list, |protocol| {
            Message::compare(protocol, list, &nothing_from(from))
        });
    }

    /// A member answers what it has of a list. False if no client has asked for that.
    pub(super) fn surveyed(
        &mut self,
        edge: &mut Edge,
        (peer, list): (NodeId, ListId),
        part: &VersionVector,
    ) -> bool {
        match self.surveys.heard(peer, list, part) {
            None => false,
            Some(Some(from)) => {
                self.ask_what_is_there(edge, peer, list, from);
                true
            }
            Some(None) => {
                self.surveys.answer(edge);
                true
            }
        }
    }
}
