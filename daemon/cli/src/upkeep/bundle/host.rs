//! What the host says: the end of the log, and facts about the machine.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// How many lines of the journal.
const LINES: &str = "5000";
/// How much of a log file, from its end.
const MAX_LOG_BYTES: usize = 1 << 20;

/// The end of the log: the unit's journal, or the file that `muster dev` keeps beside a node's
/// socket.
pub(super) fn log(socket: &Path) -> String {
    if let Ok(bytes) = std::fs::read(socket.with_file_name("log")) {
        let tail = bytes
            .get(bytes.len().saturating_sub(MAX_LOG_BYTES)..)
            .unwrap_or_default();
        return String::from_utf8_lossy(tail).into_owned();
    }
    let journal = Command::new("journalctl")
        .args([
            "-u",
            "muster",
            "-n",
            LINES,
            "--no-pager",
            "-o",
            "short-iso-precise",
        ])
        .output();
    match journal {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
        Ok(output) => format!(
            "journalctl ended with {}: \
            {}\n",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => format!("there is no journal: {error}\n"),
    }
}

/// Files that describe the machine. None holds what people write or keep secret.
const FACTS: [&str; 8] = [
    "/etc/os-release",
    "/proc/version",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/pressure/io",
    "/proc/net/snmp",
    "/proc/sys/net/core/rmem_max",
];

/// Kernel, load, memory, UDP counters.
pub(super) fn facts() -> String {
    let mut text = String::new();
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "== processors\n{processors}\n== \
        architecture\n{}",
        std::env::consts::ARCH
    );
    for path in FACTS {
        let found = std::fs::read_to_string(path).unwrap_or_else(|error| format!("{error}\n"));
        let _ = writeln!(text, "== {path}\n{}", found.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_beside_the_socket_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("log"),
            format!("first\n{}last\n", "x\n".repeat(MAX_LOG_BYTES)),
        )
        .unwrap();
        let log = log(&dir.path().join("s"));
        assert!(log.ends_with("last\n") && !log.contains("first") && log.len() <= MAX_LOG_BYTES);
    }

    #[test]
    fn the_machine_is_described() {
        let facts = facts();
        assert!(
            facts.contains("Linux version") && facts.contains("MemTotal") && facts.contains("Udp:"),
            "{facts}"
        );
    }
}
