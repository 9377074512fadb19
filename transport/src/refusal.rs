//! Why a handshake did not become a connection, in words for both ends.

mod told;

pub(crate) use told::Told;

use crate::stats::Counters;
use data_encoding::HEXLOWER;
use pki::CertificateFault;
use quinn::{ConnectionError, TransportErrorCode};
use rustls::CertificateError;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

/// How a dial failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialErrorKind {
    /// Nobody answered in time, or the name has no usable address: worth another try.
    Unreachable,
    /// Somebody answered and refused us, or we refused it: it needs a person, or time.
    Refused,
    /// The address is this node's own.
    Itself,
}

/// What this end found wrong with the other one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("its certificate is of another cluster ({}; this is cluster \
        {})", HEXLOWER.encode(.found), HEXLOWER.encode(.own))]
    OtherCluster { found: [u8; 16], own: [u8; 16] },
    #[error("its certificate is not signed by this cluster's CA")]
    Untrusted,
    #[error("its certificate has expired, or is not valid yet by this node's clock")]
    Validity,
    #[error("its certificate cannot be used: {0}")]
    Certificate(CertificateFault),
    #[error("it shows no certificate")]
    NoCertificate,
    #[error("it is node {}, but node {} was expected there", HEXLOWER.encode(.found),
        HEXLOWER.encode(.expected))]
    Unexpected { found: [u8; 16], expected: [u8; 16] },
    #[error("an authority of the cluster has revoked it")]
    Revoked,
    #[error("that is this node itself")]
    Itself,
    #[error("it speaks another protocol version")]
    OtherProtocol,
}

impl Refusal {
    /// The error that makes rustls end the handshake with the alert by which the other end can tell
    /// the reason. Certificates are always made for what they are used for here, so the alert that says
    /// otherwise is free to tell the other end of a handshake with itself what it is.
    pub(crate) fn into_tls(self) -> rustls::Error {
        let error = match self {
            Self::OtherCluster { .. } | Self::Untrusted => CertificateError::UnknownIssuer,
            Self::Validity => CertificateError::Expired,
            Self::Certificate(_) | Self::NoCertificate => CertificateError::BadEncoding,
            Self::Unexpected { .. } => CertificateError::ApplicationVerificationFailure,
            Self::Revoked => CertificateError::Revoked,
            Self::Itself => CertificateError::InvalidPurpose,
            Self::OtherProtocol => return rustls::Error::NoApplicationProtocol,
        };
        error.into()
    }
}

/// Where the certificate check of one handshake leaves its exact finding: TLS itself has room for
/// an alert's number only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict(Arc<OnceLock<Refusal>>);

impl Verdict {
    /// Keeps the first finding.
    pub(crate) fn put(&self, refusal: &Refusal) {
        let _ = self.0.set(refusal.clone());
    }
}

/// A handshake that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: DialErrorKind,
    pub(crate) reason: String,
    counted_as: Option<CountedAs>,
}

#[derive(Clone, Copy, Debug)]
enum CountedAs {
    OtherCluster,
    Untrusted,
    Validity,
    Certificate,
    Unexpected,
    Revoked,
    OtherProtocol,
    ByPeer,
}

impl Failure {
    /// Nobody answered.
    pub(crate) fn unreachable(reason: impl Into<String>) -> Self {
        Self {
            kind: DialErrorKind::Unreachable,
            reason: reason.into(),
            counted_as: None,
        }
    }

    /// What ended this handshake.
    pub(crate) fn new(error: &ConnectionError, verdict: &Verdict) -> Self {
        if let Some(refusal) = verdict.0.get() {
            return refusal.clone().into();
        }
        match error {
            ConnectionError::TransportError(error) if error.code == NO_COMMON_PROTOCOL.into() => {
                Refusal::OtherProtocol.into()
            }
            ConnectionError::ConnectionClosed(close)
                if close.error_code == NO_COMMON_PROTOCOL.into() =>
            {
                Refusal::OtherProtocol.into()
            }
            ConnectionError::VersionMismatch => Refusal::OtherProtocol.into(),
            ConnectionError::ConnectionClosed(close)
                if close.error_code == UNSUPPORTED_CERTIFICATE.into() =>
            {
                Refusal::Itself.into()
            }
            // How QUIC tells during a handshake that the other end let go of it, out of patience
            // rather than by judgement.
            ConnectionError::ConnectionClosed(close)
                if close.error_code == TransportErrorCode::APPLICATION_ERROR =>
            {
                Self::unreachable("the peer gave up during the handshake")
            }
            ConnectionError::ApplicationClosed(close) if close.reason.is_empty() => {
                Self::unreachable("the peer gave up during the handshake")
            }
            ConnectionError::ConnectionClosed(close) => {
                Self::by_peer(close_words(close.error_code))
            }
            ConnectionError::ApplicationClosed(close) => Self::by_peer(printable(&close.reason)),
            ConnectionError::TransportError(error) if is_alert(error.code) => Self {
                kind: DialErrorKind::Refused,
                reason: format!("its handshake is faulty: {}", error.reason),
                counted_as: Some(CountedAs::Certificate),
            },
            ConnectionError::TimedOut => Self::unreachable("no answer"),
            ConnectionError::TransportError(_)
            | ConnectionError::Reset
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => Self::unreachable(error.to_string()),
        }
    }

