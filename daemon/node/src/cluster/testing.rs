//! Membership's part of what a liar may say.

use super::message::Message;
use super::swim::{Identity, Member};
use crate::codec::decode_prefix;
use crate::testing::{Dice, invented, word};
use bytes::Bytes;
use crdt::roster::RosterEntry;
use foca::Header;
use names::NodeId;

/// The most members in an invented packet.
const MAX_MEMBERS: usize = 3;

pub(crate) fn invent(dice: &mut dyn Dice) -> Option<Bytes> {
    invented::<Message>(dice).map(Bytes::from)
}

/// Keeps those lines of a roster that `keep` approves of; `None` if there were no others.
pub(crate) fn keep_lines(
    bytes: &[u8],
    mut keep: impl FnMut(&NodeId, &RosterEntry) -> bool,
) -> Option<Bytes> {
    let Ok(Message::Roster { mut lines, answer }) = Message::read(bytes) else {
        return None;
    };
    let before = lines.len();
    lines.retain(|(node, line)| keep(node, line));
    (lines.len() < before).then(|| Message::Roster { lines, answer }.bytes())
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
