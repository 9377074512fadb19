//! An examination: what keeps this node from working well with the others, and what to do about it.
//!
//! | part | examines | by whom |
//! | --- | --- | --- |
//! | `host` | configuration, certificates, permissions, disk, limits | the daemon; the command line when no daemon answers |
//! | `peers` | for each member: UDP both ways, path, clock, version, certificate | the daemon |
//! | `absent` | why no daemon answers: the unit, the ports | the command line |

pub(crate) mod absent;
pub(crate) mod disk;
pub(crate) mod expiry;
pub(crate) mod host;
pub(crate) mod peers;

use crate::config::{Source, Start};
use serde::Serialize;
use std::ffi::OsString;
use std::path::PathBuf;
use utoipa::ToSchema;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Good,
    /// It works, but not for ever, or not as it should.
    Warning,
    /// It does not work now, or is about to stop.
    Critical,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Finding {
    /// What was examined, such as `clock` or `key file`.
    pub(crate) check: String,
    /// Whose: a member's name, or `here`.
    pub(crate) of: String,
    /// `good`, `warning` or `critical`.
    pub(crate) level: Level,
    /// What was found, in words.
    pub(crate) what: String,
    /// What to do about it; null when it is good.
    #[serde(rename = "do")]
    #[schema(required = true)]
    pub(crate) remedy: Option<String>,
}

/// This host and its daemon.
pub(crate) const HERE: &str = "here";

impl Finding {
    pub(crate) fn good(check: &str, of: &str, what: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            of: of.to_owned(),
            level: Level::Good,
            what: what.into(),
            remedy: None,
        }
    }

    pub(crate) fn warning(
        check: &str,
        of: &str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Warning,
            remedy: Some(remedy.into()),
            ..Self::good(check, of, what)
        }
    }

    pub(crate) fn critical(
        check: &str,
        of: &str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Critical,
            remedy: Some(remedy.into()),
            ..Self::good(check, of, what)
        }
    }

    /// With a remedy only where it is bad.
    pub(crate) fn of_level(
        level: Level,
        check: &str,
        of: &str,
        what: impl Into<String>,
        remedy: &str,
    ) -> Self {
        let remedy = (level != Level::Good).then(|| remedy.to_owned());
        Self {
            level,
            remedy,
            ..Self::good(check, of, what)
        }
    }
}

/// What can be examined of this host when no daemon answers, with the configuration of that file,
/// else with the one that a daemon would find.
pub(crate) fn without_daemon(file: Option<PathBuf>) -> Vec<cli::Finding> {
    let args = file.map(|file| [OsString::from("--config"), file.into()]);
    let args = std::iter::once("musterd".into()).chain(args.into_iter().flatten());
    let findings = match Source::of_process(args).load() {
        Ok(Start::Run(config)) => {
            let good = Finding::good("configuration", HERE, "the configuration is good");
            let mut findings = vec![good];
            findings.extend(host::examine(&config, crate::host::wall_ms() / 1000));
            findings.extend(absent::examine(&config));
            findings
        }
        Ok(Start::Print(_)) => Vec::new(),
        Err(error) => vec![Finding::critical(
            "configuration",
            HERE,
            error.to_string(),
            "put it right; musterd --check-config tells when it is",
        )],
    };
    findings.into_iter().map(cli::Finding::from).collect()
}

impl From<Finding> for cli::Finding {
    fn from(finding: Finding) -> Self {
        let level = match finding.level {
            Level::Good => cli::Level::Good,
            Level::Warning => cli::Level::Warning,
            Level::Critical => cli::Level::Critical,
        };
        Self {
            check: finding.check,
            of: finding.of,
            level,
            what: finding.what,
            remedy: finding.remedy,
        }
    }
}
