//! `muster debug bundle`: one file with what a maintainer needs to understand a node, and with no
//! secret.
//!
//! | file | is | from |
//! | --- | --- | --- |
//! | `about.json` | when, which versions, and what could not be had | here |
//! | `status.json`, `node.json`, `members.json`, `partition.json`, `log-level.json` | the API's answers | the daemon |
//! | `metrics.txt` | all metrics | the daemon |
//! | `recorder.txt` | the decisions of the last minutes, one a line | the daemon |
//! | `configuration.json` | every key with its value | the daemon |
//! | `doctor.json` | an examination | the daemon, or what can be examined without |
//! | `log.txt` | the end of the log | the journal, or a development node's file |
//! | `host.txt` | kernel, memory, limits, UDP counters | the host |
//!
//! Not in it: entries, names of lists, tokens, keys, certificates, the environment.

mod host;

use crate::args::Bundle;
use crate::failure::Failure;
use crate::program::Program;
use crate::session::Session;
use crate::text::printable;
use crate::upkeep::doctor;
use anyhow::Context;
use client::{ApiPath, ClientError};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file of the bundle.
struct Part {
    name: &'static str,
    text: String,
}

/// `muster debug bundle`.
pub(crate) async fn bundle(
    session: &Session<'_>,
    args: &Bundle,
    program: &Program,
) -> Result<(), Failure> {
    let now = Timestamp::now();
    let (mut parts, missing) = ask(session).await?;
    let findings = doctor::findings(session, args.config.clone(), program).await?;
    parts.push(Part {
        name: "doctor.json",
        text: pretty(&findings),
    });
    parts.push(Part {
        name: "log.txt",
        text: host::log(session.socket()),
    });
    parts.push(Part {
        name: "host.txt",
        text: host::facts(),
    });
    let node = findings
        .get("node")
        .and_then(Value::as_str)
        .unwrap_or("host")
        .to_owned();
    let about = json!({ "at": now.to_string(), "muster": (program.version)(), "node": node, "missing": missing });
    parts.insert(
        0,
        Part {
            name: "about.json",
            text: pretty(&about),
        },
    );
    let name = format!("muster-{node}-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{name}.tar.gz")));
    write(&out, &name, &parts, now).map_err(Failure::from)?;
    let bytes = std::fs::metadata(&out)?.len();
    if session.output.is_json() {
        return session
            .output
            .json(&json!({ "file": out, "bytes": bytes, "missing": missing }));
    }
    session.output.line(&format!(
        "wrote {} ({} KiB): no entries, list names, tokens or keys are in it",
        out.display(),
        bytes.div_ceil(1024)
    ))?;
    missing.iter().try_for_each(|words| {
        session
            .output
            .line(&format!("missing: {}", printable(words)))
    })
}

/// What the daemon answers, and in words what it did not.
async fn ask(session: &Session<'_>) -> Result<(Vec<Part>, Vec<String>), Failure> {
    let wanted: [(&str, &[&str]); 6] = [
        ("status.json", &["status"]),
        ("node.json", &["node"]),
        ("members.json", &["members"]),
        ("partition.json", &["partition"]),
        ("log-level.json", &["log-level"]),
        ("configuration.json", &["debug", "configuration"]),
    ];
    let (mut parts, mut missing) = (Vec::new(), Vec::new());
    for (name, path) in wanted {
        match session.client().get(&ApiPath::new(path)).await {
            Ok(reply) => parts.push(Part {
                name,
                text: pretty(&without_names(reply.body)),
            }),
            // Who may not see all cannot make a bundle; a daemon that does not answer is what it
            // may be made for.
            Err(ClientError::Problem(problem)) if problem.status == 403 => {
                return Err(Failure::Problem(problem));
            }
            Err(error) => missing.push(format!("{name}: {error}")),
        }
    }
    match session
        .client()
        .get(&ApiPath::new(&["debug", "events"]))
        .await
    {
        Ok(reply) => parts.push(Part {
            name: "recorder.txt",
            text: decisions(&reply.body),
        }),
        Err(error) => missing.push(format!("recorder.txt: {error}")),
    }
    match session.client().text(&ApiPath::outside("metrics")).await {
        Ok(text) => parts.push(Part {
            name: "metrics.txt",
            text,
        }),
        Err(error) => missing.push(format!("metrics.txt: {error}")),
    }
    Ok((parts, missing))
}

/// A status names the lists that lag: how long they do is of use, what they are called is nobody's
/// business.
fn without_names(mut body: Value) -> Value {
    let lagging = body
        .pointer_mut("/lists/lagging")
        .and_then(Value::as_array_mut);
    for list in lagging.into_iter().flatten() {
        list.as_object_mut().map(|list| list.remove("name"));
    }
    body
}

/// One decision a line.
fn decisions(recording: &Value) -> String {
    let items = recording
        .get("items")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let text = |item: &Value, field: &str| {
        printable(item.get(field).and_then(Value::as_str).unwrap_or_default())
    };
    let line = |item: &Value| {
        format!(
            "{} {:<5} {}: {}\n",
            text(item, "at"),
            text(item, "level"),
            text(item, "target"),
            text(item, "text")
        )
    };
    items.iter().map(line).collect()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Only its owner can read it, and nothing is overwritten.
fn write(out: &Path, dir: &str, parts: &[Part], now: Timestamp) -> anyhow::Result<()> {
    let options = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .clone();
    let file: File = options
        .open(out)
        .with_context(|| format!("{} cannot be made", out.display()))?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    for part in parts {
        let mut header = tar::Header::new_gnu();
        header.set_size(part.text.len().try_into()?);
        header.set_mode(0o600);
        header.set_mtime(now.as_second().try_into()?);
        archive.append_data(
            &mut header,
            format!("{dir}/{}", part.name),
            part.text.as_bytes(),
        )?;
    }
    archive
        .into_inner()?
        .finish()?
        .sync_all()
        .with_context(|| format!("{} cannot be written", out.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_lists_are_left_out() {
        let status = json!({ "lists": { "known": 1, "lagging": [{ "name": "secret plans", "member": "n2", "lag_ms": 7.0 }] } });
        let shown = without_names(status).to_string();
        assert!(!shown.contains("secret") && shown.contains("n2"), "{shown}");
    }

    #[test]
    fn a_decision_is_a_line() {
        let item = json!({ "at": "2026-01-01T00:00:00.000Z", "level": "info", "target": "node::cluster", "text": "a\nb" });
        let expected = "2026-01-01T00:00:00.000Z info  node::cluster: a\\u{a}b\n";
        assert_eq!(decisions(&json!({ "items": [item] })), expected);
    }

    #[test]
    fn a_bundle_is_its_owners_alone_and_overwrites_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("x.tar.gz");
        let parts = [Part {
            name: "a.txt",
            text: "hello".repeat(1000),
        }];
        write(&out, "muster-n1", &parts, Timestamp::now()).unwrap();
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&out).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        assert!(
            write(&out, "muster-n1", &parts, Timestamp::now())
                .unwrap_err()
                .to_string()
                .contains("cannot be made")
        );
        let mut archive =
            tar::Archive::new(flate2::read::GzDecoder::new(File::open(&out).unwrap()));
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["muster-n1/a.txt"]);
    }
}
