//! A line of the roster in the form in which it goes to third nodes and lies on the disk.
//!
//! See [`crate::relayed`] for the form and the fields 1 to 3. This is version 1:
//!
//! | field | is |
//! | --- | --- |
//! | 3 | the standing: 10 member, 20 left, 30 forgotten; others are for later |
//! | 4 | the node that it is about (16 bytes), in all versions; absent where a node speaks of itself |
//! | 5 | the chain of certificates by which the writer's proof is judged, in all versions; absent where there is no proof |
//! | 16 | the node's name |
//! | 17 | its address |
//! | 18 | the version of its program |
//! | 19 | its tags, sorted |
//! | 20 | what tells one start of the node's daemon from all others (16 bytes); absent where another node is spoken of |
//! | 21 | the pace of the node's links: 10 normal, 20 metered; absent where another node is spoken of, and in lines of programs that know only the first |
//!
//! A node writes its own line. Others can write one about it too (that it is forgotten), in the run
//! and with the serial that they know; they repeat what the node said of itself.

use super::{Pace, Profile, RosterEntry, Standing};
use crate::record::{Number, RecordError};
use crate::relayed::{Rank, Relayed};
use bytes::Bytes;
use names::NodeId;

const VERSION: u8 = 1;
const SUBJECT: Number = 4;
const CHAIN: Number = 5;
const NAME: Number = 16;
const ADDRESS: Number = 17;
const PROGRAM: Number = 18;
const TAGS: Number = 19;
const START: Number = 20;
const PACE: Number = 21;

impl Standing {
    /// Its number in a line, with room between for those to come.
    fn number(self) -> u64 {
        match self {
            Self::Member => 10,
            Self::Left => 20,
            Self::Forgotten => 30,
        }
    }

    fn numbered(number: u64) -> Option<Self> {
        [Self::Member, Self::Left, Self::Forgotten]
            .into_iter()
            .find(|standing| standing.number() == number)
    }
}

/// Who writes a line, and what stands in it beside the [entry](RosterEntry).
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// The writer's id.
    pub owner: NodeId,
    /// Its chain of certificates; empty for a line without proof.
    pub chain: &'a [u8],
    /// Of a line about the writer itself: what tells this start of its daemon from all others.
    pub start: Option<[u8; 16]>,
    /// Of a line about the writer itself: the pace of its links.
    pub pace: Option<Pace>,
}

impl Author<'_> {
    /// Of a line without a proof.
    pub fn unproved(owner: NodeId) -> Self {
        Self {
            owner,
            chain: &[],
            start: None,
            pace: None,
        }
    }
}

/// One line, as its writer wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line(Relayed);

impl Line {
    /// Takes the bytes of a line, of whatever version.
    ///
    /// # Errors
    /// They are no line.
    pub fn read(bytes: Bytes) -> Result<Self, RecordError> {
        let line = Self(Relayed::read(bytes)?);
        line.0
            .fields()
            .bytes(SUBJECT)
            .map_or(Ok(()), |subject| subject_of(subject).map(drop))?;
        Ok(line)
    }

    /// Writes what its author says about `subject`, which may be itself.
    ///
    /// # Errors
    /// It is too large for a line.
    pub fn write(
        author: Author<'_>,
        subject: NodeId,
        serial: u64,
        entry: &RosterEntry,
    ) -> Result<Self, RecordError> {
        let RosterEntry {
            run,
            standing,
            profile,
        } = entry;
        let rank = Rank {
            run: *run,
            serial,
            standing: standing.number(),
        };
        let relayed = Relayed::write(VERSION, author.owner, rank, |writer| {
            if subject != author.owner {
                writer.put_bytes(SUBJECT, &subject.0);
            }
            if !author.chain.is_empty() {
                writer.put_bytes(CHAIN, author.chain);
            }
            writer
                .put(NAME, &profile.name)
                .put(ADDRESS, &profile.address)
                .put(PROGRAM, &profile.version)
                .put(TAGS, &profile.tags);
            if let Some(start) = author.start {
                writer.put_bytes(START, &start);
            }
            writer.put_some(PACE, author.pace.map(Pace::number).as_ref());
        })?;
        Ok(Self(relayed))
    }

    /// The same with its author's proof.
    ///
    /// # Errors
    /// It is too large with it.
    pub fn signed(&self, sign: impl FnOnce(&[u8]) -> Bytes) -> Result<Self, RecordError> {
        let proof = sign(self.0.said());
        self.0.with_proof(&proof).map(Self)
    }

