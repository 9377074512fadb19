//! Lies as they are made.

use super::Liar;
use super::words::Drawing;
use crate::disk::hash_of;
use bytes::Bytes;
use crdt::registry::{Delta, Reason, Record, State};
use names::NodeId;
use node::testing;
use node::wire::Channel;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// How often an invention is tried until it is a message.
const TRIES: usize = 12;
/// The most changes of lists that it makes: each is an actor more in every vector.
const MAX_CHANGES: usize = 100;
/// No datagram is longer: the transport would refuse it.
const MAX_DATAGRAM: usize = 1_150;

/// Something that is said on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speech {
    /// A message.
    Message(Channel, Bytes),
    /// A packet of SWIM.
    Datagram(Bytes),
}

impl Speech {
    /// Which kind of message or packet it is; `None` if it is none.
    pub fn kind(&self) -> Option<String> {
        match self {
            Self::Message(channel, bytes) => testing::kind(*channel, bytes),
            Self::Datagram(bytes) => testing::packet_kind(bytes),
        }
    }

    fn channel(&self) -> Option<Channel> {
        match self {
            Self::Message(channel, _) => Some(*channel),
            Self::Datagram(_) => None,
        }
    }

    fn bytes(&self) -> &Bytes {
        match self {
            Self::Message(_, bytes) | Self::Datagram(bytes) => bytes,
        }
    }

    fn of(channel: Option<Channel>, mut bytes: Bytes) -> Self {
        match channel {
            Some(channel) => Self::Message(channel, bytes),
            None => {
                bytes.truncate(MAX_DATAGRAM);
                Self::Datagram(bytes)
            }
        }
    }
}

/// Kinds of lies that are told beside what the machines say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// A message of any kind with whatever the dice give.
    Invented,
    /// Something that was said or heard before.
    Replayed,
    /// The same with something replaced.
    Bent,
    /// A part of a log of the registry.
    Log,
    /// A change of a list.
    Change,
    /// Bytes that are no message.
    Rubbish,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Invented,
        Self::Replayed,
        Self::Bent,
        Self::Log,
        Self::Change,
        Self::Rubbish,
    ];

    /// In a word, for a summary.
    pub fn word(self) -> &'static str {
        match self {
            Self::Invented => "invented",
            Self::Replayed => "replayed",
            Self::Bent => "bent",
            Self::Log => "log",
            Self::Change => "change",
            Self::Rubbish => "rubbish",
        }
    }
}

impl Liar {
    /// The next lie, if one can be made of what it knows.
    pub(crate) fn lie(&mut self) -> Option<Speech> {
        let lie = Lie::ALL[self.chance.weighted(&self.habits.lies)];
        let speech = match lie {
            Lie::Invented => self.invent(),
            Lie::Replayed => self.recall(),
            Lie::Bent => {
                let recalled = self.recall()?;
                self.bend(&recalled)
            }
            Lie::Log => self.forge_log(),
            Lie::Change => self.forge_push(),
            Lie::Rubbish => self.babble(),
        }?;
        self.count(lie.word());
        Some(speech)
    }

    /// Its own hello, for a connection of which its machines know nothing.
    pub(crate) fn hello(&mut self) -> Option<Speech> {
        let hello = self.hello.clone().filter(|_| self.chance.happens(0.5))?;
        self.count("greeted");
        Some(Speech::Message(Channel::Cluster, hello))
    }

    fn recall(&mut self) -> Option<Speech> {
        self.chance.pick(&self.memory).cloned()
    }

    fn some_channel(&mut self) -> Option<Channel> {
        let channels = [
            None,
            Some(Channel::Cluster),
            Some(Channel::Registry),
            Some(Channel::Lists),
        ];
        channels[self.chance.below(channels.len())]
    }

    fn invent(&mut self) -> Option<Speech> {
        let channel = self.some_channel();
        self.invent_for(channel)
    }

