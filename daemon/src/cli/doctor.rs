//! `muster doctor`: what keeps a node from working well, and what to do about it.

use super::args::Doctor;
use super::failure::Failure;
use super::session::Session;
use super::status::wrapped;
use super::table::Paint;
use super::text::{printable, printable_lines};
use crate::client::{ApiPath, ClientError};
use crate::config::{Source, Start};
use crate::doctor::{Finding, HERE, Level, absent, host};
use serde::Deserialize;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Members that do not answer take their time.
const PATIENCE: Duration = Duration::from_secs(30);
/// How wide a line is at most.
const WIDTH: usize = 78;

/// What the daemon answers.
#[derive(Deserialize)]
struct Examination {
    node: String,
    items: Vec<Finding>,
}

/// `muster doctor`.
pub(crate) async fn examine(session: &Session<'_>, args: &Doctor) -> Result<ExitCode, Failure> {
    let (node, findings) = ask(session, args.config.clone()).await?;
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
) -> Result<Value, Failure> {
    ask(session, config)
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
) -> Result<(Option<String>, Vec<Finding>), Failure> {
    let client = session.client().with_patience(PATIENCE);
    match client.get(&ApiPath::new(&["debug", "doctor"])).await {
        Ok(reply) => {
            let answer: Examination = serde_json::from_value(reply.body)
                .map_err(|error| Failure::Failed(error.to_string()))?;
            Ok((Some(answer.node), answer.items))
        }
        Err(
            error @ (ClientError::Unreachable { .. }
            | ClientError::Timeout(_)
            | ClientError::Broken(_)),
        ) => {
            // As given, a development node's own, or musterd's usual one.
            let file = config.or_else(|| session.node_config());
            Ok((None, without_daemon(session.explain(error).words(), file)))
        }
        Err(error) => Err(session.explain(error)),
    }
}

/// What can be examined from here.
fn without_daemon(why: String, file: Option<PathBuf>) -> Vec<Finding> {
    let remedy = "start it (systemctl start muster); what else was found here may say why it does \
        not run";
    let mut findings = vec![Finding::critical("daemon", HERE, why, remedy)];
    let args = ["musterd".into()].into_iter().chain(
        file.into_iter()
            .flat_map(|file| [OsString::from("--config"), file.into()]),
    );
    match Source::of_process(args).load() {
        Ok(Start::Run(config)) => {
            findings.push(Finding::good(
                "configuration",
                HERE,
                "the configuration is good",
            ));
            findings.extend(host::examine(&config, crate::host::wall_ms() / 1000));
            findings.extend(absent::examine(&config));
        }
        Ok(Start::Print(_)) => {}
        Err(error) => findings.push(Finding::critical(
            "configuration",
            HERE,
            error.to_string(),
            "put it right; musterd --check-config tells when it is",
        )),
    }
    findings
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
    groups.sort_by_key(|group| group.iter().map(|finding| finding.level).max());
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
        group.sort_by_key(|finding| finding.level);
        group
            .into_iter()
            .try_for_each(|finding| output.line(&lines(session, finding)))?;
    }
    output.line(&format!("\n{}", summary(session, findings)))
}

fn fields(finding: &Finding) -> [&str; 5] {
    [
        level_word(finding.level),
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

fn level_word(level: Level) -> &'static str {
    match level {
        Level::Good => "good",
        Level::Warning => "warning",
        Level::Critical => "critical",
    }
}

/// A finding's lines: level, check, words; what to do below.
fn lines(session: &Session<'_>, finding: &Finding) -> String {
    let paint = match finding.level {
        Level::Good => Paint::Green,
        Level::Warning => Paint::Yellow,
        Level::Critical => Paint::Red,
    };
    let margin = 27;
    let level = session
        .output
        .paint(&format!("{:<8}", level_word(finding.level)), paint);
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
