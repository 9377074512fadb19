//! The certificate of the TCP listener: a mistake in its files is one of the configuration, so that a
//! check, a start and a reload tell it alike.

use super::Http;

/// What is wrong with it, in one sentence.
pub(super) fn mistake(http: &Http) -> Option<String> {
    match (&http.tls_cert, &http.tls_key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => pki::Server::load(certificate, key)
            .err()
            .map(|error| format!("http.tls_cert and http.tls_key cannot be used: {error}")),
        (Some(_), None) => Some(one_of("tls_cert", "tls_key")),
        (None, Some(_)) => Some(one_of("tls_key", "tls_cert")),
    }
}

fn one_of(given: &str, missing: &str) -> String {
    format!("http.{given} is given and http.{missing} is not: TLS takes both, plain HTTP neither")
}
