//! That a member is away on purpose for a time, or is so no longer, as another member says it.
//!
//! See [`crate::relayed`] for the form. The owner is the node that says it. Run and serial are those of
//! the subject's own line of the roster that it is about: with the subject's next line it is over. The
//! standing is when it was said, in milliseconds since 1970 by the clock of the node that says it, and
//! above that of what it replaces: of two about one line the later one stays. This is version 1:
//!
//! | field | is |
//! | --- | --- |
//! | 4 | the member that it is about (16 bytes), in all versions |
//! | 5 | the chain of certificates by which the proof is judged, in all versions |
//! | 16 | until when it is away, in milliseconds since 1970; absent where it is so no longer |
//! | 17 | why, in words |
//! | 18 | who has asked for it, as the node says |

use super::line::Line;
use crate::record::{Number, RecordError};
use crate::relayed::{Rank, Relayed};
use bytes::Bytes;
use names::{NodeId, is_unprintable};

const VERSION: u8 = 1;
const SUBJECT: Number = 4;
const CHAIN: Number = 5;
const UNTIL: Number = 16;
const WHY: Number = 17;
const BY: Number = 18;

/// The most bytes of one.
const MAX_BYTES: usize = 8 << 10;
/// The most bytes of why a member is away.
pub const MAX_WHY_BYTES: usize = 200;
/// The most bytes of who has asked for it.
const MAX_BY_BYTES: usize = 200;
/// For how long a member may be away at most: 366 days.
pub const MAX_AWAY_MS: u64 = 366 * 24 * 60 * 60 * 1_000;

/// What one member says of another one that is away, or no longer is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Away {
    relayed: Relayed,
    subject: NodeId,
}

/// What it says for people and programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// Until when the member is away, in milliseconds since 1970; `None` if it is so no longer.
    pub until_ms: Option<u64>,
    /// Why.
    pub why: String,
    /// Who has asked for it, as the node says.
    pub by: String,
}

impl Away {
    /// Takes the bytes of one, of whatever version.
    ///
    /// # Errors
    /// They are none.
    pub fn read(bytes: Bytes) -> Result<Self, RecordError> {
        if bytes.len() > MAX_BYTES {
            return Err(RecordError::TooLarge);
        }
        let relayed = Relayed::read(bytes)?;
        let subject = relayed.fields().bytes(SUBJECT);
        let subject = subject.and_then(|id| id.try_into().ok()).map(NodeId);
        let subject = subject.ok_or_else(|| RecordError::Value {
            number: SUBJECT,
            reason: "it is no node id".to_owned(),
        })?;
        Ok(Self { relayed, subject })
    }

    /// Writes one in the name of the node `owner`, which has that chain, about the member that has said
    /// `line`. `at_ms` is when.
    ///
    /// # Errors
    /// It is too large.
    pub fn write(
        (owner, chain): (NodeId, &[u8]),
        line: &Line,
        at_ms: u64,
        notice: &Notice,
        sign: impl FnOnce(&[u8]) -> Bytes,
    ) -> Result<Self, RecordError> {
        let Rank { run, serial, .. } = line.relayed().rank();
        let rank = Rank {
            run,
            serial,
            standing: at_ms,
        };
        let relayed = Relayed::write(VERSION, owner, rank, |writer| {
            writer
                .put_bytes(SUBJECT, &line.subject().0)
                .put_bytes(CHAIN, chain);
            if let Some(until_ms) = notice.until_ms {
                writer.put(UNTIL, &until_ms);
            }
            writer.put(WHY, &notice.why).put(BY, &notice.by);
        })?;
        let proof = sign(relayed.said());
        Self::read(relayed.with_proof(&proof)?.bytes().clone())
    }

    /// The member that it is about.
    pub fn subject(&self) -> NodeId {
        self.subject
    }

    /// Whether it is about that very line of its subject.
    pub fn is_about(&self, line: &Line) -> bool {
        let (own, known) = (self.relayed.rank(), line.relayed().rank());
        self.subject == line.subject() && (own.run, own.serial) == (known.run, known.serial)
    }

    /// The chain of certificates by which its proof is judged.
    pub fn chain(&self) -> &[u8] {
        self.relayed.fields().bytes(CHAIN).unwrap_or_default()
    }

    /// When it was said, in milliseconds since 1970 by the clock of the node that says it.
    pub fn at_ms(&self) -> u64 {
        self.relayed.rank().standing
    }

