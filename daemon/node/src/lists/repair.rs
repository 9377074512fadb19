//! Agreeing with the peers: when rounds begin, what is pulled and served, and who has what.

use super::Lists;
use super::edge::Timer;
use super::io::Reply;
use super::job::{Answer, Job, SourceError};
use super::resident::Place;
use super::rounds::{Finished, Opening, Urgency};
use super::vectors::Purpose;
use super::wire::{ANSWER_BYTES, CHUNK_BYTES, Message, Tail};
use crate::wire::{ConnId, RequestId};
use crdt::vector::VersionVector;
use names::{ListId, ListName, NodeId};
use rand::RngExt;
use std::time::Duration;

/// How often this node compares all lists with a peer, chosen at random.
const TICK: Duration = Duration::from_secs(1);
/// The most that one answer to a pull holds.
const MAX_ANSWER_BYTES: usize = 1 << 20;

impl Lists {
    pub(super) fn tick(&mut self) {
        self.edge.after(TICK, Timer::Tick);
        let now = self.edge.now.instant;
        self.edge.stats.dropped += u64::try_from(self.pulls.expire(now)).unwrap_or(0);
        self.rounds.expire(now);
        self.watchers.forget_old(now);
        if self.commits.failed().is_some() {
            return;
        }
        if let Some(view) = &self.view {
            self.waits.ask_again(&mut self.edge, view, &self.peers);
        }
        self.begin_rounds();
        self.begin_random_round();
        self.pull_next();
    }

    /// Rounds with all peers with which it is urgent; once their earlier repairs are over.
    pub(super) fn begin_rounds(&mut self) {
        if self.commits.failed().is_some() {
            return;
        }
        let departing = self.departure.is_wanted();
        let urgent =
            |peer: &NodeId| departing || self.fresh.contains(peer) && self.pulls.is_idle(*peer);
        let due: Vec<_> = self
            .peers
            .iter()
            .filter(|(peer, _)| !self.rounds.is_active(*peer) && urgent(peer))
            .collect();
        due.into_iter()
            .for_each(|to| self.begin_round(to, Urgency::Now));
    }

    fn begin_random_round(&mut self) {
        let free: Vec<_> = self
            .peers
            .iter()
            .filter(|(peer, _)| !self.rounds.is_active(*peer) && !self.fresh.contains(peer))
            .collect();
        if free.is_empty() {
            return;
        }
        let chosen = self.rng.random_range(0..free.len());
        if let Some(to) = free.get(chosen) {
            self.begin_round(*to, Urgency::Later);
        }
    }

    fn begin_round(&mut self, to: (NodeId, ConnId), urgency: Urgency) {
        // Said once: two that woke each other again and again would finish no round.
        let opening = Opening {
            urgency,
            wake: self.to_wake.remove(&to.0),
            record: self.departure.is_wanted(),
        };
        self.rounds
            .begin(&mut self.edge, &self.digest, self.shards, to, opening);
    }

    pub(super) fn round_finished(&mut self, peer: NodeId, finished: Finished) {
        if finished.urgency == Urgency::Now && !finished.truncated {
            self.fresh.remove(&peer);
        }
        let is_member = self
            .view
            .as_ref()
            .is_none_or(|view| view.expected().any(|member| member.id == peer));
        if let Some(record) = finished.record.filter(|_| is_member) {
            let doubtful =
                self.departure
                    .compared(&self.digest, self.resident.quarantined(), peer, &record);
            doubtful
                .into_iter()
                .for_each(|list| self.with_vector(list, Purpose::Depart(peer)));
            self.check_departure();
        }
    }

    /// Wants a list repaired with that peer.
    pub(super) fn repair(&mut self, peer: NodeId, list: ListId) {
        self.queue_repair(peer, list);
        self.pull_next();
    }

    /// The same, but does not begin yet. False if too many wait.
    pub(super) fn queue_repair(&mut self, peer: NodeId, list: ListId) -> bool {
        let possible =
            self.resident.place(list) != Place::Quarantined && self.peers.conn_of(peer).is_some();
        !possible || self.pulls.queue(peer, list)
    }

    pub(super) fn pull_next(&mut self) {
        while let Some((peer, list)) = self.pulls.next(self.edge.now.instant) {
            self.with_vector(list, Purpose::Pull(peer));
        }
    }

    /// Does something that needs a list's committed version vector: at once if memory and disk
    /// agree, or there is no such list; else when the store was read.
    pub(super) fn with_vector(&mut self, list: ListId, purpose: Purpose) {
        match self.resident.get(list).filter(|_| !self.commits.any(list)) {
            Some(document) => {
                let (name, vector) = (document.name().clone(), document.vector().clone());
                self.vector_known(list, Some(&name), &vector, purpose);
            }
            None if !self.is_known(list) => {
                self.vector_known(list, None, &VersionVector::default(), purpose)
            }
            None => self
                .vectors
                .read(&mut self.edge, &mut self.jobs, list, purpose),
        }
    }

