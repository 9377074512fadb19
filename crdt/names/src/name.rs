//! Names that people give: checked when they come in, trusted afterwards.

use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// Why a name was refused, in words for its user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

/// A list's name: Unicode in normal form C, 1–200 bytes, one line, no `/`, not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListName(String);

impl ListName {
    /// The longest name, in bytes of its normal form.
    pub const MAX_BYTES: usize = 200;

    /// Normalises and checks a name as a person typed it.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let name: String = text.nfc().collect();
        let refuse = |why: &str| Err(NameError(format!("the list name {text:?} {why}")));
        if name.is_empty() || name.len() > Self::MAX_BYTES {
            return refuse(&format!(
                "has {} bytes; 1 to {} are allowed",
                name.len(),
                Self::MAX_BYTES
            ));
        }
        if name == "." || name == ".." || name.contains('/') {
            return refuse("is a path: \"/\", \".\" and \"..\" are not allowed");
        }
        if name.trim() != name {
            return refuse("begins or ends with white space");
        }
        if let Some(bad) = name.chars().find(|c| is_unprintable(*c)) {
            return refuse(&format!(
                "has the control or format character {}",
                bad.escape_unicode()
            ));
        }
        Ok(Self(name))
    }

    /// The name in normal form C.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control and format characters (general categories Cc, Cf, Zl, Zp), which can hide or reorder a
/// text.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

/// Each character of a text for people, and whether it is unprintable where it stands: the joiners
/// U+200C and U+200D are printable between two others, since several scripts and the emoji of
/// families and professions are written with them (Unicode, section 23.2). At an edge, beside white
/// space or in a row they would only hide that two texts differ.
pub fn with_unprintable(text: &str) -> impl Iterator<Item = (char, bool)> {
    let mut before = None;
    let mut rest = text.chars().peekable();
    std::iter::from_fn(move || {
        let c = rest.next()?;
        let joins = is_joiner(c) && is_joined(before) && is_joined(rest.peek().copied());
        before = Some(c);
        Some((c, is_unprintable(c) && !joins))
    })
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

fn is_joined(neighbour: Option<char>) -> bool {
    neighbour.is_some_and(|c| !c.is_whitespace() && !is_unprintable(c))
}

impl TryFrom<String> for ListName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<ListName> for String {
    fn from(name: ListName) -> Self {
        name.0
    }
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node's name, unique in its cluster: `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

impl NodeName {
    /// Checks a name; it becomes a label of a DNS name in the node's certificate.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let inner = text.bytes().all(|c| alphanumeric(c) || c == b'-');
        let ends = text.bytes().next().is_some_and(alphanumeric)
            && text.bytes().last().is_some_and(alphanumeric);
        if inner && ends && text.len() <= 63 {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError(format!(
            "the node name {text:?} is not 1 to 63 of a-z, 0-9 and inner \"-\""
        )))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NodeName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a process or of a group of processes: `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProcessName(String);

impl ProcessName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Checks a name as a program gave it.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let begins = text
            .bytes()
            .next()
            .is_some_and(|c| c.is_ascii_alphanumeric());
        let inner = text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"._:-".contains(&c));
        if begins && inner && text.len() <= Self::MAX_BYTES {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError(format!(
            "the name {text:?} must begin with a letter or digit; up to 127 letters, digits, \
            \".\", \"_\", \":\" or \"-\" may follow"
        )))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProcessName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<ProcessName> for String {
    fn from(name: ProcessName) -> Self {
        name.0
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ways_to_type_a_letter_are_one_name() {
        assert_eq!(ListName::new("cafe\u{301}"), ListName::new("café"));
    }

    #[test]
    fn joiners_are_printable_between_what_they_join() {
        let hidden = |text: &str| with_unprintable(text).any(|(_, hidden)| hidden);
        for text in [
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308} flag",
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{915}\u{94d}\u{200d}\u{937}",
        ] {
            assert!(!hidden(text), "{text:?}");
        }
        for text in [
            "\u{200d}a",
            "a\u{200c}",
            "a \u{200d}b",
            "a\u{200d}\nb",
            "a\u{200d}\u{200d}b",
            "a\u{200b}b",
            "a\u{202e}b",
        ] {
            assert!(hidden(text), "{text:?}");
        }
    }

    #[test]
    fn names_that_could_mislead_are_refused() {
        for text in [
            "",
            ".",
            "..",
            "a/b",
            " a",
            "a ",
            "a\nb",
            "a\u{202e}b",
            "a\u{2028}b",
            &"x".repeat(201),
        ] {
            assert!(ListName::new(text).is_err(), "{text:?}");
        }
        for text in ["", "-a", "a-", "A", "a.b", &"x".repeat(64)] {
            assert!(NodeName::new(text).is_err(), "{text:?}");
        }
        for text in ["", "-a", ".a", "a b", "a/b", "a@b", "é", &"x".repeat(129)] {
            assert!(ProcessName::new(text).is_err(), "{text:?}");
        }
        assert!(ProcessName::new("Web.1_a:b-c").is_ok());
    }
}
