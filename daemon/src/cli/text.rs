//! Text of others on this user's terminal.

use jiff::tz::TimeZone;

/// The text on one line: control, format and bidi characters, which other replicas may hold, as
/// `\u{1b}`. They could forge a line, hide text or drive the terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if names::is_unprintable(c) {
            safe.extend(c.escape_unicode())
        } else {
            safe.push(c)
        }
    }
    safe
}

/// The same for words that may have several lines, such as a daemon's advice.
pub(crate) fn printable_lines(text: &str) -> String {
    text.lines()
        .map(printable)
        .collect::<Vec<String>>()
        .join("\n")
}

/// The time of day of an RFC 3339 time, in the user's zone; what cannot be read comes back as it
/// is.
pub(crate) fn local_time(text: &str, zone: &TimeZone) -> String {
    local(text, zone, "%H:%M:%S")
}

/// Day and time, in the user's zone.
pub(crate) fn local_date_time(text: &str, zone: &TimeZone) -> String {
    local(text, zone, "%Y-%m-%d %H:%M:%S")
}

/// A due date as it is, a due instant to the minute in the user's zone.
pub(crate) fn local_due(text: &str, zone: &TimeZone) -> String {
    local(text, zone, "%Y-%m-%d %H:%M")
}

fn local(text: &str, zone: &TimeZone, format: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(instant) => instant.to_zoned(zone.clone()).strftime(format).to_string(),
        Err(_) => printable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_drive_a_terminal_are_spelled_out() {
        assert_eq!(
            printable("a\u{1b}[31mb\n\u{202e}c é 日"),
            "a\\u{1b}[31mb\\u{a}\\u{202e}c é 日"
        );
        assert_eq!(printable_lines("a\nb\u{7}"), "a\nb\\u{7}");
    }

    #[test]
    fn times_are_shown_where_the_user_is() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(local_time("2026-10-01T10:01:07.25Z", &zone), "12:01:07");
        assert_eq!(local_due("2026-10-01T22:30:00Z", &zone), "2026-10-02 00:30");
        assert_eq!(local_due("2026-10-01", &zone), "2026-10-01");
    }
}
