//! What nodes use of the machine and have counted, as they and the kernel say.

use crate::fleet::{self, Fleet, Node};
use anyhow::Context;
use std::process::Command;

/// The value of a metric without labels in the text of `/metrics`; NaN if it is not there.
pub(crate) fn metric(metrics: &str, name: &str) -> f64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
        .unwrap_or(f64::NAN)
}

/// The processor time that all nodes have used, in seconds.
pub(crate) fn cpu_of_all(fleet: &Fleet) -> anyhow::Result<f64> {
    fleet
        .nodes
        .iter()
        .filter_map(Node::pid)
        .map(cpu_seconds)
        .sum()
}

/// The processor time that a process has used.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
            .context("no cpu time")
    };
    let hertz: f64 = fleet::run(Command::new("getconf").arg("CLK_TCK"))?
        .trim()
        .parse()?;
    Ok((ticks(11)? + ticks(12)?) / hertz)
}

/// The memory of a process that is resident.
pub(crate) fn resident_mb(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1_024.0)
}
