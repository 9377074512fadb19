//! Names that people give: checked when they come in, trusted afterwards.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a name was refused, in words for its user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub(crate) String);

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
    fn names_of_other_characters_are_refused() {
        for text in ["", "-a", "a-", "A", "a.b", &"x".repeat(64)] {
            assert!(NodeName::new(text).is_err(), "{text:?}");
        }
        for text in ["", "-a", ".a", "a b", "a/b", "a@b", "é", &"x".repeat(129)] {
            assert!(ProcessName::new(text).is_err(), "{text:?}");
        }
        assert!(ProcessName::new("Web.1_a:b-c").is_ok());
    }
}
