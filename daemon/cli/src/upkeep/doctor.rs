//! `muster doctor`: what keeps a node from working well, and what to do about it.

use crate::args::Doctor;
use crate::failure::Failure;
use crate::program::Program;
use crate::session::{OF_MEMBERS, Session};
use crate::table::Paint;
use crate::text::{printable, printable_lines};
use crate::upkeep::status::wrapped;
use api::node::{Finding, FindingLevel as Level};
use client::ClientError;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Whose findings are those about this host and its daemon.
const HERE: &str = "here";
/// How wide a line is at most.
const WIDTH: usize = 78;

/// `muster doctor`.
pub(crate) async fn examine(
    session: &Session<'_>,
    args: &Doctor,
    program: &Program,
) -> Result<ExitCode, Failure> {
    let (node, findings) = ask(session, args.config.clone(), program).await?;
    if session.output.is_json() {
        session.output.json(&shown(node.as_deref(), &findings))?;
    } else {
        print(session, node.as_deref(), &findings)?;
    }
    Ok(if is_healthy(&findings) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// An examination as `--json` prints it.
pub(super) async fn findings(
    session: &Session<'_>,
    config: Option<PathBuf>,
    program: &Program,
) -> Result<Value, Failure> {
    ask(session, config, program)
        .await
        .map(|(node, findings)| shown(node.as_deref(), &findings))
}

fn shown(node: Option<&str>, findings: &[Finding]) -> Value {
    json!({ "node": node, "healthy": is_healthy(findings), "items": findings })
}

fn is_healthy(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.level == Level::Good)
}

/// The daemon's findings with its name, or those that can be had without it.
async fn ask(
    session: &Session<'_>,
    config: Option<PathBuf>,
    program: &Program,
) -> Result<(Option<String>, Vec<Finding>), Failure> {
    let client = session.patient(OF_MEMBERS);
    match client.doctor().await {
        Ok(answer) => Ok((Some(answer.value.node), answer.value.items)),
        Err(
            error @ (ClientError::Unreachable { .. }
            | ClientError::Timeout(_)
            | ClientError::Broken(_)),
        ) => {
            // As given, a development node's own, or musterd's usual one.
            let file = config.or_else(|| session.node_config());
            let mut findings = vec![no_daemon(session.explain(error).words())];
            findings.extend((program.examine_host)(file));
            Ok((None, findings))
        }
        Err(error) => Err(session.explain(error)),
    }
}

/// That no daemon answers: first of all that can be found without one.
fn no_daemon(why: String) -> Finding {
    let remedy = "start it (systemctl start muster); what else was found here may say why it does \
        not run";
    Finding {
        check: "daemon".to_owned(),
        of: HERE.to_owned(),
        level: Level::Critical,
        what: why,
        remedy: Some(remedy.to_owned()),
    }
}

fn print(session: &Session<'_>, node: Option<&str>, findings: &[Finding]) -> Result<(), Failure> {
    let output = session.output;
    if !output.is_for_people() {
        return findings
            .iter()
            .try_for_each(|finding| output.record(&fields(finding), String::new));
    }
    let mut groups: Vec<&[Finding]> = findings.chunk_by(|one, next| one.of == next.of).collect();
    // What is worst comes last: there the reader looks first, and the rest may have scrolled away.
    groups.sort_by_key(|group| group.iter().map(|finding| finding.level.clone()).max());
    for group in groups {
        let title = match group.first().map(|finding| finding.of.as_str()) {
            Some(HERE) | None => node.map_or_else(
                || "this host".to_owned(),
                |node| format!("{} (here)", printable(node)),
            ),
            Some(member) => printable(member),
        };
        output.line(&format!("\n{}", output.paint(&title, Paint::Bold)))?;
        let mut group: Vec<&Finding> = group.iter().collect();
        group.sort_by(|one, other| one.level.cmp(&other.level));
        group
            .into_iter()
            .try_for_each(|finding| output.line(&lines(session, finding)))?;
    }
    output.line(&format!("\n{}", summary(session, findings)))
}

fn fields(finding: &Finding) -> [&str; 5] {
    [
        finding.level.as_str(),
        &finding.of,
        &finding.check,
        &finding.what,
        finding.remedy.as_deref().unwrap_or_default(),
    ]
}

fn summary(session: &Session<'_>, findings: &[Finding]) -> String {
    let count = |level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let (good, warning, critical) = (
        count(Level::Good),
        count(Level::Warning),
        count(Level::Critical),
    );
    let paint = match (critical, warning) {
        (0, 0) => Paint::Green,
        (0, _) => Paint::Yellow,
        (_, _) => Paint::Red,
    };
    session.output.paint(
        &format!("{critical} critical, {warning} warning, {good} good"),
        paint,
    )
}

/// A finding's lines: level, check, words; what to do below.
fn lines(session: &Session<'_>, finding: &Finding) -> String {
    let paint = match finding.level {
        Level::Good => Paint::Green,
        Level::Warning => Paint::Yellow,
        Level::Critical | Level::Other(_) => Paint::Red,
    };
    let margin = 27;
    let level = session
        .output
        .paint(&format!("{:<8}", finding.level), paint);
    let mut lines: Vec<String> = Vec::new();
    for paragraph in printable_lines(&finding.what).lines() {
        lines.extend(wrapped(paragraph, WIDTH - margin));
    }
    if let Some(remedy) = &finding.remedy {
        lines.extend(wrapped(&format!("→ {}", printable(remedy)), WIDTH - margin));
    }
    let head = format!("  {level} {:<15} ", printable(&finding.check));
    let indent = " ".repeat(margin);
    lines
        .iter()
        .enumerate()
        .map(|(n, line)| {
            if n == 0 {
                format!("{head}{line}")
            } else {
                format!("{indent}{line}")
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}