    /// Whether somebody was there who does not speak that protocol.
    pub(crate) fn is_other_protocol(&self) -> bool {
        matches!(self.counted_as, Some(CountedAs::OtherProtocol))
    }

    /// Raises the counter of its reason.
    pub(crate) fn count(&self, counters: &Counters) {
        let counter = match self.counted_as {
            None => return,
            Some(CountedAs::OtherCluster) => &counters.refused_other_cluster,
            Some(CountedAs::Untrusted) => &counters.refused_untrusted,
            Some(CountedAs::Validity) => &counters.refused_validity,
            Some(CountedAs::Certificate) => &counters.refused_certificate,
            Some(CountedAs::Unexpected) => &counters.refused_unexpected,
            Some(CountedAs::Revoked) => &counters.refused_revoked,
            Some(CountedAs::OtherProtocol) => &counters.refused_protocol,
            Some(CountedAs::ByPeer) => &counters.refused_by_peer,
        };
        counter.fetch_add(1, Relaxed);
    }

    fn by_peer(words: impl std::fmt::Display) -> Self {
        let reason = format!("the peer refused: {words}");
        Self {
            kind: DialErrorKind::Refused,
            reason,
            counted_as: Some(CountedAs::ByPeer),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let reason = refusal.to_string();
        let (kind, counted_as) = match refusal {
            Refusal::OtherCluster { .. } => (DialErrorKind::Refused, Some(CountedAs::OtherCluster)),
            Refusal::Untrusted => (DialErrorKind::Refused, Some(CountedAs::Untrusted)),
            Refusal::Validity => (DialErrorKind::Refused, Some(CountedAs::Validity)),
            Refusal::Certificate(_) | Refusal::NoCertificate => {
                (DialErrorKind::Refused, Some(CountedAs::Certificate))
            }
            Refusal::Unexpected { .. } => (DialErrorKind::Refused, Some(CountedAs::Unexpected)),
            Refusal::Revoked => (DialErrorKind::Refused, Some(CountedAs::Revoked)),
            Refusal::OtherProtocol => (DialErrorKind::Refused, Some(CountedAs::OtherProtocol)),
            Refusal::Itself => (DialErrorKind::Itself, None),
        };
        Self {
            kind,
            reason,
            counted_as,
        }
    }
}

/// TLS alerts (RFC 8446, section 6) as QUIC carries them (RFC 9001, section 4.8).
#[derive(Clone, Copy)]
struct Alert(u8);

const UNSUPPORTED_CERTIFICATE: Alert = Alert(43);
const NO_COMMON_PROTOCOL: Alert = Alert(120);

impl From<Alert> for TransportErrorCode {
    fn from(alert: Alert) -> Self {
        Self::crypto(alert.0)
    }
}

/// Whether TLS ended the handshake, rather than QUIC.
fn is_alert(code: TransportErrorCode) -> bool {
    (0x100..0x200).contains(&u64::from(code))
}

/// What the peer means by the code with which it closed during the handshake.
fn close_words(code: TransportErrorCode) -> &'static str {
    if code == TransportErrorCode::CONNECTION_REFUSED {
        return "it takes no more connections now";
    }
    match u64::from(code).checked_sub(u64::from(TransportErrorCode::crypto(0))) {
        Some(48) => "this node's certificate is not signed by the peer's cluster's CA",
        Some(45) => "this node's certificate has expired, or is not valid yet by the peer's clock",
        Some(44) => "an authority of the cluster has revoked this node",
        Some(42 | 43 | 46) => "this node's certificate cannot be used",
        Some(49) => "it expected another node here",
        Some(116) => "it got no certificate from this node",
        _ => "the handshake failed there",
    }
}

/// At most 200 characters of a peer's text, without control characters.
pub(crate) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_words_cannot_write_into_a_terminal() {
        assert_eq!(printable(b"a\x1b[2Jb\r\n\xff"), "a[2Jb\u{fffd}");
        assert_eq!(printable(&[b'x'; 5000]).len(), 200);
    }

    #[test]
    fn a_peer_that_ran_out_of_patience_did_not_refuse() {
        let error_code = TransportErrorCode::APPLICATION_ERROR;
        let close = quinn::ConnectionClose {
            error_code,
            frame_type: None,
            reason: "".into(),
        };
        let failure = Failure::new(
            &ConnectionError::ConnectionClosed(close),
            &Verdict::default(),
        );
        assert_eq!(failure.kind, DialErrorKind::Unreachable);
        assert!(failure.counted_as.is_none());
    }

    #[test]
    fn every_alert_has_words() {
        for alert in 0..=255 {
            assert!(!close_words(TransportErrorCode::crypto(alert)).is_empty());
        }
    }
}
