//! What lets a new host join: the text of a token, and the proofs that are made with it.
//!
//! A token is `mj1-` and 64 letters and digits (base32 of RFC 4648, in either case):
//!
//! | bytes | hold |
//! | --- | --- |
//! | 6 | the invitation's id, which is no secret |
//! | 16 | the secret |
//! | 16 | the [`Fingerprint`] of the cluster's authority |
//! | 2 | the begin of SHA-256 over the bytes before: a mistyped token is told from one that nobody gave |
//!
//! The secret never crosses the wire. Both ends derive a [`JoinKey`] from it (HKDF, RFC 5869), and
//! prove with it (HMAC-SHA-256, RFC 2104) what they say. What is signed has a domain of its own and
//! each of its parts its length, so that no two of them have the same bytes.

use crate::identity::provider;
use crate::{CertificateFault, certificate};
use data_encoding::{BASE32_NOPAD, BASE32_NOPAD_NOCASE, HEXLOWER};
use ring::{digest, hkdf, hmac};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "mj1-";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 16;
const FINGERPRINT_BYTES: usize = 16;
const CHECK_BYTES: usize = 2;
const TOKEN_BYTES: usize = ID_BYTES + SECRET_BYTES + FINGERPRINT_BYTES + CHECK_BYTES;
/// How many letters and digits follow the prefix.
const TOKEN_LETTERS: usize = TOKEN_BYTES * 8 / 5;

/// The salt of the derivation: what the key is for.
const SALT: &[u8] = b"muster-join/1 key";
const REQUEST: &[u8] = b"muster-join/1 request";
const RENAMING: &[u8] = b"muster-join/1 rename";
const GRANT: &[u8] = b"muster-join/1 grant";

/// Names an invitation. It is part of the token's text, but no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvitationId(pub [u8; ID_BYTES]);

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for InvitationId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(drop)?;
        bytes.try_into().map(Self).map_err(drop)
    }
}

/// The begin of SHA-256 over an authority's certificate. Nobody can make another certificate with
/// the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; FINGERPRINT_BYTES]);

impl Fingerprint {
    /// That of a certificate, in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(begin(&digest::digest(&digest::SHA256, certificate)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It begins otherwise.
    #[error("a token begins with {PREFIX}, as \"muster invite\" prints it")]
    Prefix,
    /// A part is missing, or something else was copied with it.
    #[error(
        "the token is not whole: after {PREFIX} it must have {TOKEN_LETTERS} letters and digits, \
         and this one has {0}"
    )]
    Length(usize),
    /// A character that no token has.
    #[error(
        "the token has a character that no token has: letters, and digits from 2 to 7, are right"
    )]
    Character,
    /// Its check digits do not fit.
    #[error("the token was not copied right: its check digits do not fit the rest")]
    Check,
}

/// A token: who has it may join once, or as often as its invitation says.
#[derive(Clone)]
pub struct Token {
    /// Which invitation it is of.
    pub id: InvitationId,
    /// The authority of the cluster to which it leads.
    pub authority: Fingerprint,
    secret: [u8; SECRET_BYTES],
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// Draws a new one.
    pub fn draw(authority: Fingerprint) -> Self {
        Self {
            id: InvitationId(rand::random()),
            authority,
            secret: rand::random(),
        }
    }

    /// What people copy.
    pub fn text(&self) -> String {
        let mut bytes = [&self.id.0[..], &self.secret, &self.authority.0].concat();
        bytes.extend(check_digits(&bytes));
        format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_lowercase())
    }

    /// The key of the proofs. It is as secret as the token.
    pub fn key(&self) -> JoinKey {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(&self.secret);
        let info = [&self.id.0[..], &self.authority.0];
        let mut key = [0; 32];
        // 32 bytes are as many as one step of the derivation gives: neither call can fail.
        if let Ok(material) = secret.expand(&info, hkdf::HKDF_SHA256) {
            let _ = material.fill(&mut key);
        }
        JoinKey(key)
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let begin = text.get(..PREFIX.len()).unwrap_or_default();
        if !begin.eq_ignore_ascii_case(PREFIX) {
            return Err(TokenError::Prefix);
        }
        let letters = text.get(PREFIX.len()..).unwrap_or_default();
        let count = letters.chars().count();
        if count != TOKEN_LETTERS {
            return Err(TokenError::Length(count));
        }
        let bytes = BASE32_NOPAD_NOCASE
            .decode(letters.as_bytes())
            .map_err(|_| TokenError::Character)?;
        let (said, check) = bytes
            .split_at_checked(TOKEN_BYTES - CHECK_BYTES)
            .ok_or(TokenError::Check)?;
        if check_digits(said) != check {
            return Err(TokenError::Check);
        }
        let (id, rest) = said.split_at_checked(ID_BYTES).ok_or(TokenError::Check)?;
        let (secret, authority) = rest
            .split_at_checked(SECRET_BYTES)
            .ok_or(TokenError::Check)?;
        Ok(Self {
            id: InvitationId(id.try_into().map_err(|_| TokenError::Check)?),
            authority: Fingerprint(authority.try_into().map_err(|_| TokenError::Check)?),
            secret: secret.try_into().map_err(|_| TokenError::Check)?,
        })
    }
}

