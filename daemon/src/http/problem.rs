//! What a client is told when a call fails (RFC 9457).

mod declared;
mod refusals;

pub(crate) use api::problem::Kind;
pub(crate) use declared::{Own, Refuses, refuses};

use crate::http::lists::rebuild::Outdated;
use api::problem::Extra;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Display;

/// One problem: its kind, and what exactly is wrong in this call.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    /// Sent as `Retry-After`, in seconds.
    retry_after: Option<u32>,
    /// Boxed, as few problems have it and every call may answer one.
    extra: Box<Extra>,
    /// Set if rows of a list must be made anew before the call can be answered.
    outdated: Option<Outdated>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Display) -> Self {
        Self {
            kind,
            detail: detail.to_string(),
            retry_after: None,
            extra: Box::default(),
            outdated: None,
        }
    }

    pub(crate) fn malformed(detail: impl Display) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    pub(crate) fn invalid(detail: impl Display) -> Self {
        Self::new(Kind::Invalid, detail)
    }

    pub(crate) fn internal(detail: impl Display) -> Self {
        tracing::error!(detail = %detail, "a request failed for a reason that should not exist");
        Self::new(Kind::Internal, detail)
    }

    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.kind == kind
    }

    /// Tells the client when to try again, in seconds.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// When the client is told to try again, in seconds.
    pub(crate) fn retry_seconds(&self) -> Option<u32> {
        self.retry_after
    }

    /// Of which kind it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The list whose rows are to be made anew first.
    pub(crate) fn outdated(&self) -> Option<Outdated> {
        self.outdated
    }

    pub(crate) fn status(&self) -> u16 {
        self.kind.status()
    }

    /// The body's bytes.
    pub(crate) fn body(&self) -> Vec<u8> {
        let body = api::problem::Problem {
            kind: self.kind.uri(),
            title: self.kind.title().to_owned(),
            status: self.status(),
            detail: self.detail.clone(),
            extra: Extra::clone(&self.extra),
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// What `WWW-Authenticate` says (RFC 6750, section 3).
    fn challenge(&self) -> Option<&'static str> {
        let challenges = [
            (Kind::Token, "Bearer realm=\"muster\""),
            (
                Kind::BadToken,
                "Bearer realm=\"muster\", error=\"invalid_token\"",
            ),
            (
                Kind::Scope,
                "Bearer realm=\"muster\", error=\"insufficient_scope\"",
            ),
        ];
        challenges
            .into_iter()
            .find(|(kind, _)| self.is(*kind))
            .map(|(_, challenge)| challenge)
    }

    fn extra_headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let token = self.challenge().map(|challenge| {
            (
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            )
        });
        // A client that is too slow occupies a connection that others could have.
        let close = (self.kind == Kind::Slow)
            .then(|| (header::CONNECTION, HeaderValue::from_static("close")));
        let retry = self
            .retry_after
            .map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds)));
        token.into_iter().chain(close).chain(retry)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body().into());
        *response.status_mut() =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response.headers_mut().extend(self.extra_headers());
        // Where assertions are checked, this is compared with what the call has declared.
        response.extensions_mut().insert(self.kind);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_401_asks_for_a_token() {
        for kind in Kind::ALL.iter().filter(|kind| kind.status() == 401) {
            let response = Problem::new(*kind, "x").into_response();
            assert!(
                response.headers()[header::WWW_AUTHENTICATE]
                    .to_str()
                    .unwrap()
                    .starts_with("Bearer realm=\"muster\""),
                "{kind:?}"
            );
        }
        assert!(
            !Problem::new(Kind::Forbidden, "x")
                .into_response()
                .headers()
                .contains_key(header::WWW_AUTHENTICATE)
        );
    }

    #[test]
    fn a_problem_is_written_as_rfc_9457_says() {
        let body = Problem::invalid("\"limit\" is 0; it must be from 1 to 1000").body();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["type"], "/problems/invalid");
        assert_eq!(body["status"], 422);
        assert_eq!(body["title"], "Invalid value");
        assert_eq!(body["detail"], "\"limit\" is 0; it must be from 1 to 1000");
    }
}