    fn invent_for(&mut self, channel: Option<Channel>) -> Option<Speech> {
        for _ in 0..TRIES {
            let change = match channel {
                Some(Channel::Lists) => self.forge_change(),
                Some(_) | None => None,
            };
            let mut dice = Drawing {
                words: &self.words,
                chance: &mut self.chance,
                channel,
                change,
            };
            let made = match channel {
                Some(channel) => testing::invent(channel, &mut dice),
                None => testing::invent_packet(&mut dice),
            };
            if let Some(bytes) = made {
                return Some(Speech::of(channel, bytes));
            }
        }
        None
    }

    /// The same speech with one to three things replaced, such that it still is a message.
    pub(super) fn bend(&mut self, said: &Speech) -> Option<Speech> {
        for _ in 0..TRIES {
            let mut bytes = said.bytes().to_vec();
            for _ in 0..1 + self.chance.below(3) {
                self.replace_something(&mut bytes, said.channel());
            }
            let bent = Speech::of(said.channel(), bytes.into());
            if bent != *said && bent.kind().is_some() {
                return Some(bent);
            }
        }
        None
    }

    fn replace_something(&mut self, bytes: &mut Vec<u8>, channel: Option<Channel>) {
        if bytes.is_empty() {
            return;
        }
        // Messages of lists begin with their shards, which are worth little.
        let first = if channel == Some(Channel::Lists) {
            2
        } else {
            0
        };
        let at = (first + self.chance.below(bytes.len())).min(bytes.len() - 1);
        match self.chance.below(4) {
            0 => {
                bytes[at] =
                    [0, 1, 255, bytes[at] ^ 1, bytes[at].wrapping_add(1)][self.chance.below(5)]
            }
            1 => {
                let number = self.words.number(&mut self.chance, "");
                replace_number(bytes, at, number);
            }
            2 => {
                let nearby = number_at(bytes, at).map(|(number, _)| number);
                let step = [1, 2, 999, 1_000, 1_001][self.chance.below(5)];
                replace_number(bytes, at, nearby.unwrap_or(0).wrapping_add(step));
            }
            _ => self.replace_id(bytes),
        }
    }

    /// Speaks of another node: one node's id takes the place of another's.
    fn replace_id(&mut self, bytes: &mut [u8]) {
        let known = self.words.nodes.iter().chain(&self.words.lists);
        let there: Vec<usize> = known
            .filter_map(|id| bytes.windows(16).position(|window| window == id))
            .collect();
        let (at, new) = (
            self.chance.pick(&there).copied(),
            self.words.id(&mut self.chance, ""),
        );
        if let Some(at) = at {
            bytes[at..at + 16].copy_from_slice(&new);
        }
    }

    /// A part of a log that was heard, as it may go on or as it never was; of whom it was, of itself,
    /// or of another node.
    fn forge_log(&mut self) -> Option<Speech> {
        let heard = self.chance.pick(&self.last_parts)?.clone();
        let forged = testing::alter_part(&heard, |delta, pushed| {
            *pushed = self.chance.happens(0.5);
            if self.chance.happens(0.4) {
                delta.owner = NodeId(self.words.id(&mut self.chance, "owner"));
            }
            if self.chance.happens(0.3) {
                delta.run = self.words.number(&mut self.chance, "run");
            }
            self.go_on_with(delta);
        })?;
        Some(Speech::Message(Channel::Registry, forged))
    }

    fn go_on_with(&mut self, delta: &mut Delta) {
        let next = delta.upto.saturating_add(1);
        (delta.after, delta.upto, delta.latest) = (delta.upto, next, next);
        for record in &mut delta.records {
            record.version = next;
        }
        delta.records.truncate(1);
        match self.chance.below(6) {
            // Somebody's end, which is none.
            0 => end(delta.records.first_mut()),
            // A log that has nothing.
            1 => (delta.after, delta.records) = (0, Vec::new()),
            // A registration that is none, at a time of its choice.
            2 | 3 => {
                let claim = self.words.number(&mut self.chance, "claim");
                for record in &mut delta.records {
                    if let State::Live(entry) = &mut record.state {
                        Arc::make_mut(entry).claim = claim;
                    }
                    record.process.pid = record.process.pid.wrapping_add(7_000);
                }
            }
            // So many changes at once.
            4 => {
                let far = self.words.number(&mut self.chance, "upto");
                (delta.upto, delta.latest) = (far, far);
                for record in &mut delta.records {
                    record.version = far;
                }
            }
            _ => delta.horizon = self.words.number(&mut self.chance, "horizon"),
        }
    }

