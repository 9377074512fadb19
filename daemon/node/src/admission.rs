//! How a host that has no certificate yet joins a cluster, and how its nodes renew theirs.
//!
//! # Who speaks first
//!
//! A new host dials any node, at its usual address and with an ALPN name of its own ([`ALPN`]). It
//! shows no certificate, and may speak nothing but this. The node shows its certificate with the
//! cluster's authority, whose fingerprint is in the token that the new host was given: so it knows
//! whom it speaks to. Members dial each other in the same way, with their certificates. A connection
//! carries one request, on a bidirectional stream: the request to the end of its half, then the answer
//! to the end of the other, both encoded by [`crate::codec`].
//!
//! | tag | request | of | answers |
//! | --- | --- | --- | --- |
//! | 0 | `Who` | members | `Who`: whether that node is an authority, and until when |
//! | 1 | `Join` | new hosts | `Granted`, `Refused` |
//! | 2 | `Relay` | members | the same: a node that is no authority passes a `Join` on, with what it saw of the new host's TLS session |
//! | 3 | `Renew` | members | `Renewed`, `Refused`: a new certificate for the key, id and name of the one that was shown |
//! | 4 | `Rename` | hosts that are nodes already | `Granted`, `Refused`: a certificate for the same key and id under another name |
//! | 5 | `RelayRename` | members | the same, passed on |
//!
//! A host that is to have another name asks as a new host does, with a token, for the key that it has,
//! and shows the chain of its certificate: the authority takes its id and role from there. Whoever else
//! has a token can have such a certificate made, too, but only the holder of the key can use it.
//!
//! # The proof
//!
//! A token's secret never crosses the wire. Both ends derive a key from it, and the new host proves
//! with it (`pki::JoinKey`) that it has the token: over the exporter of the TLS session (RFC 8446,
//! section 7.5), the cluster, the invitation, its public key, its name and its chain. So a relay can
//! change none of them, and a request that was overheard is good in no other session. The authority seals what
//! it grants with the same key: a relay can change nothing of that either.
//!
//! # An example
//!
//! `new` joins by `b`, which is no authority; `a` is one:
//!
//! ```text
//! new → b  (handshake without a certificate; checks b's by the token)
//! new → b  Join { invitation, public key, name "new", proof }
//! b → a    (handshake), Who         Who(until 2031)
//! b → a    Relay(the same, exporter, new's address)
//! a        checks the proof, signs, writes the use of the invitation to its disk
//! a → b    Granted                  b → new  Granted
//! new      checks the seal, writes its files, and starts as a member whom a, b and all others know by its certificate
//! ```
//!
//! # What may be lost
//!
//! The answer, with its connection. The new host asks again, with the same key: a request with the
//! key and name of an earlier use gets the answer of that use, and uses the invitation once.
//!
//! # Bounds
//!
//! Requests of 8 KiB, answers of 16 KiB, words of 400 bytes; 32 connections at once, of strangers 16,
//! of one network's strangers 4; one request and 20 s for each. Who the authorities are a node asks all
//! members at most once in 3 s, however many hosts ask it to pass something on. A node is never made to send to an address that is
//! not a member's.

use crate::codec::{Malformed, decode, encode};
use serde::{Deserialize, Serialize};

/// The ALPN name of joining, with its version.
pub const ALPN: &[u8] = b"muster-join/1";
/// The label of the exporter over which a proof is made.
pub const EXPORTER: &[u8] = b"EXPORTER-muster-join";

/// The longest words of a refusal, in bytes.
const MAX_WORDS_BYTES: usize = 400;

/// See the module's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Are you an authority?
    Who,
    /// Let me join.
    Join(Application),
    /// Let this host join, which asks me.
    Relay(Relayed),
    /// Renew the certificate that I show.
    Renew,
    /// Give me another name: my key is that of my certificate, and my id stays.
    Rename {
        /// What I ask for.
        application: Application,
        /// The chain of my certificate (see `pki::Proofs`).
        chain: Vec<u8>,
    },
    /// Give this host another name, which asks me.
    RelayRename {
        /// What came.
        relayed: Relayed,
        /// The chain that came with it.
        chain: Vec<u8>,
    },
}

