//! What cluster machines say to each other on [`Channel::Cluster`](crate::wire::Channel), encoded
//! by [`crate::codec`].
//!
//! | tag | message | when |
//! | --- | --- | --- |
//! | 0 | `Hello` | first on each connection, and again when the sender has taken a higher run |
//! | 1 | `Above` | answer to a hello: a higher run of you, or another daemon with that run, was here; it is gone |
//! | 2 | `Taken` | answer to a hello: another daemon with your identity is here and answers |
//! | 3 | `NameTaken` | answer to a hello: another node bears your name |
//! | 4 | `Challenge` | somebody else says to be you: are you there? |
//! | 5 | `Present` | answer to `Challenge` |
//! | 6 | `Members` | the whole membership state, in chunks, once a hello was accepted; or one line, to a member that has been suspect for a second |
//! | 7 | `Roster` | the whole roster, in chunks: then, and when hashes differ |
//! | 8 | `RosterHash` | once a second to one peer |
//! | 9 | `Ask` | send `Members` and `Roster` again: yours came before your hello was accepted |
//! | 10 | `Goodbye` | the sender goes |
//! | 11 | `Greeting` | in protocol 2 what `Hello` is in 1 |
//! | 12 | `Lines` | in protocol 2 what `Roster` is in 1 |
//! | 13 | `LinesHash` | in protocol 2 what `RosterHash` is in 1 |
//! | 14 | `AboveLine` | in protocol 2 what `Above` is in 1: the line that shows the higher run |
//! | 15 | `Revocations` | with `Lines`; and one at once when it is made |
//! | 16 | `Refused` | lines or revocations of the receiver prove nothing to the sender: by the node that each is about and its digest |
//! | 17 | `Bundle` | `Lines` of which some have certificates in common |
//! | 18 | `Aways` | who is away on purpose: with `Lines`, when hashes differ, and one at once when it is made |
//! | 19 | `AwaysHash` | with `LinesHash`, unless nobody was declared away |
//!
//! The first five and `Above`, `Roster` and `RosterHash` in protocol 1 prove nothing about third nodes:
//! where that protocol is not accepted, what `Above`, `Roster` and `RosterHash` say is passed over. In
//! protocol 2 messages may be added at any time: one of a kind that a program does not know is passed
//! over.

use super::apart::Refused;
use super::bundle::Cut;
use super::swim::Member;
use crate::belief::{MAX_RUN, run_of};
use crate::codec::{Malformed, decode, encode};
use bytes::Bytes;
use crdt::roster::{Profile, RosterEntry};
use names::NodeId;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The most members in one message: at 50 bytes each far below a frame.
const MEMBERS_PER_MESSAGE: usize = 1_000;
/// The most lines of the roster in one message: at 4.4 kB each (see [`is_sound`]) below a frame.
const LINES_PER_MESSAGE: usize = 200;
/// About how many bytes of revocations, or of who is away, go in one message.
const STATEMENT_BYTES_PER_MESSAGE: usize = 256 << 10;
/// How many kinds of messages this program knows.
const KINDS: u8 = 20;
/// The longest version and tag, in bytes.
const MAX_WORD_BYTES: usize = 64;
/// The most tags.
const MAX_TAGS: usize = 64;

/// Tells one start of a daemon from all others.
pub(super) type Nonce = [u8; 16];

/// Who speaks, in which run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) generation: u64,
    pub(super) nonce: Nonce,
    pub(super) profile: Profile,
}

impl Hello {
    pub(super) fn run(&self) -> u64 {
        run_of(self.generation)
    }

    pub(super) fn is_sound(&self) -> bool {
        (1..MAX_RUN).contains(&self.run()) && is_sound(&self.profile)
    }
}

/// See the module's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    Hello(Hello),
    Above {
        run: u64,
    },
    Taken {
        address: SocketAddr,
    },
    NameTaken {
        bearer: NodeId,
        address: SocketAddr,
    },
    Challenge,
    Present,
    Members(Vec<Member>),
    Roster {
        lines: Vec<(NodeId, RosterEntry)>,
        answer: bool,
    },
    RosterHash(u64),
    Ask,
    Goodbye {
        restart: bool,
    },
    Greeting {
        generation: u64,
        nonce: Nonce,
        line: Bytes,
    },
    Lines {
        lines: Vec<Bytes>,
        answer: bool,
    },
    LinesHash(u64),
    AboveLine(Bytes),
    Revocations(Vec<Bytes>),
    Refused(Vec<Refused>),
    Bundle {
        issuers: Vec<Bytes>,
        lines: Vec<Cut>,
        answer: bool,
    },
    Aways {
        aways: Vec<Bytes>,
        answer: bool,
    },
    AwaysHash(u64),
}

