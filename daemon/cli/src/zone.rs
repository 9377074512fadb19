//! Where the user is: the zone in which times are shown, and what the API is told of it, so that what
//! is shown on a day is what is found on it.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use std::path::Path;

/// The zone of a host without `TZ`.
const LOCALTIME: &str = "/etc/localtime";

/// The user's zone and its name in the API: that of the IANA, or where a host does not know it (`TZ`
/// has rules, `/etc/localtime` is a copy) the rules of POSIX. Both sides then go by these.
pub(crate) fn of_user() -> (TimeZone, String) {
    let system = TimeZone::system();
    if let Some(name) = system.iana_name() {
        let name = name.to_owned();
        return (system, name);
    }
    let var = std::env::var("TZ").unwrap_or_default();
    let var = var.strip_prefix(':').unwrap_or(&var);
    let rules = by_rules(var).or_else(|| {
        let file = if var.is_empty() { LOCALTIME } else { var };
        by_rules(&last_rules(&std::fs::read(Path::new(file)).ok()?)?)
    });
    rules.unwrap_or_else(|| fixed(system.to_offset(Timestamp::now())))
}

fn by_rules(rules: &str) -> Option<(TimeZone, String)> {
    let zone = TimeZone::posix(rules).ok()?;
    Some((zone, rules.to_owned()))
}

/// What a file of a zone says of the time after its last transition (RFC 9636, section 3.3): a line of
/// rules at its end.
fn last_rules(file: &[u8]) -> Option<String> {
    if !file.starts_with(b"TZif") {
        return None;
    }
    let line = file
        .strip_suffix(b"\n")?
        .rsplit(|byte| *byte == b'\n')
        .next()?;
    String::from_utf8(line.to_vec()).ok()
}

fn fixed(offset: Offset) -> (TimeZone, String) {
    // POSIX counts westwards.
    let west = -offset.seconds();
    let sign = if west < 0 { "-" } else { "" };
    let (hours, minutes) = (west.abs() / 3600, west.abs() / 60 % 60);
    let rules = format!("<local>{sign}{hours}:{minutes:02}");
    (TimeZone::fixed(offset), rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_zone_file_has_its_rules_at_its_end() {
        let file = b"TZif2\0\0\nanything\nCET-1CEST,M3.5.0,M10.5.0/3\n";
        let rules = last_rules(file).unwrap();
        let (zone, name) = by_rules(&rules).unwrap();
        assert_eq!(name, "CET-1CEST,M3.5.0,M10.5.0/3");
        let summer = "2026-07-01T12:00:00Z".parse().unwrap();
        assert_eq!(zone.to_offset(summer), jiff::tz::offset(2));
        assert_eq!(last_rules(b"no zone\nUTC0\n"), None);
        assert!(by_rules(&last_rules(b"TZif1\n\n").unwrap()).is_none());
    }

    #[test]
    fn an_offset_alone_is_a_rule_too() {
        for seconds in [0, 19_800, -12_600] {
            let offset = Offset::from_seconds(seconds).unwrap();
            let (_, rules) = fixed(offset);
            let zone = TimeZone::posix(&rules).unwrap();
            assert_eq!(zone.to_offset(Timestamp::UNIX_EPOCH), offset, "{rules}");
        }
    }
}