/// What a new host asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// The id of its invitation.
    pub invitation: [u8; 6],
    /// The key for which it wants a certificate (Ed25519).
    pub public_key: [u8; 32],
    /// The name that it wants to have.
    pub name: String,
    /// Whether somebody chose that name, or it is only the host's: then an invitation for a certain
    /// name gives that one.
    pub is_chosen: bool,
    /// That it has the invitation's token.
    pub proof: [u8; 32],
}

/// An application that came to another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relayed {
    /// What came.
    pub application: Application,
    /// The exporter of the session in which it came.
    pub exporter: [u8; 32],
    /// From where it came.
    pub address: String,
}

/// See the module's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To `Who`; `None` from a node that is no authority.
    Who(Option<AuthorityTerm>),
    /// It may join.
    Granted(Sealed),
    /// It may not.
    Refused(Refusal),
    /// The new certificate, in PEM.
    Renewed(String),
}

/// How long a node can sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityTerm {
    /// When the certificate of its signing key expires, in Unix seconds.
    pub not_after: i64,
}

/// A grant as it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The bytes of a [`Grant`].
    pub grant: Vec<u8>,
    /// That an authority that knows the token made them, for this request.
    pub seal: [u8; 32],
}

/// What a new host is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub name: String,
    /// Its certificate in PEM, followed by those between it and the authority.
    pub certificate: String,
    /// The cluster's authorities, in PEM.
    pub authorities: String,
    /// The name of the node that signed.
    pub by: String,
    /// Where nodes of the cluster are, beside the one that was asked.
    pub seeds: Vec<String>,
    /// What the new node is to say of itself.
    pub tags: Vec<String>,
}

/// Why somebody may not join, or gets no new certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of reason.
    pub kind: RefusalKind,
    /// In words.
    pub words: String,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalKind {
    /// No authority that could be asked knows the invitation.
    Unknown,
    /// The invitation is not good, or no longer.
    Invitation,
    /// The name is taken.
    Name,
    /// The request makes no sense.
    Malformed,
    /// There is no authority, or it cannot sign now.
    Authority,
}

impl Refusal {
    /// One of that kind.
    pub fn new(kind: RefusalKind, words: impl Into<String>) -> Self {
        Self {
            kind,
            words: words.into(),
        }
    }
}

impl Request {
    /// As bytes.
    ///
    /// # Errors
    /// A name or an address is far too long.
    pub fn bytes(&self) -> Result<Vec<u8>, Malformed> {
        encode(self)
    }

    /// From bytes.
    ///
    /// # Errors
    /// They are no request of this version.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes)
    }
}

impl Answer {
    /// As bytes; words that are too long are cut.
    pub fn bytes(mut self) -> Vec<u8> {
        if let Self::Refused(refusal) = &mut self {
            crate::inquiry::cut(&mut refusal.words, MAX_WORDS_BYTES);
        }
        encode(&self).unwrap_or_default()
    }

    /// From bytes.
    ///
    /// # Errors
    /// They are no answer of this version, or break its bounds.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let answer: Self = decode(bytes)?;
        match &answer {
            Self::Refused(refusal) if refusal.words.len() > MAX_WORDS_BYTES => {
                Err(Malformed::too_large(refusal.words.len()))
            }
            Self::Refused(_) | Self::Who(_) | Self::Granted(_) | Self::Renewed(_) => Ok(answer),
        }
    }
}

impl Grant {
    /// As bytes, to be sealed.
    ///
    /// # Errors
    /// It is far too large.
    pub fn bytes(&self) -> Result<Vec<u8>, Malformed> {
        encode(self)
    }

