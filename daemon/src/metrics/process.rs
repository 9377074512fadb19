//! What the kernel says of this process.

use rustix::process::{Resource, getrlimit};
use std::fs;
use std::time::Duration;

/// The unit of times in `/proc/PID/stat`, in milliseconds: `USER_HZ` is 100 wherever Rust's `std`
/// runs on Linux.
const TICK_MS: u64 = 10;

/// What it takes of the host; 0 where the kernel does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    pub(super) cpu: Duration,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    pub(super) threads: u64,
    pub(super) open_fds: u64,
    pub(super) max_fds: u64,
}

impl Process {
    pub(crate) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self {
            cpu: cpu(&stat).unwrap_or_default(),
            resident_bytes: line(&status, "VmRSS:").saturating_mul(1024),
            virtual_bytes: line(&status, "VmSize:").saturating_mul(1024),
            threads: line(&status, "Threads:"),
            open_fds: open_fds(),
            max_fds: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
        }
    }
}

/// A number of `/proc/PID/status`.
fn line(status: &str, key: &str) -> u64 {
    let rest = status.lines().find_map(|line| line.strip_prefix(key));
    rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// User and system time. The command's name, which may hold anything, ends at the last parenthesis.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks = |field: usize| rest.split_whitespace().nth(field)?.parse::<u64>().ok();
    Some(Duration::from_millis(
        ticks(11)?
            .saturating_add(ticks(12)?)
            .saturating_mul(TICK_MS),
    ))
}

/// Kernels from 6.2 on give the number as the directory's size; to count 10,000 of them takes
/// milliseconds.
fn open_fds() -> u64 {
    let told = fs::metadata("/proc/self/fd").map_or(0, |fds| fds.len());
    if told > 0 {
        told
    } else {
        fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count().try_into().unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_threads_and_files() {
        let process = Process::read();
        assert!(
            process.resident_bytes > 0 && process.virtual_bytes >= process.resident_bytes,
            "{process:?}"
        );
        assert!(
            process.threads > 0 && process.open_fds > 2 && process.max_fds >= process.open_fds,
            "{process:?}"
        );
    }

    #[test]
    fn the_time_is_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 0 0 0 150 25 0 0 20 0 1 0 8 9 10";
        assert_eq!(cpu(stat), Some(Duration::from_millis(1_750)));
        assert_eq!(cpu("7 a"), None);
    }
}
