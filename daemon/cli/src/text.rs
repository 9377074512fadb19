//! Text of others on this user's terminal.

use jiff::tz::TimeZone;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::str::Chars;

/// The text on one line: control, format and bidi characters, which other replicas may hold, as
/// `\u{1b}`. They could forge a line, hide text or drive the terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for (c, is_unprintable) in names::with_unprintable(text) {
        if is_unprintable {
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

/// The same JSON with all that could drive a terminal, hide text or turn its order as `\u009b`:
/// serde_json writes all but the ASCII control characters as they are.
pub(crate) fn harmless_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for (c, is_unprintable) in names::with_unprintable(json) {
        if !is_unprintable {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            safe.push_str(&format!("\\u{unit:04x}"));
        }
    }
    safe
}

/// An RFC 3339 time in the user's zone, in the one form that people read at any later time:
/// `2026-10-01 12:01:07 +02:00`. What cannot be read comes back as it is.
pub(crate) fn local_time(text: &str, zone: &TimeZone) -> String {
    local(text, zone, "%Y-%m-%d %H:%M:%S %:z")
}

/// The time of day alone, for a screen that is looked at as it changes.
pub(crate) fn time_of_day(text: &str, zone: &TimeZone) -> String {
    local(text, zone, "%H:%M:%S")
}

/// The day alone.
pub(crate) fn local_day(text: &str, zone: &TimeZone) -> String {
    local(text, zone, "%Y-%m-%d")
}

/// A due date as it is, a due instant to the minute in the user's zone.
pub(crate) fn local_due(text: &str, zone: &TimeZone) -> String {
    local(text, zone, "%Y-%m-%d %H:%M")
}

/// A due date as it is, a due instant as RFC 3339 with the offset of the user's zone.
pub(crate) fn instant_here(text: &str, zone: &TimeZone) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(instant) => instant
            .display_with_offset(zone.to_offset(instant))
            .to_string(),
        Err(_) => printable(text),
    }
}

fn local(text: &str, zone: &TimeZone, format: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(instant) => instant.to_zoned(zone.clone()).strftime(format).to_string(),
        Err(_) => printable(text),
    }
}

/// Compares names as people read them: node2 before node10, and Zoe not before alice.
pub(crate) fn by_name(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.chars().peekable(), b.chars().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some(one), Some(other)) if one.is_ascii_digit() && other.is_ascii_digit() => {
                let (one, other) = (number(&mut left), number(&mut right));
                one.len().cmp(&other.len()).then(one.cmp(&other))
            }
            (Some(_), Some(_)) => {
                let folded = |c: Option<char>| c.into_iter().flat_map(char::to_lowercase);
                folded(left.next()).cmp(folded(right.next()))
            }
            (None, None) => return a.cmp(b),
            (one, other) => one.cmp(&other),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes the digits of a number, without leading zeros: of two, the longer one is larger.
fn number(text: &mut Peekable<Chars<'_>>) -> String {
    let mut digits = String::new();
    while let Some(digit) = text.next_if(char::is_ascii_digit) {
        if digit != '0' || !digits.is_empty() {
            digits.push(digit);
        }
    }
    digits
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
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        assert_eq!(printable(family), family);
        assert_eq!(printable_lines("a\nb\u{7}"), "a\nb\\u{7}");
    }

    #[test]
    fn json_for_a_terminal_drives_none_and_is_the_same_json() {
        let value = serde_json::json!({ "title": "a\u{9b}31mb\u{202e}c\u{e0041} é \"日\"\n" });
        let written = harmless_json(&value.to_string());
        assert_eq!(
            written,
            "{\"title\":\"a\\u009b31mb\\u202ec\\udb40\\udc41 é \\\"日\\\"\\n\"}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&written).unwrap(),
            value
        );
    }

    #[test]
    fn times_are_shown_where_the_user_is() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let at = "2026-10-01T22:01:07.25Z";
        assert_eq!(local_time(at, &zone), "2026-10-02 00:01:07 +02:00");
        assert_eq!(time_of_day(at, &zone), "00:01:07");
        assert_eq!(local_day(at, &zone), "2026-10-02");
        let west = TimeZone::fixed(jiff::tz::Offset::from_seconds(-12_600).unwrap());
        assert_eq!(local_time(at, &west), "2026-10-01 18:31:07 -03:30");
        assert_eq!(local_time(at, &TimeZone::UTC), "2026-10-01 22:01:07 +00:00");
        assert_eq!(local_due("2026-10-01T22:30:00Z", &zone), "2026-10-02 00:30");
        assert_eq!(local_due("2026-10-01", &zone), "2026-10-01");
        assert_eq!(
            instant_here("2026-10-01T22:30:00.000Z", &zone),
            "2026-10-02T00:30:00+02:00"
        );
        assert_eq!(instant_here("2026-10-01", &zone), "2026-10-01");
    }

    #[test]
    fn names_stand_in_the_order_in_which_people_read_them() {
        let order = [
            "", "7", "10", "a", "node", "node1", "node02", "node2", "node2b", "node10", "node10.1",
            "Zoe", "zoe", "é",
        ];
        for (at, name) in order.iter().enumerate() {
            for (other_at, other) in order.iter().enumerate() {
                assert_eq!(
                    by_name(name, other),
                    at.cmp(&other_at),
                    "{name:?} {other:?}"
                );
            }
        }
    }
}
