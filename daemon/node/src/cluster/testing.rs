//! Membership's part of what a liar may say.

use super::message::Message;
use super::swim::{Identity, Member};
use crate::codec::decode_prefix;
use crate::testing::{Dice, invented, word};
use bytes::Bytes;
use foca::Header;

/// The most members in an invented packet.
const MAX_MEMBERS: usize = 3;

pub(crate) fn invent(dice: &mut dyn Dice) -> Option<Bytes> {
    invented::<Message>(dice).map(Bytes::from)
}

pub(crate) fn kind(bytes: &[u8]) -> Option<String> {
    Message::read(bytes).ok().map(|message| word(&message))
}

/// A header, perhaps with members behind it.
pub(crate) fn invent_packet(dice: &mut dyn Dice) -> Option<Bytes> {
    let mut packet = invented::<Header<Identity>>(dice)?;
    let members: Vec<Vec<u8>> = (0..dice.below(MAX_MEMBERS + 1))
        .filter_map(|_| invented::<Member>(dice))
        .collect();
    if !members.is_empty() {
        packet.extend(u16::try_from(members.len()).unwrap_or(0).to_be_bytes());
        packet.extend(members.concat());
    }
    Some(packet.into())
}

pub(crate) fn packet_kind(bytes: &[u8]) -> Option<String> {
    let (header, _) = decode_prefix::<Header<Identity>, 256>(bytes).ok()?;
    Some(word(&header.message))
}
