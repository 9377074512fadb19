//! What one node asks another one when somebody examines the cluster (`muster doctor`, `muster reach`, `muster heals --all`).
//!
//! # Who speaks first
//!
//! The asker dials the member's address from a fresh UDP port, with an ALPN name of its own
//! ([`ALPN`]). So the handshake shows what a firewall does with packets that nobody has asked for,
//! and a node that does not know inquiries refuses it and is not disturbed. Each question is a
//! bidirectional stream: the question to the end of its half, then the answer to the end of the
//! other, both encoded by [`crate::codec`].
//!
//! | tag | question | answer with the same tag |
//! | --- | --- | --- |
//! | 0 | `Clock` | the wall clock and the version of the one who is asked |
//! | 1 | `Reach` | whether it reaches the asker at the address that it knows of it, from a fresh port |
//! | 2 | `Sight` | how it sees a third node |
//! | 3 | `Relay` | asks a third node for its sight of the asker, and passes its answer on |
//! | 4 | `Heal` | a report of a heal as JSON, which so many newer ones are before; empty if there is none |
//! | 5 | `Sights` | how it sees all other members above an id, at most 256 of them in the order of their ids |
//! | 6 | `Source` | from which address the asker's packets come to it |
//!
//! # An example
//!
//! `a` examines `b`, which does not answer, by way of `c`:
//!
//! ```text
//! a → b   (handshake)            no answer within the time of a dial
//! a → c   (handshake)            stands
//! a → c   Relay(b)               how does b see me?
//! c → b   (handshake), Sight(a)
//! b → c   Sight { is_reachable: false, rtt_us: None, knocked_ms: Some(900) }
//! c → a   Relay(Some(…))         b heard a's handshake 900 ms ago: b's answers do not get through
//! ```
//!
//! # What may be lost
//!
//! Streams are reliable; what is lost is a whole connection or its time. A question that is not
//! answered within 3 s (6 s if it goes to a third node) has no answer; nothing is asked twice. A
//! question that the other's version does not know is closed without an answer.
//!
//! # Bounds
//!
//! Questions of 1 KiB, answers of 16 KiB, words of 200 bytes, reports of 15 KiB; 4 questions of an inquiry at once, 16
//! inquiries, 15 s for each. A node is never made to send to an address that is not a member's.

use crate::codec::{Malformed, decode, encode};
use names::NodeId;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// The ALPN name of inquiries, with their version.
pub const ALPN: &[u8] = b"muster-inquiry/1";

/// The largest report of a heal, in bytes.
pub const MAX_REPORT_BYTES: usize = 15 << 10;

/// The longest version or reason, in bytes.
const MAX_WORDS_BYTES: usize = 200;

/// The most members that one answer tells of: 16 KiB have room for them.
pub const MAX_SIGHTS: usize = 256;

/// See the module's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// What time is it there?
    Clock,
    /// Do you reach me?
    Reach,
    /// How do you see this node?
    Sight(NodeId),
    /// How does this node see me?
    Relay(NodeId),
    /// What did you see of the heal that so many newer ones came after?
    Heal(u16),
    /// How do you see the members above this id?
    Sights(NodeId),
    /// From which address do my packets come to you?
    Source,
}

/// See the module's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To `Clock`.
    Clock {
        /// Milliseconds since the Unix epoch.
        wall_ms: i64,
        /// The version of its program.
        version: String,
    },
    /// To `Reach`.
    Reach(Reach),
    /// To `Sight`.
    Sight(Sight),
    /// To `Relay`; `None` when the third one cannot be asked.
    Relay(Option<Sight>),
    /// To `Heal`: the report as JSON, empty if there is none; at most [`MAX_REPORT_BYTES`].
    Heal(Vec<u8>),
    /// To `Sights`, sorted by id; at most [`MAX_SIGHTS`].
    Sights(Vec<(NodeId, Sight)>),
    /// To `Source`. Its port is that of the inquiry alone, and is not told.
    Source(IpAddr),
}

/// Whether a node reaches another one by a handshake from a fresh port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// It does.
    Reached,
    /// Nobody answers, in words.
    Silent(String),
    /// Somebody answers and refuses, in words.
    Refused(String),
    /// It does not know where that node is.
    Unknown,
}

