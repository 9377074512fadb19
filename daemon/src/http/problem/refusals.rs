//! Which refusal of a machine or of the store is which problem.

use super::{Kind, Problem};
use crate::http::lists::rebuild::Outdated;
use crate::machines::AskError;
use api::problem::Extra;
use api::time::Millis;
use crdt::list::MergeError;
use node::wire::WriteError;
use node::{cluster, lists, registry};
use std::fmt::Display;
use store::ReadError;

impl From<lists::Refusal> for Problem {
    fn from(refusal: lists::Refusal) -> Self {
        use lists::Refusal as R;
        let kind = match &refusal {
            R::NoList(_) => Kind::List,
            R::NoEntry(_) => Kind::Entry,
            R::Deleted(_) => Kind::Deleted,
            R::NoChange(_) => Kind::Change,
            R::Settled { .. } => Kind::Settled,
            R::Changed => Kind::Stale,
            R::TooLarge(_) | R::Unmergeable(MergeError::TooLarge) => Kind::TooLarge,
            R::Unmergeable(_) => Kind::Invalid,
            R::NoPlace(_) | R::NoUndo(_) | R::TooManyReplicas { .. } => Kind::Invalid,
            R::NotQuarantined(_) => Kind::NotQuarantined,
            R::StillDamaged(_) => Kind::StillDamaged,
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
            R::Reachable(_)
            | R::IsHere(_)
            | R::HasLeft(_)
            | R::Unproved(_)
            | R::Oneself
            | R::OwnCertificate => Self::new(Kind::Reachable, refusal),
            R::NoMajority { .. } => Self::new(Kind::NoMajority, refusal),
            R::NotAway(_) => Self::new(Kind::NotAway, refusal),
            R::Unsigned => Self::new(Kind::NoAuthority, refusal),
            R::NotOfTheCluster | R::Withdrawn => Self::new(Kind::Unsigned, refusal),
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
    use axum::http::header;
    use axum::response::IntoResponse;
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
            (R::NotQuarantined("x".into()), 404),
            (R::StillDamaged("changes are missing".into()), 409),
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
            (R::Reachable(name.clone()), 409),
            (R::IsHere(name.clone()), 409),
            (R::HasLeft(name.clone()), 409),
            (
                R::NoMajority {
                    reachable: 1,
                    expected: 2,
                },
                409,
            ),
            (R::NotAway(name), 404),
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
}
