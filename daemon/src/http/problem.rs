//! What a client is told when a call fails, and which refusal is which kind of problem.

pub(crate) use api::problem::Kind;

use crate::http::lists::rebuild::Outdated;
use crate::machines::AskError;
use api::problem::Extra;
use api::time::Millis;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use node::registry;
use node::wire::WriteError;
use node::{cluster, lists};
use std::fmt::Display;
use store::ReadError;

/// What may refuse a call: an extractor, what a machine is asked, reading the store.
pub(crate) trait Refuses {
    /// The kinds of problems that come of it. What every call may be answered is not among them.
    fn kinds() -> Vec<Kind>;
}

/// Declares the kinds of problems that come of types.
macro_rules! refuses {
    ($($source:ty: $($kind:ident)*;)+) => {$(
        impl $crate::http::problem::Refuses for $source {
            fn kinds() -> Vec<$crate::http::problem::Kind> {
                vec![$($crate::http::problem::Kind::$kind),*]
            }
        }
    )+};
}
pub(crate) use refuses;

macro_rules! tuples {
    ($($source:ident)+) => {
        impl<$($source: Refuses),+> Refuses for ($($source,)+) {
            fn kinds() -> Vec<Kind> {
                [$($source::kinds()),+].concat()
            }
        }
    };
}

tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);

/// The kind of that place in [`Kind::ALL`], which a call answers by itself:
/// `Own<{ Kind::OnlyHere as usize }>`.
pub(crate) struct Own<const KIND: usize>;

impl<const KIND: usize> Refuses for Own<KIND> {
    fn kinds() -> Vec<Kind> {
        Kind::ALL.get(KIND).copied().into_iter().collect()
    }
}

refuses! {
    ReadError: Store;
    // What the lists machines are asked.
    lists::ask::Edit: TooLarge Invalid Store Busy Quarantined Unknown Deadline DiskFull;
    lists::ask::EntriesAt: List Change Store Busy Quarantined Unknown Deadline;
    lists::ask::Depart: Store Busy Unknown Deadline;
    lists::ask::Rebuild: List Store Busy Quarantined Unknown Deadline DiskFull;
    // What the cluster machine is asked.
    cluster::ask::Join: Store Busy Unknown DiskFull;
    cluster::ask::Leave: Store Busy Unknown DiskFull;
    cluster::ask::Forget: Member Reachable Store Busy Unknown DiskFull;
    registry::Registration: Held Full TooMany Store Busy Unknown DiskFull;
    registry::ask::Unregister: Forbidden Process Elsewhere Store Busy Unknown DiskFull;
    registry::ask::Report: Forbidden Process Elsewhere Reported Store Busy Unknown DiskFull;
    registry::ask::Group: Forbidden Process Elsewhere Full Store Busy Unknown DiskFull;
    registry::ask::Link: Forbidden Process Member Elsewhere Full Store Busy Unknown DiskFull;
    registry::ask::Unlink: Forbidden Process Member Elsewhere Store Busy Unknown DiskFull;
    registry::ask::Links: Process Elsewhere Busy Unknown;
}

/// One problem: its kind, and what exactly is wrong in this call.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    /// Sent as `Retry-After`, in seconds.
    retry_after: Option<u32>,
    /// Boxed, as few problems have it and every call may answer one.
    extra: Box<Extra>,
    /// The rows of a list are to be made anew first.
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

    #[cfg(test)]
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
        // A client that was too slow or too greedy keeps its connection from others.
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

impl From<lists::Refusal> for Problem {
    fn from(refusal: lists::Refusal) -> Self {
        use lists::Refusal as R;
        let kind = match &refusal {
            R::NoList(_) => Kind::List,
            R::NoEntry(_) => Kind::Entry,
            R::Deleted(_) => Kind::Deleted,
            R::NoChange(_) => Kind::Change,
            R::Changed => Kind::Stale,
            R::TooLarge(_) => Kind::TooLarge,
            R::NoPlace(_) | R::TooManyReplicas { .. } => Kind::Invalid,
            R::Quarantined => return Self::new(Kind::Quarantined, refusal).retry_after(60),
            R::Damaged(_) => return Self::new(Kind::Store, refusal).retry_after(60),
            R::Busy => return Self::new(Kind::Busy, refusal).retry_after(1),
            R::Unavailable(error) => return Self::unavailable(*error, &refusal),
            R::Unknown(_) => {
                let detail = format!("{refusal}; retry with the same id");
                return Self::new(Kind::Unknown, detail).retry_after(1);
            }
            R::Timeout => Kind::Deadline,
        };
        Self::new(kind, refusal)
    }
}