/// How a node sees another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Whether it is a member that answers.
    pub is_reachable: bool,
    /// The round trip on the connection to it, in microseconds; `None` without one.
    pub rtt_us: Option<u64>,
    /// How long ago a handshake came from there that was never finished, in milliseconds: its
    /// packets arrive here.
    pub knocked_ms: Option<u64>,
}

impl Question {
    /// As bytes.
    pub fn bytes(self) -> Vec<u8> {
        // Small variants: never larger than a message may be.
        encode(&self).unwrap_or_default()
    }

    /// From bytes.
    ///
    /// # Errors
    /// They are no question of this version.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes)
    }
}

impl Answer {
    /// As bytes; words that are too long are cut.
    pub fn bytes(mut self) -> Vec<u8> {
        if let Some(words) = self.words() {
            cut(words, MAX_WORDS_BYTES);
        }
        encode(&self).unwrap_or_default()
    }

    /// From bytes.
    ///
    /// # Errors
    /// They are no answer of this version, or break its bounds.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut answer: Self = decode(bytes)?;
        if let Self::Heal(report) = &answer
            && report.len() > MAX_REPORT_BYTES
        {
            return Err(Malformed::too_large(report.len()));
        }
        if let Self::Sights(sights) = &answer
            && sights.len() > MAX_SIGHTS
        {
            return Err(Malformed::too_large(sights.len()));
        }
        match answer.words() {
            Some(words) if words.len() > MAX_WORDS_BYTES => Err(Malformed::too_large(words.len())),
            Some(_) | None => Ok(answer),
        }
    }

    fn words(&mut self) -> Option<&mut String> {
        match self {
            Self::Clock { version, .. } => Some(version),
            Self::Reach(Reach::Silent(words) | Reach::Refused(words)) => Some(words),
            Self::Reach(Reach::Reached | Reach::Unknown)
            | Self::Sight(_)
            | Self::Relay(_)
            | Self::Heal(_)
            | Self::Sights(_)
            | Self::Source(_) => None,
        }
    }
}

/// Cuts words to so many bytes, where a character ends.
pub(crate) fn cut(words: &mut String, max_bytes: usize) {
    let end = (0..=max_bytes)
        .rev()
        .find(|end| words.is_char_boundary(*end))
        .unwrap_or(0);
    words.truncate(end);
}

