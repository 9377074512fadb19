//! The text that names one registration.

use crate::{NodeName, ProcessName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One registration as people and programs write it: `name@node#pid.start`, the same on every node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Handle {
    /// The name under which the process is registered.
    pub name: ProcessName,
    /// The node that it runs on.
    pub node: NodeName,
    /// Its process id there.
    pub pid: u32,
    /// When it started, in clock ticks since its host's boot.
    pub start: u64,
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}#{}.{}", self.name, self.node, self.pid, self.start)
    }
}

/// A text that is no handle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no handle: name@node#pid.start is one")]
pub struct HandleError(String);

impl FromStr for Handle {
    type Err = HandleError;

    fn from_str(text: &str) -> Result<Self, HandleError> {
        let parsed = || {
            let (name, rest) = text.split_once('@')?;
            let (node, process) = rest.split_once('#')?;
            let (pid, start) = process.split_once('.')?;
            let (name, node) = (ProcessName::new(name).ok()?, NodeName::new(node).ok()?);
            Some(Self {
                name,
                node,
                pid: pid.parse().ok()?,
                start: start.parse().ok()?,
            })
        };
        parsed().ok_or_else(|| HandleError(text.to_owned()))
    }
}

impl TryFrom<String> for Handle {
    type Error = HandleError;

    fn try_from(text: String) -> Result<Self, HandleError> {
        text.parse()
    }
}

impl From<Handle> for String {
    fn from(handle: Handle) -> Self {
        handle.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_as_it_was_written() {
        let text = "web:1@node1#4711.889123";
        assert_eq!(
            text.parse::<Handle>().map(|handle| handle.to_string()),
            Ok(text.to_owned())
        );
        for bad in [
            "web",
            "web@node1",
            "web@node1#47",
            "web@node1#x.1",
            "@node1#1.2",
            "web@NODE#1.2",
        ] {
            assert!(bad.parse::<Handle>().is_err(), "{bad}");
        }
    }
}