fn check_digits(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    begin(&digest::digest(&digest::SHA256, bytes))
}

fn begin<const N: usize>(digest: &digest::Digest) -> [u8; N] {
    let mut bytes = [0; N];
    bytes
        .iter_mut()
        .zip(digest.as_ref())
        .for_each(|(to, from)| *to = *from);
    bytes
}

/// What a new host asks for, to be proved.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Of the TLS session in which it asks (RFC 8446, section 7.5): a proof is good in no other one.
    pub exporter: &'a [u8; 32],
    /// The cluster that it wants to join.
    pub cluster: &'a [u8; 16],
    /// The invitation by which it does.
    pub invitation: InvitationId,
    /// The key for which it wants a certificate (Ed25519).
    pub public_key: &'a [u8; 32],
    /// The name that it wants to have.
    pub name: &'a str,
    /// Whether somebody chose that name, or it is only the host's.
    pub is_chosen: bool,
    /// Of a host that is a node already: the chain of its certificate (see [`crate::Proofs`]).
    pub chain: Option<&'a [u8]>,
}

/// A key that is derived from a token's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinKey(pub [u8; 32]);

impl fmt::Debug for JoinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinKey(…)")
    }
}

impl JoinKey {
    /// Proves that whoever makes this claim has the token.
    pub fn prove(&self, claim: &Claim<'_>) -> [u8; 32] {
        self.sign(&claim_parts(claim))
    }

    /// Whether that proof is of this claim.
    pub fn is_proof(&self, claim: &Claim<'_>, proof: &[u8; 32]) -> bool {
        self.is_signed(&claim_parts(claim), proof)
    }

    /// Proves to a new host that what it is given in answer to its request was given by an authority
    /// that knows the token, and by nobody on the way.
    pub fn seal(&self, request: &[u8; 32], grant: &[u8]) -> [u8; 32] {
        self.sign(&[GRANT, request, grant])
    }

    /// Whether that is the seal of this grant, for a request with that proof.
    pub fn is_seal(&self, request: &[u8; 32], grant: &[u8], seal: &[u8; 32]) -> bool {
        self.is_signed(&[GRANT, request, grant], seal)
    }

    fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let tag = hmac::sign(&self.hmac(), &framed(parts));
        let mut bytes = [0; 32];
        bytes
            .iter_mut()
            .zip(tag.as_ref())
            .for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Takes the same time wherever the two differ.
    fn is_signed(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        hmac::verify(&self.hmac(), &framed(parts), tag).is_ok()
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

fn claim_parts<'a>(claim: &'a Claim<'a>) -> Vec<&'a [u8]> {
    let parts = [
        if claim.chain.is_some() {
            RENAMING
        } else {
            REQUEST
        },
        claim.exporter,
        claim.cluster,
        &claim.invitation.0,
        claim.public_key,
        claim.name.as_bytes(),
        if claim.is_chosen { b"chosen" } else { b"host" },
    ];
    parts.into_iter().chain(claim.chain).collect()
}

/// Each part with its length before it, in 8 bytes, big endian.
fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend(*part);
    }
    bytes
}

/// Why the node at the other end is not of the cluster that a token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// It shows no such authority.
    #[error("it is of another cluster than the token")]
    OtherCluster,
    /// The authority is the right one, and has not signed its certificate.
    #[error("its certificate is not signed by the cluster's authority")]
    Untrusted,
    /// By this host's clock.
    #[error("its certificate has expired, or is not valid yet, by this host's clock")]
    Validity,
}

/// Who is at the other end, of a cluster of which only the authority's fingerprint is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The cluster.
    pub cluster: [u8; 16],
    /// The node's id.
    pub id: [u8; 16],
    /// The node's name.
    pub name: String,
}

impl Pinned {
    /// Judges the certificates that a node shows: one of them must be that authority's, and lead to
    /// the node's.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn judge(
        authority: Fingerprint,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Result<Self, PinError> {
        let anchor = others
            .iter()
            .find(|der| Fingerprint::of(der) == authority)
            .ok_or(PinError::OtherCluster)?;
        let unusable = |_: CertificateFault| PinError::Untrusted;
        let cluster = certificate::authority(anchor).map_err(unusable)?.cluster;
        let facts = certificate::node(leaf).map_err(unusable)?;
        let mut roots = RootCertStore::empty();
        let known = roots.add(anchor.clone().into_owned());
        known.map_err(|_| PinError::Untrusted)?;
        let parsed = ParsedCertificate::try_from(leaf).map_err(|_| PinError::Untrusted)?;
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &roots,
            others,
            UnixTime::now(),
            provider().signature_verification_algorithms.all,
        )
        .map_err(|error| {
            let is_time = matches!(
                &error,
                rustls::Error::InvalidCertificate(error) if is_untimely(error)
            );
            if is_time {
                PinError::Validity
            } else {
                PinError::Untrusted
            }
        })?;
        Ok(Self {
            cluster,
            id: facts.id,
            name: facts.name,
        })
    }
}

