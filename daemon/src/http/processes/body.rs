//! What clients say of processes, checked.

use crate::http::cluster::is_host_and_port;
use crate::http::json;
use crate::http::problem::Problem;
use api::processes::{ConflictAction, ExitReport, RegisterRequest, RegistrationLifetime};
use bytes::Bytes;
use crdt::registry::{Entry, Reason};
use names::{ProcessName, is_unprintable};
use node::registry::OnConflict;
use std::collections::{BTreeMap, BTreeSet};

const MAX_SIGNAL: i32 = 64;

/// A [`RegisterRequest`] that keeps all rules.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) pid: Option<u32>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) groups: BTreeSet<ProcessName>,
    /// To its connection.
    pub(super) is_bound: bool,
    pub(super) address: Option<String>,
    pub(super) on_conflict: OnConflict,
    pub(super) reports_exit: bool,
}

impl Wish {
    /// Reads a body; none at all wishes for nothing in particular.
    pub(super) fn read(bytes: &Bytes) -> Result<Self, Problem> {
        let body: RegisterRequest = if bytes.is_empty() {
            RegisterRequest::default()
        } else {
            json::parse(bytes)?
        };
        let is_bound = match body.lifetime {
            None | Some(RegistrationLifetime::Process) => false,
            Some(RegistrationLifetime::Connection) => true,
            Some(RegistrationLifetime::Other(other)) => {
                return Err(Problem::invalid(format!(
                    "\"lifetime\" is {other:?}; it must be process or connection"
                )));
            }
        };
        let on_conflict = match body.on_conflict {
            None | Some(ConflictAction::Notify) => OnConflict::Notify,
            Some(ConflictAction::Terminate) => OnConflict::Terminate,
            Some(ConflictAction::Other(other)) => {
                return Err(Problem::invalid(format!(
                    "\"on_conflict\" is {other:?}; it must be notify or terminate"
                )));
            }
        };
        if let Some(bad) = body
            .address
            .as_ref()
            .filter(|address| !is_host_and_port(address))
        {
            return Err(Problem::invalid(format!(
                "\"address\" is {bad:?}; it must be host:port, such as 10.0.0.7:8080 or [::1]:8080"
            )));
        }
        Ok(Self {
            pid: body.pid,
            metadata: metadata(body.metadata.unwrap_or_default())?,
            groups: groups(&body.groups.unwrap_or_default())?,
            is_bound,
            address: body.address,
            on_conflict,
            reports_exit: body.reports_exit.unwrap_or(false),
        })
    }
}

fn groups(names: &[String]) -> Result<BTreeSet<ProcessName>, Problem> {
    let name = |name: &String| {
        ProcessName::new(name).map_err(|error| Problem::invalid(format!("\"groups\": {error}")))
    };
    let groups: BTreeSet<ProcessName> = names.iter().map(name).collect::<Result<_, _>>()?;
    if groups.len() > Entry::MAX_GROUPS {
        return Err(Problem::invalid(format!(
            "\"groups\" has {}; at most {} are \
            right",
            groups.len(),
            Entry::MAX_GROUPS
        )));
    }
    Ok(groups)
}

fn metadata(metadata: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Problem> {
    let refuse = |why: String| Err(Problem::invalid(format!("\"metadata\" {why}")));
    if metadata.len() > Entry::MAX_KEYS {
        return refuse(format!(
            "has {} keys; at most {} are \
            right",
            metadata.len(),
            Entry::MAX_KEYS
        ));
    }
    if let Some(bad) = metadata.keys().find(|key| !is_key(key)) {
        return refuse(format!(
            "has the key {bad:?}; keys must match [A-Za-z_][A-Za-z0-9_.-]{{0,63}}"
        ));
    }
    if let Some((key, _)) = metadata.iter().find(|(_, value)| {
        value.len() > Entry::MAX_VALUE_BYTES || value.chars().any(is_unprintable)
    }) {
        return refuse(format!(
            "has at {key:?} what is not one line of at most {} bytes without control characters",
            Entry::MAX_VALUE_BYTES
        ));
    }
    let bytes: usize = metadata
        .iter()
        .map(|(key, value)| key.len().saturating_add(value.len()))
        .sum();
    if bytes > Entry::MAX_METADATA_BYTES {
        return refuse(format!(
            "has {bytes} bytes in all; at most {} are \
            right",
            Entry::MAX_METADATA_BYTES
        ));
    }
    Ok(metadata)
}

fn is_key(key: &str) -> bool {
    let begins = key
        .bytes()
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == b'_');
    begins
        && key.len() <= Entry::MAX_KEY_BYTES
        && key
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(&c))
}

