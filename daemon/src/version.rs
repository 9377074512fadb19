//! What this program is, in a line.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::sync::OnceLock;

/// The crates of this program, which are the targets of its lines.
pub(crate) const OUR_CRATES: [&str; 7] = [
    "crdt",
    "muster",
    "names",
    "node",
    "pki",
    "store",
    "transport",
];

/// The revision, and the time of the build in seconds since the Unix epoch.
static BUILD: OnceLock<(&str, i64)> = OnceLock::new();

/// Says from which revision this program was built, and when (seconds since the Unix epoch): the
/// programs know it, so that no library is compiled again for each commit. Called once, first.
pub fn set_build(revision: &'static str, epoch: i64) {
    // What was said first stays.
    let _ = BUILD.set((revision, epoch));
}

/// Version, git revision and day of the build: `0.1.0 (4bcc1cd3a1b2, built 2026-11-25)`.
pub(crate) fn full() -> String {
    let revision = BUILD.get().map_or("unknown", |(revision, _)| revision);
    let version = env!("CARGO_PKG_VERSION");
    format!("{version} ({revision}, built {})", built())
}

/// The program as a manual page names it: `Muster 0.1.0`.
pub(crate) fn source() -> String {
    concat!("Muster ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// The day of the build.
pub(crate) fn built() -> String {
    let at = BUILD.get();
    let at = at.and_then(|(_, epoch)| Timestamp::from_second(*epoch).ok());
    at.map_or_else(
        || "at an unknown time".to_owned(),
        |at| at.to_zoned(TimeZone::UTC).date().to_string(),
    )
}