/// Whether a certificate is refused for the time alone.
pub fn is_untimely(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token {
            id: InvitationId([1, 2, 3, 4, 5, 6]),
            authority: Fingerprint([9; 16]),
            secret: [7; 16],
        }
    }

    fn claim() -> Claim<'static> {
        Claim {
            exporter: &[1; 32],
            cluster: &[2; 16],
            invitation: InvitationId([1, 2, 3, 4, 5, 6]),
            public_key: &[3; 32],
            name: "beta",
            is_chosen: true,
            chain: None,
        }
    }

    #[test]
    fn a_token_reads_as_it_was_written_in_either_case() {
        let text = token().text();
        assert_eq!(text.len(), PREFIX.len() + 64);
        for text in [text.clone(), text.to_uppercase()] {
            let read: Token = text.parse().unwrap();
            assert_eq!((read.id, read.authority), (token().id, token().authority));
            assert_eq!(read.key(), token().key());
        }
    }

    #[test]
    fn every_mistyped_character_is_found() {
        let text = token().text();
        for at in PREFIX.len()..text.len() {
            for other in ["a", "b"] {
                let mut typed = text.clone();
                typed.replace_range(at..=at, other);
                assert!(typed == text || typed.parse::<Token>().is_err(), "{typed}");
            }
        }
        let error = |text: &str| text.parse::<Token>().unwrap_err();
        assert_eq!(error(""), TokenError::Prefix);
        assert_eq!(error("mj2-aaaa"), TokenError::Prefix);
        assert_eq!(error("mj1-aaaa"), TokenError::Length(4));
        assert_eq!(error(&text[..text.len() - 1]), TokenError::Length(63));
        assert_eq!(
            error(&format!("mj1-{}", "0".repeat(64))),
            TokenError::Character
        );
        assert_eq!(
            error(&format!("mj1-{}", "é".repeat(64))),
            TokenError::Character
        );
        assert_eq!(error(&format!("mj1-{}", "a".repeat(64))), TokenError::Check);
    }

    #[test]
    fn a_proof_is_good_for_one_claim_only() {
        let (key, claim) = (token().key(), claim());
        let proof = key.prove(&claim);
        assert!(key.is_proof(&claim, &proof));
        let others = [
            Claim {
                exporter: &[0; 32],
                ..claim
            },
            Claim {
                cluster: &[0; 16],
                ..claim
            },
            Claim {
                public_key: &[0; 32],
                ..claim
            },
            Claim {
                name: "gamma",
                ..claim
            },
            Claim {
                is_chosen: false,
                ..claim
            },
            Claim {
                invitation: InvitationId([0; 6]),
                ..claim
            },
            Claim {
                chain: Some(b""),
                ..claim
            },
        ];
        for other in others {
            assert!(!key.is_proof(&other, &proof), "{other:?}");
        }
        let mut stranger = token();
        stranger.secret[0] ^= 1;
        assert!(!stranger.key().is_proof(&claim, &proof));
    }

    #[test]
    fn a_seal_is_good_for_one_answer_to_one_request_only() {
        let key = token().key();
        let seal = key.seal(&[1; 32], b"grant");
        assert!(key.is_seal(&[1; 32], b"grant", &seal));
        assert!(!key.is_seal(&[2; 32], b"grant", &seal));
        assert!(!key.is_seal(&[1; 32], b"grants", &seal));
        let proof = key.prove(&claim());
        assert!(!key.is_seal(&proof, b"", &proof));
    }

    /// What a proof is made of never changes within this version of the protocol.
    #[test]
    fn proofs_are_what_they_were() {
        let key = token().key();
        let hex = |bytes: [u8; 32]| HEXLOWER.encode(&bytes);
        assert_eq!(
            hex(key.0),
            "7f4dd5de2b854aa03cba4c620080d69131615183fc0d765a29ce6226f8eb01a4"
        );
        assert_eq!(
            hex(key.prove(&claim())),
            "02c90d359dea7a648836c0151b81c1ad7083e5006ba690dd3f0c0850465b7282"
        );
        assert_eq!(
            hex(key.seal(&[1; 32], b"grant")),
            "823daecb92bd903e9a0333f915a006e4c3758eab668a0c965eeb145fe155c379"
        );
    }
}