/// What a report says.
pub(super) fn reason(report: &ExitReport) -> Result<Reason, Problem> {
    match (report.code, report.signal) {
        (Some(code), None) => Ok(Reason::ExitedWith(code)),
        (None, Some(signal)) if (1..=MAX_SIGNAL).contains(&signal) => Ok(Reason::Killed(signal)),
        (None, Some(signal)) => Err(Problem::invalid(format!(
            "\"signal\" is {signal}; it must be from 1 to {MAX_SIGNAL}"
        ))),
        _ => Err(Problem::invalid(
            "exactly one of \"code\" and \"signal\" must be given",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(body: Value) -> Result<Wish, Problem> {
        Wish::read(&Bytes::from(body.to_string()))
    }

    fn status(body: Value) -> u16 {
        read(body).unwrap_err().status()
    }

    #[test]
    fn nothing_at_all_is_enough() {
        let plain = Wish::read(&Bytes::new()).unwrap();
        assert_eq!(read(json!({})).unwrap(), plain);
        assert_eq!(read(json!({ "pid": null, "groups": null, "lifetime": "process", "on_conflict": "notify" })).unwrap(), plain);
        assert!(!plain.is_bound && !plain.reports_exit && plain.on_conflict == OnConflict::Notify);
    }

    #[test]
    fn everything_can_be_said() {
        let wish = read(json!({
            "pid": 7, "metadata": { "version": "2.1", "_x": "" }, "groups": ["web", "eu", "web"], "lifetime": "connection",
            "address": "[::1]:8080", "on_conflict": "terminate", "reports_exit": true,
        }))
        .unwrap();
        assert_eq!(
            (wish.pid, wish.groups.len(), wish.metadata.len()),
            (Some(7), 2, 2)
        );
        assert!(wish.is_bound && wish.reports_exit && wish.on_conflict == OnConflict::Terminate);
    }

    #[test]
    fn wrong_types_are_400_and_broken_rules_422() {
        for bad in [
            json!([]),
            json!({ "pid": "7" }),
            json!({ "pid": -1 }),
            json!({ "metadata": { "n": 3 } }),
            json!({ "group": [] }),
        ] {
            assert_eq!(status(bad.clone()), 400, "{bad}");
        }
        let many: BTreeMap<String, String> =
            (0..33).map(|n| (format!("k{n}"), String::new())).collect();
        let large: BTreeMap<String, String> = (0..5)
            .map(|n| (format!("k{n}"), "x".repeat(1000)))
            .collect();
        let groups: Vec<String> = (0..65).map(|n| format!("g{n}")).collect();
        for bad in [
            json!({ "lifetime": "for ever" }),
            json!({ "on_conflict": "kill" }),
            json!({ "address": "8080" }),
            json!({ "groups": ["a b"] }),
            json!({ "groups": groups }),
            json!({ "metadata": { "a b": "" } }),
            json!({ "metadata": { "1a": "" } }),
            json!({ "metadata": { "a": "two\nlines" } }),
            json!({ "metadata": { "a": "x".repeat(1025) } }),
            json!({ "metadata": many }),
            json!({ "metadata": large }),
        ] {
            assert_eq!(status(bad.clone()), 422, "{bad}");
        }
    }

    #[test]
    fn an_exit_has_a_code_or_a_signal() {
        let reason = |code, signal| super::reason(&ExitReport { code, signal });
        assert_eq!(reason(Some(1), None).unwrap(), Reason::ExitedWith(1));
        assert_eq!(reason(None, Some(9)).unwrap(), Reason::Killed(9));
        for (code, signal) in [
            (None, None),
            (Some(1), Some(9)),
            (None, Some(0)),
            (None, Some(65)),
        ] {
            assert_eq!(
                reason(code, signal).unwrap_err().status(),
                422,
                "{code:?} {signal:?}"
            );
        }
    }
}