impl Message {
    /// As bytes. Empty, and logged, if it were larger than a frame: no message that this module's
    /// bounds admit is.
    pub(super) fn bytes(&self) -> Bytes {
        encode(self).map(Bytes::from).unwrap_or_else(|error| {
            tracing::error!(%error, "a message of ours is too large");
            Bytes::new()
        })
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes)
    }

    /// Whether bytes are a message of a kind that this program does not know.
    pub(super) fn is_unknown(bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|kind| *kind >= KINDS)
    }

    pub(super) fn revocations(revocations: Vec<Bytes>) -> Vec<Self> {
        parts(revocations)
            .into_iter()
            .map(Self::Revocations)
            .collect()
    }

    /// The last one asks for the other's, if an answer is wanted; it is there also where there is nothing
    /// to tell.
    pub(super) fn aways(aways: Vec<Bytes>, answer: bool) -> Vec<Self> {
        let mut parts = parts(aways);
        if parts.is_empty() && answer {
            parts.push(Vec::new());
        }
        let last = parts.len();
        let parts = parts.into_iter().enumerate();
        let messages = parts.map(|(i, aways)| Self::Aways {
            aways,
            answer: answer && i + 1 == last,
        });
        messages.collect()
    }

    pub(super) fn members(members: &[Member]) -> impl Iterator<Item = Self> {
        members
            .chunks(MEMBERS_PER_MESSAGE)
            .map(|chunk| Self::Members(chunk.to_vec()))
    }

    /// The last chunk asks for the other's roster, if an answer is wanted.
    pub(super) fn roster(
        lines: &[(NodeId, RosterEntry)],
        answer: bool,
    ) -> impl Iterator<Item = Self> {
        let last = lines.len().div_ceil(LINES_PER_MESSAGE);
        let chunks = lines.chunks(LINES_PER_MESSAGE).enumerate();
        chunks.map(move |(i, chunk)| Self::Roster {
            lines: chunk.to_vec(),
            answer: answer && i + 1 == last,
        })
    }
}

/// Cuts what goes in several messages.
fn parts(all: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for one in all {
        if bytes + one.len() > STATEMENT_BYTES_PER_MESSAGE && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += one.len();
        part.push(one);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Whether a profile keeps to the bounds of the protocol.
pub(super) fn is_sound(profile: &Profile) -> bool {
    let words = profile.tags.iter().chain(std::iter::once(&profile.version));
    profile.tags.len() <= MAX_TAGS && words.into_iter().all(|word| word.len() <= MAX_WORD_BYTES)
}

/// Cuts a profile to the bounds, and its address to what the wire carries (no scope, no flow
/// label).
pub(super) fn sound(mut profile: Profile) -> Profile {
    profile.tags.retain(|tag| tag.len() <= MAX_WORD_BYTES);
    profile.tags.truncate(MAX_TAGS);
    if profile.version.len() > MAX_WORD_BYTES {
        profile.version = "unknown".to_owned();
    }
    profile.address = SocketAddr::new(profile.address.ip(), profile.address.port());
    profile
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::roster::Standing;
    use names::NodeName;
    use proptest::prelude::*;

    fn line(id: u32, word: usize) -> (NodeId, RosterEntry) {
        let mut node = [0; 16];
        node[..4].copy_from_slice(&id.to_be_bytes());
        let profile = Profile {
            name: NodeName::new(&"n".repeat(63)).unwrap(),
            address: ([0xffff; 8], 6878).into(),
            version: "v".repeat(word),
            tags: vec!["t".repeat(word); MAX_TAGS],
        };
        (
            NodeId(node),
            RosterEntry {
                run: MAX_RUN,
                standing: Standing::Member,
                profile,
            },
        )
    }

    #[test]
    fn the_largest_roster_travels_in_frames_and_asks_once() {
        let lines: Vec<_> = (0..1_001).map(|id| line(id, MAX_WORD_BYTES)).collect();
        let messages: Vec<_> = Message::roster(&lines, true).collect();
        let mut arrived = Vec::new();
        for (i, message) in messages.iter().enumerate() {
            let Ok(Message::Roster { lines, answer }) = Message::read(&message.bytes()) else {
                panic!("not a roster")
            };
            assert_eq!(answer, i + 1 == messages.len());
            arrived.extend(lines);
        }
        assert_eq!(arrived, lines);
    }

    #[test]
    fn a_profile_beyond_the_bounds_is_told_and_cut() {
        let (_, entry) = line(1, MAX_WORD_BYTES + 1);
        assert!(!is_sound(&entry.profile));
        assert!(is_sound(&sound(entry.profile)));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), tag in 0..KINDS) {
            let tagged: Vec<u8> = std::iter::once(tag).chain(bytes).collect();
            if let Ok(message) = Message::read(&tagged) {
                prop_assert_eq!(Message::read(&message.bytes()), Ok(message));
            }
        }
    }
}
