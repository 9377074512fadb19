//! The disk: its space, and how long it really takes until data is on it.

use super::{Finding, HERE, Level};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many syncs are measured; the median counts, as a single one may have met others' writes.
const SYNCS: usize = 9;
/// What is written before each of them: a small commit.
const PIECE: [u8; 4096] = [0x6d; 4096];
/// Syncs that take longer than this delay every write that people wait for.
const SLOW_SYNC: Duration = Duration::from_millis(100);
/// The file that is written and removed.
const TRIAL: &str = ".sync-trial";

/// How bad it is that so much of a file system is left, and how much it is in percent.
pub(crate) fn judge_space(free: u64, size: u64) -> (Level, u64) {
    let percent = free.saturating_mul(100).checked_div(size).unwrap_or(0);
    let level = match percent {
        0..3 => Level::Critical,
        3..10 => Level::Warning,
        _ => Level::Good,
    };
    (level, percent)
}

/// What to do when there is little space.
pub(crate) const MAKE_ROOM: &str = "make room where data_dir is, or give it a larger disk";

/// The space where the data directory is.
pub(super) fn space(data_dir: &Path) -> Finding {
    let Ok(stat) = rustix::fs::statvfs(data_dir) else {
        return Finding::critical(
            "disk space",
            HERE,
            format!("{} cannot be looked at", data_dir.display()),
            "see whether data_dir is there and readable",
        );
    };
    let (free, size) = (
        stat.f_bavail.saturating_mul(stat.f_frsize),
        stat.f_blocks.saturating_mul(stat.f_frsize),
    );
    let (level, percent) = judge_space(free, size);
    Finding::of_level(
        level,
        "disk space",
        HERE,
        format!(
            "{percent} % of the disk is free ({} \
        MiB)",
            free >> 20
        ),
        MAKE_ROOM,
    )
}

/// Writes and syncs a small file in the data directory, as the store does.
pub(super) fn sync(data_dir: &Path) -> Finding {
    match measure(data_dir) {
        Ok(took) if took > SLOW_SYNC => Finding::warning(
            "disk sync",
            HERE,
            format!(
                "a sync takes {:.0} ms: every write waits for it",
                took.as_secs_f64() * 1e3
            ),
            "see what else writes there (iostat -x 1), or use a faster disk",
        ),
        Ok(took) => Finding::good(
            "disk sync",
            HERE,
            format!(
                "a sync takes {:.2} ms (median of \
            {SYNCS})",
                took.as_secs_f64() * 1e3
            ),
        ),
        Err(error) => {
            let what = format!("nothing can be written in {}: {error}", data_dir.display());
            Finding::critical(
                "disk sync",
                HERE,
                what,
                "see whether the disk is full, mounted \
                read-only or broken (dmesg)",
            )
        }
    }
}

fn measure(dir: &Path) -> std::io::Result<Duration> {
    let path = dir.join(TRIAL);
    let options = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .clone();
    let mut file = options.open(&path)?;
    let times = (0..SYNCS).map(|_| {
        let begun = Instant::now();
        file.write_all(&PIECE)?;
        file.sync_data()?;
        Ok(begun.elapsed())
    });
    let times: std::io::Result<Vec<Duration>> = times.collect();
    std::fs::remove_file(&path)?;
    let mut times = times?;
    times.sort_unstable();
    Ok(times.get(SYNCS / 2).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_is_measured_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(measure(dir.path()).unwrap() > Duration::ZERO);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(sync(&dir.path().join("nowhere")).level, Level::Critical);
        assert_eq!(space(&dir.path().join("nowhere")).level, Level::Critical);
    }

    #[test]
    fn little_space_is_told_in_time() {
        assert_eq!(
            [2, 3, 9, 10].map(|free| judge_space(free, 100).0),
            [Level::Critical, Level::Warning, Level::Warning, Level::Good]
        );
    }
}