    /// From bytes whose seal was checked.
    ///
    /// # Errors
    /// They are no grant of this version.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{check, covers};
    use proptest::prelude::*;

    fn application() -> Application {
        Application {
            invitation: [1, 2, 3, 4, 5, 6],
            public_key: [7; 32],
            name: "beta".to_owned(),
            is_chosen: true,
            proof: [8; 32],
        }
    }

    fn relayed() -> Relayed {
        Relayed {
            application: application(),
            exporter: [9; 32],
            address: "10.0.0.7:40001".to_owned(),
        }
    }

    fn grant() -> Grant {
        Grant {
            name: "beta".to_owned(),
            certificate: "its certificate".to_owned(),
            authorities: "the authorities".to_owned(),
            by: "alpha".to_owned(),
            seeds: vec!["10.0.0.1:6878".to_owned()],
            tags: vec!["rack=7".to_owned()],
        }
    }

    #[test]
    fn requests_and_answers_are_what_they_were() {
        let requests = vec![
            ("who", Request::Who),
            ("join", Request::Join(application())),
            ("relay", Request::Relay(relayed())),
            ("renew", Request::Renew),
            (
                "rename",
                Request::Rename {
                    application: application(),
                    chain: b"its chain".to_vec(),
                },
            ),
            (
                "relay-rename",
                Request::RelayRename {
                    relayed: relayed(),
                    chain: b"its chain".to_vec(),
                },
            ),
        ];
        let bytes = |request: &Request| request.bytes().unwrap();
        let written = requests.iter().map(|(_, request)| bytes(request));
        covers::<Request>("admission-requests", 0, written);
        check("admission-requests", requests, bytes, |bytes| {
            Request::read(bytes).ok()
        });
        let refused = |kind| Answer::Refused(Refusal::new(kind, "no"));
        let sealed = Sealed {
            grant: grant().bytes().unwrap(),
            seal: [5; 32],
        };
        let term = AuthorityTerm {
            not_after: 1_900_000_000,
        };
        let answers = vec![
            ("no-authority", Answer::Who(None)),
            ("authority", Answer::Who(Some(term))),
            ("granted", Answer::Granted(sealed)),
            ("unknown", refused(RefusalKind::Unknown)),
            ("invitation", refused(RefusalKind::Invitation)),
            ("name", refused(RefusalKind::Name)),
            ("malformed", refused(RefusalKind::Malformed)),
            ("refused", refused(RefusalKind::Authority)),
            ("renewed", Answer::Renewed("its certificate".to_owned())),
        ];
        let bytes = |answer: &Answer| answer.clone().bytes();
        let written = answers.iter().map(|(_, answer)| bytes(answer));
        covers::<Answer>("admission-answers", 0, written);
        check("admission-answers", answers, bytes, |bytes| {
            Answer::read(bytes).ok()
        });
        let bytes = |grant: &Grant| grant.bytes().unwrap();
        check(
            "admission-grants",
            vec![("grant", grant())],
            bytes,
            |bytes| Grant::read(bytes).ok(),
        );
    }

    #[test]
    fn long_words_are_cut() {
        let refused = Answer::Refused(Refusal::new(RefusalKind::Name, "é".repeat(900)));
        let Ok(Answer::Refused(refusal)) = Answer::read(&refused.bytes()) else {
            panic!("it is read as a refusal");
        };
        assert_eq!(refusal.words, "é".repeat(MAX_WORDS_BYTES / 2));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), tag in 0u8..6) {
            let tagged: Vec<u8> = std::iter::once(tag).chain(bytes).collect();
            if let Ok(answer) = Answer::read(&tagged) {
                prop_assert_eq!(Answer::read(&answer.clone().bytes()), Ok(answer));
            }
            if let Ok(request) = Request::read(&tagged) {
                prop_assert_eq!(Request::read(&request.bytes().unwrap()), Ok(request));
            }
            let _ = Grant::read(&tagged);
        }
    }
}