    /// The chain of certificates by which its proof is judged; empty if it has none.
    pub fn chain(&self) -> &[u8] {
        self.0.fields().bytes(CHAIN).unwrap_or_default()
    }

    /// Of a line of a node about itself: what tells the start of its daemon from all others.
    pub fn start(&self) -> Option<[u8; 16]> {
        self.0.fields().bytes(START)?.try_into().ok()
    }

    /// Of a line of a node about itself: the pace of its links; `None` where its program knows none.
    pub fn pace(&self) -> Option<Pace> {
        let number = self.0.fields().get(PACE).ok().flatten();
        number.map(Pace::numbered)
    }

    /// The node that it is about.
    pub fn subject(&self) -> NodeId {
        let subject = self.0.fields().bytes(SUBJECT);
        subject
            .and_then(|subject| subject_of(subject).ok())
            .unwrap_or_else(|| self.0.owner())
    }

    /// What it says, as far as this program understands it; `None` if its version or its standing is
    /// not known here.
    ///
    /// # Errors
    /// It is of a known version, but does not hold what such a line holds.
    pub fn entry(&self) -> Result<Option<RosterEntry>, RecordError> {
        let standing = Standing::numbered(self.0.rank().standing);
        let (VERSION, Some(standing)) = (self.0.version(), standing) else {
            return Ok(None);
        };
        let fields = self.0.fields();
        let profile = Profile {
            name: fields.need(NAME)?,
            address: fields.need(ADDRESS)?,
            version: fields.need(PROGRAM)?,
            tags: fields.need(TAGS)?,
        };
        Ok(Some(RosterEntry {
            run: self.0.rank().run,
            standing,
            profile,
        }))
    }

    /// As it is merged and handed on.
    pub fn relayed(&self) -> &Relayed {
        &self.0
    }
}

