//! What this program is, in a line.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Version, git revision and day of the build: `0.1.0 (4bcc1cd3a1b2, built 2026-11-25)`.
pub(crate) fn full() -> String {
    format!(
        "{} ({}, built {})",
        env!("CARGO_PKG_VERSION"),
        env!("MUSTER_REVISION"),
        built()
    )
}

/// The program as a manual page names it: `Muster 0.1.0`.
pub(crate) fn source() -> String {
    concat!("Muster ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// The day of the build.
pub(crate) fn built() -> String {
    let at = env!("MUSTER_BUILD_EPOCH")
        .parse()
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map_or_else(
        || "at an unknown time".to_owned(),
        |at| at.to_zoned(TimeZone::UTC).date().to_string(),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_names_a_revision_and_a_day() {
        let text = super::full();
        let rest = text
            .strip_prefix(concat!(env!("CARGO_PKG_VERSION"), " ("))
            .unwrap();
        let (revision, day) = rest
            .strip_suffix(')')
            .unwrap()
            .split_once(", built ")
            .unwrap();
        assert!(
            revision == "unknown" || revision.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{text}"
        );
        assert!(
            day.parse::<jiff::civil::Date>()
                .is_ok_and(|day| day.year() >= 2024),
            "{text}"
        );
    }
}
