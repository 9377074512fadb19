//! Content lines of RFC 5545 (section 3.1): unfolded when read, folded when written.
//!
//! Programs end lines with LF alone too, and some leave blank lines: both are read.

/// The most octets of a line that is written, without its end.
const MAX_OCTETS: usize = 75;

/// A line with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins, from 1.
    pub(super) number: usize,
    /// In capital letters.
    pub(super) name: String,
    params: Vec<(String, String)>,
    /// As it is written, with its escapes.
    pub(super) value: String,
}

impl Line {
    /// The value of a parameter, by its name in capital letters.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        let mut found = self.params.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

/// The lines of a text; of one that is none, its number.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Result<Line, usize>> {
    let mut unfolded: Vec<(usize, String)> = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), unfolded.last_mut()) {
            (Some(rest), Some((_, last))) => last.push_str(rest),
            (Some(_), None) | (None, _) => unfolded.push((number + 1, line.to_owned())),
        }
    }
    let lines = unfolded
        .into_iter()
        .filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| parse(number, &line).ok_or(number))
}

/// `NAME;PARAM=value;PARAM="quoted":value`.
fn parse(number: usize, line: &str) -> Option<Line> {
    let end = line.find([';', ':'])?;
    let name = line.get(..end)?.to_ascii_uppercase();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    let mut rest = line.get(end..)?;
    let mut params = Vec::new();
    while let Some(param) = rest.strip_prefix(';') {
        let (key, after) = param.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find([';', ':'])?),
        };
        params.push((key.to_ascii_uppercase(), value.to_owned()));
        // Several values of one parameter: the first one is enough.
        rest = after.get(after.find([';', ':'])?..)?;
    }
    Some(Line {
        number,
        name,
        params,
        value: rest.strip_prefix(':')?.to_owned(),
    })
}

/// A text without its escapes (section 3.3.11).
pub(super) fn unescaped(value: &str) -> String {
    let (mut text, mut chars) = (String::with_capacity(value.len()), value.chars());
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 'N') => text.push('\n'),
            Some(escaped) => text.push(escaped),
            None => text.push(c),
        }
    }
    text
}

/// The texts of a list of them, without their escapes.
pub(super) fn texts(value: &str) -> Vec<String> {
    let (mut all, mut one, mut is_escaped) = (Vec::new(), String::new(), false);
    for c in value.chars() {
        if c == ',' && !is_escaped {
            all.push(unescaped(&std::mem::take(&mut one)));
        } else {
            one.push(c);
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    all.push(unescaped(&one));
    all
}

/// A text with its escapes.
pub(super) fn escaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => value.extend(['\\', c]),
            '\n' => value.push_str("\\n"),
            _ => value.push(c),
        }
    }
    value
}

/// Writes a line, folded where it is longer than lines may be, never within a character.
pub(super) fn write(out: &mut String, line: &str) {
    let mut octets = 0;
    for c in line.chars() {
        if octets + c.len_utf8() > MAX_OCTETS {
            out.push_str("\r\n ");
            octets = 1;
        }
        out.push(c);
        octets += c.len_utf8();
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Line {
        lines(text).next().unwrap().unwrap()
    }

    #[test]
    fn a_line_has_a_name_parameters_and_a_value() {
        let line = one("due;value=DATE-TIME;TZID=\"Pacific; Time: US\";X=a,\"b\":2026;x:y");
        assert_eq!(
            (line.name.as_str(), line.value.as_str()),
            ("DUE", "2026;x:y")
        );
        assert_eq!(line.param("TZID"), Some("Pacific; Time: US"));
        assert_eq!(
            (line.param("VALUE"), line.param("Y")),
            (Some("DATE-TIME"), None)
        );
        for wrong in [
            "SUMMARY",
            ":x",
            "SUM MARY:x",
            "DUE;TZID:x",
            "DUE;TZID=\"x:y",
        ] {
            assert_eq!(lines(wrong).next(), Some(Err(1)), "{wrong}");
        }
    }

    #[test]
    fn lines_are_unfolded_whatever_ends_them() {
        for text in ["A:b\r\n c\r\n\td\r\nE:f\r\n", "A:b\n c\n\td\n\nE:f"] {
            let found: Vec<Line> = lines(text).map(Result::unwrap).collect();
            assert_eq!(
                (found[0].value.as_str(), found[1].value.as_str()),
                ("bcd", "f")
            );
            assert!(found[1].number >= 4);
        }
    }

    proptest! {
        #[test]
        fn a_text_comes_back(texts_in in prop::collection::vec("[^\\r]*", 1..4)) {
            let value = texts_in.iter().map(|text| escaped(text)).collect::<Vec<_>>().join(",");
            let mut out = String::new();
            write(&mut out, &format!("CATEGORIES:{value}"));
            prop_assert!(out.split("\r\n").all(|line| line.len() <= MAX_OCTETS));
            prop_assert_eq!(texts(&one(&out).value), texts_in);
        }
    }
}