    pub(super) fn vector_read(
        &mut self,
        list: ListId,
        found: Result<Option<(ListName, VersionVector)>, SourceError>,
    ) {
        let purposes = self.vectors.answered(list);
        match found {
            Ok(found) => {
                let (name, vector) = found.unzip();
                let vector = vector.unwrap_or_default();
                purposes
                    .into_iter()
                    .for_each(|purpose| self.vector_known(list, name.as_ref(), &vector, purpose));
            }
            // Everything else is asked again by those who want to know.
            Err(_) => self.differing.forget(list),
        }
    }

    fn vector_known(
        &mut self,
        list: ListId,
        name: Option<&ListName>,
        vector: &VersionVector,
        purpose: Purpose,
    ) {
        let send = |lists: &mut Self, peer: NodeId, message: Message| {
            if let Some(conn) = lists.peers.conn_of(peer) {
                lists.edge.send_about(conn, list, &message);
            }
        };
        match purpose {
            Purpose::Serve {
                peer,
                theirs,
                most_bytes,
            } => self.pulled(list, name, vector, peer, &theirs, most_bytes),
            Purpose::Pull(peer) => {
                if let Some(most) = self.pulls.ask(self.edge.now.instant, peer, list) {
                    let most_bytes = u32::try_from(most).unwrap_or(u32::MAX);
                    send(
                        self,
                        peer,
                        Message::Pull {
                            list,
                            vector: vector.clone(),
                            most_bytes,
                        },
                    );
                }
            }
            Purpose::Compare { peer, answer } => send(
                self,
                peer,
                Message::Compare {
                    list,
                    vector: vector.clone(),
                    answer,
                },
            ),
            Purpose::Recheck => {
                if let Some(peer) = self.differing.recheck(list, vector) {
                    self.repair(peer, list);
                }
            }
            Purpose::Watch => {
                let answerable = self.watchers.committed_before(list, vector);
                self.answer_watchers(list, answerable);
            }
            Purpose::Depart(peer) => {
                self.departure.asked(peer, list, vector.clone());
                send(
                    self,
                    peer,
                    Message::Confirm {
                        list,
                        vector: vector.clone(),
                    },
                );
            }
        }
    }

    /// A peer asks for what it lacks of a list. If it has something that this node lacks, this node
    /// asks back.
    fn pulled(
        &mut self,
        list: ListId,
        name: Option<&ListName>,
        ours: &VersionVector,
        peer: NodeId,
        theirs: &VersionVector,
        most_bytes: usize,
    ) {
        let Some(conn) = self.peers.conn_of(peer) else {
            return;
        };
        if !ours.covers(theirs) {
            self.repair(peer, list);
        }
        let ranges = ours.missing_in(theirs);
        match name.filter(|_| self.resident.place(list) != Place::Quarantined) {
            None => self.edge.send_about(conn, list, &Message::Nothing(list)),
            Some(name) if ranges.is_empty() => {
                self.edge.send_about(
                    conn,
                    list,
                    &Message::Changes {
                        name: name.clone(),
                        changes: Vec::new(),
                        tail: Tail::End,
                    },
                );
            }
            Some(_) if self.serving.insert((list, peer)) => {
                let job = Job::Changes {
                    ranges,
                    most_bytes: most_bytes.min(MAX_ANSWER_BYTES),
                    to: peer,
                };
                self.jobs.push(&mut self.edge, list, job);
            }
            Some(_) => self.edge.stats.dropped += 1,
        }
    }

    /// Sends what was read for a peer, in messages that leave room for others between them.
    pub(super) fn serve(
        &mut self,
        list: ListId,
        to: NodeId,
        found: Result<Option<Answer>, SourceError>,
    ) {
        self.serving.remove(&(list, to));
        let Some(conn) = self.peers.conn_of(to) else {
            return;
        };
        let Ok(Some(Answer {
            name,
            changes,
            complete,
        })) = found
        else {
            return self.edge.send_about(conn, list, &Message::Nothing(list));
        };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for change in changes {
            let is_large = change.len() > CHUNK_BYTES;
            if is_large || bytes + change.len() > ANSWER_BYTES {
                let changes = std::mem::take(&mut batch);
                bytes = 0;
                self.edge.send_about(
                    conn,
                    list,
                    &Message::Changes {
                        name: name.clone(),
                        changes,
                        tail: Tail::Message,
                    },
                );
            }
            if is_large {
                self.outbox
                    .send_large(&mut self.edge, &[conn], &name, &change);
            } else {
                bytes += change.len();
                batch.push(change);
            }
        }
        let tail = if complete { Tail::End } else { Tail::Pull };
        self.edge.send_about(
            conn,
            list,
            &Message::Changes {
                name,
                changes: batch,
                tail,
            },
        );
    }

    pub(super) fn depart(&mut self, request: RequestId, timeout: Duration) {
        self.departure.begin(request);
        self.edge.after(timeout, Timer::Deadline(request));
        self.check_departure();
        if self.departure.is_wanted() {
            // A round under way keeps no record of what the peer has: begin it again.
            self.rounds.clear();
            self.begin_rounds();
        }
    }

    pub(super) fn check_departure(&mut self) {
        if self.commits.failed().is_none()
            && self
                .departure
                .unconfirmed(&self.digest, self.resident.quarantined())
                == 0
        {
            self.departure
                .finish()
                .for_each(|request| self.edge.reply(request, Ok(Reply::Unconfirmed(0))));
        }
    }
}
