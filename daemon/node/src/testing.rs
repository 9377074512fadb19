//! What a member may say that does not keep to the protocol, for the simulator's liar: messages of
//! every kind that the types of this crate can express, with numbers, ids and texts of the caller's
//! choice.
//!
//! Nothing here names a kind of message. A message is *invented* by decoding it from dice instead of
//! bytes, so one that is added to an enum later is invented, too.

mod maker;

use crate::codec::{decode, encode};
use crate::registry::message::Message as RegistryMessage;
use crate::wire::Channel;
use crate::{cluster, lists};
use bytes::Bytes;
use crdt::registry::{Delta, ProvedDelta, Statement};
use maker::Maker;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{self, Debug, Write};

/// Where the parts of invented messages come from. `field` is the name of the nearest field around
/// the part.
pub trait Dice {
    /// A number below `limit`; 0 if the limit is 0.
    fn below(&mut self, limit: usize) -> usize;
    /// A number; one that does not fit is cut to the largest that does.
    fn number(&mut self, field: &'static str) -> u64;
    /// So many bytes: an id, most of the time.
    fn array(&mut self, field: &'static str, length: usize) -> Vec<u8>;
    /// A name, or another text.
    fn text(&mut self, field: &'static str) -> String;
    /// Bytes of any length: a change of a list, most of the time.
    fn blob(&mut self, field: &'static str) -> Vec<u8>;
}

/// Invents a message of a channel; `None` if the dice gave something that no message may hold.
pub fn invent(channel: Channel, dice: &mut dyn Dice) -> Option<Bytes> {
    match channel {
        Channel::Cluster => cluster::testing::invent(dice),
        Channel::Registry => invented::<RegistryMessage>(dice).map(Bytes::from),
        Channel::Lists => lists::testing::invent(dice),
    }
}

/// Invents a packet of SWIM.
pub fn invent_packet(dice: &mut dyn Dice) -> Option<Bytes> {
    cluster::testing::invent_packet(dice)
}

/// Which kind of message these bytes are; `None` if they are none.
pub fn kind(channel: Channel, bytes: &[u8]) -> Option<String> {
    match channel {
        Channel::Cluster => cluster::testing::kind(bytes),
        Channel::Registry => decode::<RegistryMessage>(bytes).ok().map(|it| word(&it)),
        Channel::Lists => lists::testing::kind(bytes),
    }
}

/// Which kind of packet these bytes begin with; `None` if with none.
pub fn packet_kind(bytes: &[u8]) -> Option<String> {
    cluster::testing::packet_kind(bytes)
}

/// Changes a part of a registry's log, with whether it says to be pushed; `None` if the bytes are
/// no such part. A head that proves it stays as it is.
pub fn alter_part(bytes: &[u8], alter: impl FnOnce(&mut Delta, &mut bool)) -> Option<Bytes> {
    let mut message = decode::<RegistryMessage>(bytes).ok()?;
    match &mut message {
        RegistryMessage::Part { delta, pushed } => alter(delta, pushed),
        RegistryMessage::Proved { delta, pushed } => {
            let mut plain = plain(delta)?;
            alter(&mut plain, pushed);
            let written = plain.records.iter();
            let written = written.map(|record| Statement::write(plain.owner, plain.run, record));
            let statements = written.map(|one| Some(one.ok()?.relayed().bytes().clone()));
            *delta = ProvedDelta {
                owner: plain.owner,
                run: plain.run,
                after: plain.after,
                upto: plain.upto,
                latest: plain.latest,
                horizon: plain.horizon,
                statements: statements.collect::<Option<_>>()?,
                head: delta.head.take(),
            };
        }
        RegistryMessage::Ack(_)
        | RegistryMessage::Pull { .. }
        | RegistryMessage::Hash(_)
        | RegistryMessage::Vector { .. }
        | RegistryMessage::Probe(_)
        | RegistryMessage::Probed { .. }
        | RegistryMessage::Heads { .. } => return None,
    }
    encode(&message).ok().map(Bytes::from)
}

/// What a part says that carries proofs.
fn plain(delta: &ProvedDelta) -> Option<Delta> {
    let records = delta.statements.iter().map(|bytes| {
        let statement = Statement::read(bytes.clone()).ok()?;
        statement.record().ok().flatten()
    });
    Some(Delta {
        owner: delta.owner,
        run: delta.run,
        after: delta.after,
        upto: delta.upto,
        latest: delta.latest,
        horizon: delta.horizon,
        records: records.collect::<Option<_>>()?,
    })
}

/// A value made of dice, encoded.
pub(crate) fn invented<T: Serialize + DeserializeOwned>(dice: &mut dyn Dice) -> Option<Vec<u8>> {
    let value = T::deserialize(Maker::new(dice)).ok()?;
    encode(&value).ok()
}

/// The first word of a value's debug text: the name of its variant.
pub(crate) fn word(value: &impl Debug) -> String {
    let mut word = Word(String::new());
    let _ = write!(word, "{value:?}");
    word.0
}

/// Takes the first word of a text, and refuses the rest.
struct Word(String);

impl Write for Word {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if !letter.is_alphanumeric() {
                return Err(fmt::Error);
            }
            self.0.push(letter);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Counts up.
    struct Counter(usize);

    impl Dice for Counter {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.0 >> 33) % limit.max(1)
        }

        fn number(&mut self, _: &'static str) -> u64 {
            [0, 1, 5 << 32, u64::MAX][self.below(4)]
        }

        fn array(&mut self, _: &'static str, length: usize) -> Vec<u8> {
            vec![u8::try_from(self.below(5)).unwrap(); length]
        }

        fn text(&mut self, _: &'static str) -> String {
            format!("node{}", self.below(5))
        }

        fn blob(&mut self, _: &'static str) -> Vec<u8> {
            vec![7; 20]
        }
    }

    #[test]
    fn every_kind_of_message_is_invented_and_decodes() {
        let mut dice = Counter(1);
        for (channel, kinds) in [
            (Channel::Cluster, 11),
            (Channel::Registry, 7),
            (Channel::Lists, 13),
        ] {
            let invented = (0..2_000).filter_map(|_| invent(channel, &mut dice));
            let seen: BTreeSet<String> = invented
                .map(|bytes| kind(channel, &bytes).unwrap())
                .collect();
            assert!(seen.len() >= kinds, "{channel:?}: {seen:?}");
        }
        let packets = (0..2_000).filter_map(|_| invent_packet(&mut dice));
        let seen: BTreeSet<String> = packets.map(|it| packet_kind(&it).unwrap()).collect();
        assert!(seen.len() >= 11, "{seen:?}");
    }

    #[test]
    fn a_part_of_a_log_is_altered_and_nothing_else_is() {
        let mut dice = Counter(1);
        let messages: Vec<Bytes> = (0..200)
            .filter_map(|_| invent(Channel::Registry, &mut dice))
            .collect();
        for bytes in messages {
            let kind = kind(Channel::Registry, &bytes);
            let altered = alter_part(&bytes, |delta, _| delta.run = 77);
            match kind.as_deref() {
                Some("Part") => assert!(altered.is_some()),
                // What is invented is rarely a statement.
                Some("Proved") => {}
                _ => assert!(altered.is_none()),
            }
        }
    }
}
