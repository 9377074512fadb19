//! What can become of a call.

use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Why a call has no answer, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at the socket; nothing was sent.
    #[error("{}: {source}", socket.display())]
    Unreachable {
        /// Where it was tried.
        socket: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The node refused. What was changed is told by the problem; usually nothing.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// No answer came in time. A write may have been made or not.
    #[error("the daemon did not answer within {0:?}")]
    Timeout(Duration),
    /// The connection broke before the answer was complete. A write may have been made or not.
    #[error("the connection to the daemon broke: {0}")]
    Broken(String),
    /// The answer is not what the API promises.
    #[error("the daemon's answer cannot be understood: {0}")]
    Answer(String),
}

/// A refusal, as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// `/problems/<slug>`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The kind in words.
    #[serde(default)]
    pub title: String,
    /// The status of the answer.
    #[serde(default)]
    pub status: u16,
    /// What is wrong here, and what would be right.
    #[serde(default)]
    pub detail: String,
    /// All that was answered.
    #[serde(skip)]
    pub raw: Value,
}

impl Problem {
    /// Reads an answer with an error status; whatever it holds, a problem comes out.
    pub(super) fn read(status: u16, bytes: &[u8]) -> Self {
        let raw: Value = serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()));
        let mut problem = Self::deserialize(&raw).unwrap_or_else(|_| Self {
            kind: String::new(),
            title: String::new(),
            status,
            detail: raw.as_str().unwrap_or_default().trim().to_owned(),
            raw: Value::Null,
        });
        problem.status = status;
        problem.raw = raw;
        problem
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.title.is_empty(), self.detail.is_empty()) {
            (_, false) => f.write_str(&self.detail),
            (false, true) => f.write_str(&self.title),
            (true, true) => write!(f, "the daemon answered {}", self.status),
        }
    }
}