    /// Changes of a list: what carries them is drawn until it carries some.
    fn forge_push(&mut self) -> Option<Speech> {
        for _ in 0..TRIES * 4 {
            let speech = self.invent_for(Some(Channel::Lists))?;
            if matches!(speech.kind().as_deref(), Some("Push" | "Changes")) {
                return Some(speech);
            }
        }
        None
    }

    /// A change that somebody made first in a list, under his actor, or one that nobody has or only the
    /// liar, with some bytes replaced and the checksum made right.
    fn forge_change(&mut self) -> Option<Vec<u8>> {
        if self.makes_no_changes {
            return None;
        }
        if self.changes.len() >= MAX_CHANGES {
            return self.chance.pick(&self.changes).cloned();
        }
        let mut change = self.chance.pick(&self.words.changes)?.clone();
        if let Some(actor) = self.some_actor() {
            let old = actor_of(&change)?;
            change[old..old + 16].copy_from_slice(&actor);
        }
        for _ in 0..self.chance.below(4) {
            let after_actor = actor_of(&change).unwrap_or(8) + 17;
            let at = after_actor + self.chance.below(change.len().saturating_sub(after_actor));
            let Some(byte) = change.get_mut(at) else {
                continue;
            };
            *byte = match self.chance.below(4) {
                0 => self.chance.bytes::<1>()[0],
                1 => byte.wrapping_add(1),
                2 => byte.wrapping_sub(1),
                _ => 0x7f,
            };
        }
        let checksum = Sha256::digest(&change[8..]);
        change[4..8].copy_from_slice(&checksum[..4]);
        self.forged.insert(hash_of(&change));
        self.changes.push(change.clone());
        Some(change)
    }

    /// An actor of its own, new or not; `None` for that of whoever has made the change.
    fn some_actor(&mut self) -> Option<[u8; 16]> {
        match self.chance.below(4) {
            0 => None,
            1 => self.chance.pick(&self.actors).copied(),
            _ => {
                let actor = self.chance.bytes();
                self.actors.push(actor);
                Some(actor)
            }
        }
    }

    fn babble(&mut self) -> Option<Speech> {
        let channel = self.some_channel();
        let length = self.chance.below(40);
        let bytes = self.chance.bytes::<40>()[..length].to_vec();
        Some(Speech::of(channel, bytes.into()))
    }
}

fn end(record: Option<&mut Record>) {
    if let Some(record) = record {
        record.state = State::Gone(Reason::Killed(9));
    }
}

/// Where the id of a change's actor begins: behind magic, checksum, type, length, and the hashes on
/// which it depends.
fn actor_of(change: &[u8]) -> Option<usize> {
    let mut at = 9;
    while *change.get(at)? >= 0x80 {
        at += 1;
    }
    at += 1;
    let deps = usize::from(*change.get(at)?);
    at += 1 + deps * 32;
    let is_actor = *change.get(at)? == 16 && change.len() > at + 17;
    is_actor.then_some(at + 1)
}

/// The number that begins there as messages encode it, and how many bytes it takes.
fn number_at(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let length = match *bytes.get(at)? {
        small @ 0..=250 => return Some((u64::from(small), 1)),
        251 => 2,
        252 => 4,
        253 => 8,
        254.. => return None,
    };
    let mut number = [0; 8];
    number[..length].copy_from_slice(bytes.get(at + 1..at + 1 + length)?);
    Some((u64::from_le_bytes(number), 1 + length))
}

fn replace_number(bytes: &mut Vec<u8>, at: usize, number: u64) {
    let Some((_, length)) = number_at(bytes, at) else {
        return;
    };
    let Ok(new) = node::codec::encode(&number) else {
        return;
    };
    bytes.splice(at..at + length, new);
}