impl<R: Into<Self>> From<AskError<R>> for Problem {
    fn from(error: AskError<R>) -> Self {
        match error {
            AskError::Refused(refusal) => refusal.into(),
            AskError::Mismatch => Self::internal("a machine replied to another question"),
        }
    }
}

impl From<cluster::Refusal> for Problem {
    fn from(refusal: cluster::Refusal) -> Self {
        use cluster::Refusal as R;
        match &refusal {
            R::Unknown(_) => Self::new(Kind::Member, refusal),
            R::Reachable(_) => Self::new(Kind::Reachable, refusal),
            R::Stopping => Self::new(Kind::Busy, refusal).retry_after(1),
            R::Write(error) => Self::unavailable(*error, &refusal),
            R::Registry(refusal) => refusal.clone().into(),
        }
    }
}

impl From<registry::Refusal> for Problem {
    fn from(refusal: registry::Refusal) -> Self {
        use registry::Refusal as R;
        let kind = match &refusal {
            R::Held { holder, since } => {
                let extra = Box::new(Extra {
                    holder: Some(holder.to_string()),
                    since: Some(Millis(since.0)),
                    ..Extra::default()
                });
                return Self {
                    extra,
                    ..Self::new(Kind::Held, refusal)
                };
            }
            R::Elsewhere { node, .. } => {
                let extra = Box::new(Extra {
                    node: Some(node.to_string()),
                    ..Extra::default()
                });
                return Self {
                    extra,
                    ..Self::new(Kind::Elsewhere, refusal)
                };
            }
            R::Unknown(_) => Kind::Process,
            R::NotYours { .. } => Kind::Forbidden,
            R::UnknownNode(_) => Kind::Member,
            R::Full { .. } => return Self::new(Kind::Full, refusal).retry_after(60),
            R::TooMany { bound, have, limit } => {
                let kind = if bound.is_the_callers() {
                    Kind::TooMany
                } else {
                    Kind::Full
                };
                let extra = Box::new(Extra {
                    count: Some(*have as u64),
                    limit: Some(*limit as u64),
                    ..Extra::default()
                });
                let detail = format!("{refusal}; {}", remedy(*bound));
                let problem = Self::new(kind, detail).retry_after(60);
                return Self { extra, ..problem };
            }
            R::Reported(_) => Kind::Reported,
            R::Write(error) => return Self::unavailable(*error, &refusal),
        };
        Self::new(kind, refusal)
    }
}

/// What to do about a bound that was reached.
fn remedy(bound: registry::Bound) -> &'static str {
    match bound {
        registry::Bound::OfProcess { .. } => "unregister some, or register another process",
        registry::Bound::OfUser { .. } => {
            "unregister some; [limits] names_per_uid says how many a user may have"
        }
        registry::Bound::Processes => {
            "each takes an open file of the daemon: raise its hard limit (LimitNOFILE=), and \
            restart it"
        }
        registry::Bound::Names | registry::Bound::Bytes => "unregister some",
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let outdated = Outdated::of(&error);
        let problem = Self::new(Kind::Store, error).retry_after(1);
        Self {
            outdated,
            ..problem
        }
    }
}