fn subject_of(bytes: &[u8]) -> Result<NodeId, RecordError> {
    let id = bytes.try_into().map(NodeId);
    id.map_err(|_| RecordError::Value {
        number: SUBJECT,
        reason: "it is no node id".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Writer;
    use crate::relayed::Relay;
    use names::NodeName;
    use proptest::prelude::*;

    const NODE: NodeId = NodeId([7; 16]);

    fn entry(run: u64, standing: Standing) -> RosterEntry {
        let profile = Profile {
            name: NodeName::new("alpha").unwrap(),
            address: ([10, 0, 0, 7], 6878).into(),
            version: "0.1.0".to_owned(),
            tags: vec!["rack=7".to_owned()],
        };
        RosterEntry {
            run,
            standing,
            profile,
        }
    }

    #[test]
    fn a_line_says_what_was_written() {
        for standing in [Standing::Member, Standing::Left, Standing::Forgotten] {
            let line = Line::write(
                Author::unproved(NodeId([1; 16])),
                NODE,
                5,
                &entry(3, standing),
            )
            .unwrap();
            let line = Line::read(line.relayed().bytes().clone()).unwrap();
            assert_eq!(line.entry(), Ok(Some(entry(3, standing))));
            assert_eq!(line.subject(), NODE);
            assert_eq!(line.relayed().owner(), NodeId([1; 16]));
        }
    }

    #[test]
    fn the_form_is_what_it_was() {
        let line =
            Line::write(Author::unproved(NODE), NODE, 2, &entry(3, Standing::Member)).unwrap();
        let head = [&[1_u8][..], &[7; 16], &[1, 1, 3, 2, 1, 2, 3, 1, 10]].concat();
        let name = [&[16, 6, 5][..], b"alpha"].concat();
        let address = [17, 8, 0, 10, 0, 0, 7, 251, 0xde, 0x1a];
        let program = [&[18, 6, 5][..], b"0.1.0"].concat();
        let tags = [&[19, 8, 1, 6][..], b"rack=7"].concat();
        assert_eq!(
            line.relayed().bytes(),
            &[&head[..], &name, &address, &program, &tags].concat()
        );
        assert_eq!(
            Line::read(line.relayed().bytes().clone()).unwrap().entry(),
            Ok(Some(entry(3, Standing::Member)))
        );
    }

    #[test]
    fn a_proof_is_over_the_whole_line_and_the_chain_is_part_of_it() {
        let author = Author {
            owner: NODE,
            chain: b"chain",
            start: Some([9; 16]),
            pace: Some(Pace::Metered),
        };
        let bare = Line::write(author, NODE, 2, &entry(3, Standing::Member)).unwrap();
        assert_eq!((bare.chain(), bare.start()), (&b"chain"[..], Some([9; 16])));
        assert_eq!(bare.pace(), Some(Pace::Metered));
        let signed = bare.signed(|said| {
            assert_eq!(said, bare.relayed().bytes());
            Bytes::from_static(b"proof")
        });
        let signed = Line::read(signed.unwrap().relayed().bytes().clone()).unwrap();
        assert_eq!(signed.relayed().proof(), Some(&b"proof"[..]));
        assert_eq!(signed.relayed().said(), bare.relayed().bytes());
        assert_eq!(signed.entry(), Ok(Some(entry(3, Standing::Member))));
    }

    /// A line as a program of any version may write it.
    fn lines() -> impl Strategy<Value = Bytes> {
        let head = (1..4_u8, 0..2_u8, prop::option::of(0..2_u8));
        let rank = (
            0..2_u64,
            0..2_u64,
            prop_oneof![Just(10_u64), Just(25), Just(30)],
        );
        let unknown = prop::collection::btree_map(20..40_u16, any::<u8>(), 0..3);
        (head, rank, unknown, any::<bool>()).prop_map(
            |((version, owner, subject), (run, serial, standing), unknown, has_tags)| {
                let mut writer = Writer::after([&[version], [owner; 16].as_slice()].concat());
                writer.put(1, &run).put(2, &serial).put(3, &standing);
                if let Some(subject) = subject {
                    writer.put_bytes(SUBJECT, &[subject; 16]);
                }
                let RosterEntry { profile, .. } = entry(run, Standing::Member);
                writer
                    .put(NAME, &profile.name)
                    .put(ADDRESS, &profile.address)
                    .put(PROGRAM, &profile.version);
                if has_tags {
                    writer.put(TAGS, &profile.tags);
                }
                for (number, value) in unknown {
                    writer.put(number, &value);
                }
                writer.finish().unwrap().into()
            },
        )
    }

    /// A node that takes in lines in that order, and hands on what was news.
    fn node(lines: &[Bytes]) -> (Relay<NodeId>, Vec<Bytes>) {
        let (mut relay, mut handed_on) = (Relay::default(), Vec::new());
        for bytes in lines {
            let line = Line::read(bytes.clone()).unwrap();
            if relay.merge(line.subject(), line.relayed().clone()) {
                handed_on.push(line.relayed().bytes().clone());
            }
        }
        (relay, handed_on)
    }

    proptest! {
        #[test]
        fn lines_that_a_node_does_not_understand_are_kept_and_handed_on_byte_for_byte(lines in prop::collection::vec(lines(), 0..8)) {
            let (relay, handed_on) = node(&lines);
            for (_, kept) in relay.iter() {
                prop_assert!(lines.contains(kept.bytes()));
            }
            prop_assert_eq!(&node(&handed_on).0, &relay, "a node behind it comes to the same");
        }

        #[test]
        fn lines_merge_alike_everywhere(a in prop::collection::vec(lines(), 0..5), b in prop::collection::vec(lines(), 0..5), c in prop::collection::vec(lines(), 0..5)) {
            let of = |parts: &[&[Bytes]]| node(&parts.concat()).0;
            prop_assert_eq!(of(&[&a, &b]), of(&[&b, &a]));
            let merged = |x: &Relay<NodeId>, y: &Relay<NodeId>| {
                let mut x = x.clone();
                for (about, line) in y.iter() {
                    x.merge(*about, line.clone());
                }
                x
            };
            let (x, y, z) = (of(&[&a]), of(&[&b]), of(&[&c]));
            prop_assert_eq!(merged(&merged(&x, &y), &z), merged(&x, &merged(&y, &z)));
            prop_assert_eq!(merged(&x, &x), x.clone());
            prop_assert_eq!(merged(&x, &y), of(&[&b, &a]));
        }

        #[test]
        fn what_a_line_says_is_read_or_refused(bytes in lines()) {
            let line = Line::read(bytes).unwrap();
            if line.relayed().version() != 1 || line.relayed().rank().standing == 25 {
                prop_assert_eq!(line.entry(), Ok(None));
            }
        }
    }
}