/// How far another clock is ahead of one's own, in milliseconds, and how far off that estimate may
/// be: the answer is taken to have been given half way between the question and its arrival.
pub fn skew(asked_ms: i64, took: Duration, theirs_ms: i64) -> (i64, Duration) {
    let half = took / 2;
    let middle = asked_ms.saturating_add(i64::try_from(half.as_millis()).unwrap_or(i64::MAX));
    (theirs_ms.saturating_sub(middle), half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{check, covers};
    use proptest::prelude::*;

    const NODE: NodeId = NodeId([7; 16]);

    #[test]
    fn questions_and_answers_are_what_they_were() {
        let questions = vec![
            ("clock", Question::Clock),
            ("reach", Question::Reach),
            ("sight", Question::Sight(NODE)),
            ("relay", Question::Relay(NODE)),
            ("heal", Question::Heal(3)),
            ("sights", Question::Sights(NODE)),
            ("source", Question::Source),
        ];
        covers::<Question>(
            "inquiry-questions",
            0,
            questions.iter().map(|(_, question)| question.bytes()),
        );
        check(
            "inquiry-questions",
            questions,
            |question| question.bytes(),
            |bytes| Question::read(bytes).ok(),
        );
        let sight = Sight {
            is_reachable: true,
            rtt_us: Some(400),
            knocked_ms: Some(900),
        };
        let answers = vec![
            (
                "clock",
                Answer::Clock {
                    wall_ms: 1_700_000_000_000,
                    version: "0.1.0".to_owned(),
                },
            ),
            ("reached", Answer::Reach(Reach::Reached)),
            (
                "silent",
                Answer::Reach(Reach::Silent("no answer".to_owned())),
            ),
            (
                "refused",
                Answer::Reach(Reach::Refused("its certificate has expired".to_owned())),
            ),
            ("unknown", Answer::Reach(Reach::Unknown)),
            ("sight", Answer::Sight(sight)),
            ("relay", Answer::Relay(Some(sight))),
            ("heal", Answer::Heal(b"{}".to_vec())),
            ("sights", Answer::Sights(vec![(NODE, sight)])),
            ("source", Answer::Source([198, 51, 100, 7].into())),
        ];
        covers::<Answer>(
            "inquiry-answers",
            0,
            answers.iter().map(|(_, answer)| answer.clone().bytes()),
        );
        check(
            "inquiry-answers",
            answers,
            |answer| answer.clone().bytes(),
            |bytes| Answer::read(bytes).ok(),
        );
    }

    #[test]
    fn a_clock_is_compared_with_the_middle_of_the_round_trip() {
        let second = Duration::from_secs(1);
        assert_eq!(skew(1_000, second, 1_500), (0, second / 2));
        assert_eq!(skew(1_000, second, 61_500), (60_000, second / 2));
        assert_eq!(skew(i64::MAX, second, i64::MIN).0, i64::MIN);
    }

    #[test]
    fn long_words_are_cut_where_a_character_ends() {
        let bytes = Answer::Reach(Reach::Silent("é".repeat(500))).bytes();
        assert_eq!(
            Answer::read(&bytes),
            Ok(Answer::Reach(Reach::Silent("é".repeat(100))))
        );
        let too_long = encode(&Answer::Clock {
            wall_ms: 0,
            version: "v".repeat(201),
        })
        .unwrap();
        assert!(Answer::read(&too_long).is_err());
        let report = |bytes| Answer::Heal(vec![b' '; bytes]).bytes();
        assert!(Answer::read(&report(MAX_REPORT_BYTES)).is_ok());
        assert!(Answer::read(&report(MAX_REPORT_BYTES + 1)).is_err());
    }

    #[test]
    fn an_answer_has_room_for_the_widest_sights_and_for_no_more_of_them() {
        let widest = Sight {
            is_reachable: true,
            rtt_us: Some(u64::MAX),
            knocked_ms: Some(u64::MAX),
        };
        let sights = |count| Answer::Sights(vec![(NODE, widest); count]).bytes();
        assert!(sights(MAX_SIGHTS).len() <= 16 << 10);
        assert!(Answer::read(&sights(MAX_SIGHTS)).is_ok());
        assert!(Answer::read(&sights(MAX_SIGHTS + 1)).is_err());
    }

    fn sights() -> impl Strategy<Value = Sight> {
        any::<(bool, Option<u64>, Option<u64>)>().prop_map(|(is_reachable, rtt_us, knocked_ms)| {
            Sight {
                is_reachable,
                rtt_us,
                knocked_ms,
            }
        })
    }

    fn answers() -> impl Strategy<Value = Answer> {
        prop_oneof![
            any::<(i64, [char; 9])>().prop_map(|(wall_ms, version)| Answer::Clock {
                wall_ms,
                version: version.iter().collect()
            }),
            any::<[char; 9]>()
                .prop_map(|words| Answer::Reach(Reach::Refused(words.iter().collect()))),
            Just(Answer::Reach(Reach::Reached)),
            Just(Answer::Reach(Reach::Unknown)),
            sights().prop_map(Answer::Sight),
            proptest::option::of(sights()).prop_map(Answer::Relay),
            any::<Vec<u8>>().prop_map(Answer::Heal),
            proptest::collection::vec((any::<[u8; 16]>().prop_map(NodeId), sights()), 0..9)
                .prop_map(Answer::Sights),
            any::<IpAddr>().prop_map(Answer::Source),
        ]
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(answer in answers(), id in any::<[u8; 16]>(), tag in 0..7) {
            prop_assert_eq!(Answer::read(&answer.clone().bytes()), Ok(answer));
            let question = [Question::Clock, Question::Reach, Question::Sight(NodeId(id)), Question::Relay(NodeId(id)), Question::Heal(id[0].into()), Question::Sights(NodeId(id)), Question::Source][tag as usize];
            prop_assert_eq!(Question::read(&question.bytes()), Ok(question));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), tag in 0u8..8) {
            let tagged: Vec<u8> = std::iter::once(tag).chain(bytes).collect();
            if let Ok(answer) = Answer::read(&tagged) {
                prop_assert_eq!(Answer::read(&answer.clone().bytes()), Ok(answer));
            }
            if let Ok(question) = Question::read(&tagged) {
                prop_assert_eq!(Question::read(&question.bytes()), Ok(question));
            }
        }
    }
}
