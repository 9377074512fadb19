//! How the table is printed. Beside each figure stands the speed of the disk at the same time.

use crate::load::Measured;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long each row takes: `$FIGURES_SECONDS`, or 5 s.
pub(crate) fn seconds() -> Duration {
    let text = std::env::var("FIGURES_SECONDS").unwrap_or_default();
    Duration::from_secs_f64(text.parse().unwrap_or(5.0))
}

pub(crate) fn head() {
    println!(
        "{:<58} {:>12} {:>9} {:>9}   disk: fdatasync p50",
        "figure", "per second", "p50 ms", "p99 ms"
    );
}

/// The disk's own speed where the nodes keep their data: small appends, each followed by fdatasync.
fn fdatasync(dir: &Path) -> anyhow::Result<Measured> {
    let path = dir.join("fdatasync");
    let mut file = File::create(&path)?;
    let (mut measured, begun) = (Measured::default(), Instant::now());
    while begun.elapsed() < Duration::from_millis(500) {
        let one = Instant::now();
        file.write_all(&[7; 600])?;
        file.sync_data()?;
        measured.add(one.elapsed());
    }
    measured.span = begun.elapsed();
    std::fs::remove_file(path)?;
    Ok(measured)
}

/// Prints a rate and how long each request took. The nodes keep their data below `dir`.
pub(crate) fn row(dir: &Path, figure: &str, measured: &mut Measured) -> anyhow::Result<()> {
    let mut disk = fdatasync(dir)?;
    let (rate, p50, p99) = (
        measured.per_second(),
        measured.percentile(50),
        measured.percentile(99),
    );
    println!(
        "{figure:<58} {rate:>12.0} {p50:>9.2} {p99:>9.2}   {:.2} ms, {:.0}/s",
        disk.percentile(50),
        disk.per_second()
    );
    Ok(())
}

/// Prints a figure that is a single value.
pub(crate) fn value(dir: &Path, figure: &str, value: &str) -> anyhow::Result<()> {
    println!(
        "{figure:<58} {value:>32}   {:.2} ms",
        fdatasync(dir)?.percentile(50)
    );
    Ok(())
}
