//! An examination: what keeps this node from working well with the others, and what to do about it.
//!
//! | part | examines | by whom |
//! | --- | --- | --- |
//! | `host` | configuration, certificates, permissions, disk, limits | the daemon; the command line when no daemon answers |
//! | `peers` | for each member: UDP both ways, path, clock, version, certificate | the daemon |
//! | `processes` | whether the processes are there that are expected | the daemon |
//! | `search` | whether seeds and known members have answered since the start | the daemon |
//! | `absent` | why no daemon answers: the unit, the ports | the command line |

pub(crate) mod absent;
pub(crate) mod disk;
pub(crate) mod expiry;
pub(crate) mod host;
pub(crate) mod peers;
pub(crate) mod processes;
pub(crate) mod search;

pub(crate) use api::node::{Finding, FindingLevel as Level};

use crate::config::{Source, Start};
use std::ffi::OsString;
use std::path::PathBuf;

/// This host and its daemon.
pub(crate) const HERE: &str = "here";

/// What can be examined of this host when no daemon answers, with the configuration of that file,
/// else with the one that a daemon would find.
pub(crate) fn without_daemon(file: Option<PathBuf>) -> Vec<Finding> {
    let args = file.map(|file| [OsString::from("--config"), file.into()]);
    let args = std::iter::once("musterd".into()).chain(args.into_iter().flatten());
    match Source::of_process(args).load() {
        Ok(Start::Run(config)) => {
            let good = Finding::good("configuration", HERE, "the configuration is good");
            let mut findings = vec![good];
            findings.extend(host::examine(&config, crate::host::wall_ms() / 1000));
            findings.extend(absent::examine(&config));
            findings
        }
        Ok(Start::Print(_) | Start::Check(..)) => Vec::new(),
        Err(error) => vec![Finding::critical(
            "configuration",
            HERE,
            error.to_string(),
            "put it right; musterd --check-config tells when it is",
        )],
    }
}