impl Problem {
    pub(crate) fn unavailable(error: WriteError, detail: &dyn Display) -> Self {
        match error {
            WriteError::Full => Self::new(Kind::DiskFull, detail),
            WriteError::Failed => Self::new(Kind::Store, detail).retry_after(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use names::{ChangeHash, EntryId};

    #[test]
    fn every_refusal_of_a_list_has_its_status() {
        use lists::Refusal as R;
        let id = EntryId(7);
        let cases = [
            (R::NoList("x".into()), 404),
            (R::NoEntry(id), 404),
            (R::Deleted(id), 409),
            (R::NoPlace(id), 422),
            (R::NoChange(ChangeHash([0; 32])), 404),
            (R::Changed, 412),
            (R::TooLarge("5 MiB".into()), 413),
            (R::TooManyReplicas { asked: 5, have: 3 }, 422),
            (R::Quarantined, 503),
            (R::Busy, 503),
            (R::Unavailable(WriteError::Full), 507),
            (R::Unavailable(WriteError::Failed), 503),
            (R::Unknown(WriteError::Full), 503),
            (R::Unknown(WriteError::Failed), 503),
            (R::Timeout, 504),
        ];
        for (refusal, status) in cases {
            assert_eq!(
                Problem::from(refusal.clone()).status(),
                status,
                "{refusal:?}"
            );
        }
        assert_eq!(
            Problem::from(R::Unknown(WriteError::Full)).kind(),
            Kind::Unknown
        );
    }

    #[test]
    fn every_refusal_of_the_cluster_has_its_status() {
        use cluster::Refusal as R;
        let name = names::NodeName::new("node1").unwrap();
        let cases = [
            (R::Unknown("x".into()), 404),
            (R::Reachable(name), 409),
            (R::Stopping, 503),
            (R::Write(WriteError::Full), 507),
            (R::Write(WriteError::Failed), 503),
        ];
        for (refusal, status) in cases {
            assert_eq!(
                Problem::from(refusal.clone()).status(),
                status,
                "{refusal:?}"
            );
        }
    }

    fn too_many(bound: registry::Bound) -> registry::Refusal {
        registry::Refusal::TooMany {
            bound,
            have: 65,
            limit: 64,
        }
    }

    #[test]
    fn a_bound_that_is_reached_tells_what_to_do() {
        let told = |bound| {
            let problem = Problem::from(too_many(bound));
            serde_json::from_slice::<serde_json::Value>(&problem.body()).unwrap()
        };
        let full = told(registry::Bound::OfProcess { pid: 9 });
        assert_eq!((&full["count"], &full["limit"]), (&65.into(), &64.into()));
        assert_eq!(
            full["detail"],
            "names of process 9: 65 of at most 64; unregister some, or register another process"
        );
        let full = told(registry::Bound::Processes);
        assert!(full["detail"].as_str().unwrap().contains("LimitNOFILE="));
    }

    #[test]
    fn every_refusal_of_the_registry_has_its_status() {
        use registry::Refusal as R;
        let name = names::ProcessName::new("web").unwrap();
        let node = names::NodeName::new("n2").unwrap();
        let holder = names::Handle {
            name: name.clone(),
            node: node.clone(),
            pid: 7,
            start: 8,
        };
        let cases = [
            (
                R::Held {
                    holder: holder.clone(),
                    since: node::time::Wall(0),
                },
                409,
            ),
            (R::Unknown(name.clone()), 404),
            (
                R::Elsewhere {
                    name: name.clone(),
                    node: node.clone(),
                },
                409,
            ),
            (
                R::NotYours {
                    name: name.clone(),
                    owner: 7,
                },
                403,
            ),
            (R::UnknownNode(node.clone()), 404),
            (
                R::Full {
                    what: "processes",
                    limit: 3,
                },
                503,
            ),
            (too_many(registry::Bound::Processes), 503),
            (too_many(registry::Bound::OfUser { uid: 7 }), 429),
            (R::Reported(name.clone()), 409),
            (R::Write(WriteError::Full), 507),
        ];
        for (refusal, status) in cases {
            assert_eq!(
                Problem::from(refusal.clone()).status(),
                status,
                "{refusal:?}"
            );
        }
        let body = |refusal: R| {
            serde_json::from_slice::<serde_json::Value>(&Problem::from(refusal).body()).unwrap()
        };
        let held = body(R::Held {
            holder,
            since: node::time::Wall(0),
        });
        assert_eq!(
            (held["holder"].as_str(), held["since"].as_str()),
            (Some("web@n2#7.8"), Some("1970-01-01T00:00:00.000Z"))
        );
        assert_eq!(body(R::Elsewhere { name, node })["node"], "n2");
    }

    #[test]
    fn every_503_says_when_to_try_again() {
        for refusal in [
            lists::Refusal::Busy,
            lists::Refusal::Quarantined,
            lists::Refusal::Unknown(WriteError::Failed),
        ] {
            let response = Problem::from(refusal).into_response();
            assert_eq!(response.status(), 503);
            assert!(response.headers().contains_key(header::RETRY_AFTER));
        }
    }

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