    /// What it says; `None` if this program does not know its version.
    ///
    /// # Errors
    /// It is of a known version, but not what such a one holds, or beyond the bounds.
    pub fn notice(&self) -> Result<Option<Notice>, RecordError> {
        if self.relayed.version() != VERSION {
            return Ok(None);
        }
        let fields = self.relayed.fields();
        let notice = Notice {
            until_ms: fields.get(UNTIL)?,
            why: fields.need(WHY)?,
            by: fields.need(BY)?,
        };
        let latest = self.at_ms().saturating_add(MAX_AWAY_MS);
        let is_line = |text: &str, most| text.len() <= most && !text.chars().any(is_unprintable);
        let is_bounded = notice.until_ms.is_none_or(|until| until <= latest)
            && is_line(&notice.why, MAX_WHY_BYTES)
            && is_line(&notice.by, MAX_BY_BYTES);
        if is_bounded {
            Ok(Some(notice))
        } else {
            Err(RecordError::Damaged("a text or a time is out of bounds"))
        }
    }

    /// As it is merged and handed on.
    pub fn relayed(&self) -> &Relayed {
        &self.relayed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::{Author, Profile, RosterEntry, Standing};
    use names::NodeName;
    use proptest::prelude::*;

    const SAYER: NodeId = NodeId([7; 16]);
    const SUBJECT: NodeId = NodeId([8; 16]);

    fn line(serial: u64) -> Line {
        let profile = Profile {
            name: NodeName::new("beta").unwrap(),
            address: ([10, 0, 0, 8], 6878).into(),
            version: "0.1.0".to_owned(),
            tags: Vec::new(),
        };
        let entry = RosterEntry {
            run: 3,
            standing: Standing::Member,
            profile,
        };
        Line::write(Author::unproved(SUBJECT), SUBJECT, serial, &entry).unwrap()
    }

    fn notice() -> Notice {
        Notice {
            until_ms: Some(2_000),
            why: "dry dock".to_owned(),
            by: "root@alpha".to_owned(),
        }
    }

    fn written(at_ms: u64, notice: &Notice) -> Away {
        let sign = |_: &[u8]| Bytes::from_static(b"proof");
        Away::write((SAYER, b"chain"), &line(5), at_ms, notice, sign).unwrap()
    }

    #[test]
    fn it_says_what_was_written_and_keeps_its_form() {
        let away = written(1_000, &notice());
        let read = Away::read(away.relayed().bytes().clone()).unwrap();
        assert_eq!((read.subject(), read.chain()), (SUBJECT, &b"chain"[..]));
        assert_eq!(read.notice(), Ok(Some(notice())));
        assert_eq!((read.relayed().owner(), read.at_ms()), (SAYER, 1_000));
        let head = [&[1_u8][..], &[7; 16], &[1, 1, 3, 2, 1, 5, 3, 3, 251]].concat();
        let fields = [
            &[0xe8, 3, 4, 16][..],
            &[8; 16],
            &[5, 5],
            b"chain",
            &[16, 3, 251, 0xd0, 7],
            &[17, 9, 8],
            b"dry dock",
            &[18, 11, 10],
            b"root@alpha",
            &[0xff, 0xff, 3, 5],
            b"proof",
        ];
        assert_eq!(read.relayed().bytes(), &[head, fields.concat()].concat());
    }

    #[test]
    fn it_is_about_one_line_and_the_later_one_stays() {
        let away = written(1_000, &notice());
        assert!(away.is_about(&line(5)));
        assert!(!away.is_about(&line(6)), "the next one ends it");
        let back = written(
            1_001,
            &Notice {
                until_ms: None,
                ..Notice::default()
            },
        );
        assert!(away.relayed() < back.relayed());
        assert_eq!(back.notice().unwrap().unwrap().until_ms, None);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let with = |change: &dyn Fn(&mut Notice)| {
            let mut notice = notice();
            change(&mut notice);
            written(1_000, &notice).notice()
        };
        assert!(with(&|it| it.until_ms = Some(1_000 + MAX_AWAY_MS)).is_ok());
        assert!(with(&|it| it.until_ms = Some(1_001 + MAX_AWAY_MS)).is_err());
        assert!(with(&|it| it.why = "x".repeat(MAX_WHY_BYTES + 1)).is_err());
        assert!(with(&|it| it.why = "a\u{1b}[2J".to_owned()).is_err());
        assert!(with(&|it| it.by = "a\nb".to_owned()).is_err());
    }

    #[test]
    fn one_of_a_later_version_is_kept_and_says_nothing() {
        let mut bytes = written(1_000, &notice()).relayed().bytes().to_vec();
        bytes[0] = 2;
        let later = Away::read(bytes.clone().into()).unwrap();
        assert_eq!(later.notice(), Ok(None));
        assert_eq!(later.relayed().bytes(), &bytes);
    }

    proptest! {
        #[test]
        fn rubbish_is_refused_or_reads(bytes in prop::collection::vec(prop_oneof![0..6_u8, any::<u8>()], 0..80)) {
            if let Ok(read) = Away::read(bytes.into()) {
                let _ = (read.notice(), read.chain().len());
            }
        }
    }
}
