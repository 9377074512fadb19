//! How a command can fail, and the exit code for each way.

use crate::output::Output;
use client::Problem;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Why a command was not done, in words for its user.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It makes no sense as it was typed: 2.
    Usage(String),
    /// What it names is not there: 3.
    NotFound(String),
    /// Something stands against it: 4.
    Conflict(String),
    /// It took too long: 5.
    Timeout(String),
    /// No daemon answers: 6.
    Unreachable(String),
    /// Anything else: 1.
    Failed(String),
    /// The daemon refused; the code follows from the status.
    Problem(Box<Problem>),
    /// Whoever read the output has seen enough: 0 and no words, as in `muster lists | head`.
    OutputClosed,
}

impl Failure {
    /// Writes it to standard error, as a problem (RFC 9457) where JSON is wanted, and says how to
    /// exit.
    pub(crate) fn report(&self, output: &Output) -> ExitCode {
        if matches!(self, Self::OutputClosed) {
            return ExitCode::SUCCESS;
        }
        output.problem(&self.words(), || self.as_problem());
        ExitCode::from(self.code())
    }

    /// A problem as the API answered it; one of the same form for what no daemon has said, without
    /// the status of an answer.
    fn as_problem(&self) -> Value {
        if let Self::Problem(problem) = self
            && problem.raw.is_object()
        {
            return problem.raw.clone();
        }
        let (slug, title) = match self.code() {
            2 => ("usage", "Wrong usage"),
            3 => ("not-found", "Not found"),
            4 => ("conflict", "Conflict"),
            5 => ("timeout", "Timeout"),
            6 => ("unreachable", "The daemon is not reachable"),
            _ => ("failed", "Failed"),
        };
        json!({ "type": format!("/problems/{slug}"), "title": title, "detail": self.words() })
    }

    /// In words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Usage(words)
            | Self::NotFound(words)
            | Self::Conflict(words)
            | Self::Timeout(words)
            | Self::Unreachable(words)
            | Self::Failed(words) => words.clone(),
            Self::Problem(problem) => problem.to_string(),
            Self::OutputClosed => "nobody reads the output".to_owned(),
        }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Conflict(_) => 4,
            Self::Timeout(_) => 5,
            Self::Unreachable(_) => 6,
            Self::Problem(problem) => match problem.status {
                400 | 422 => 2,
                404 => 3,
                409 | 412 => 4,
                504 => 5,
                _ => 1,
            },
        }
    }

    /// The words and code of a failure that another process of this program met.
    pub(crate) fn with_code(code: u8, words: String) -> Self {
        match code {
            2 => Self::Usage(words),
            3 => Self::NotFound(words),
            4 => Self::Conflict(words),
            5 => Self::Timeout(words),
            6 => Self::Unreachable(words),
            _ => Self::Failed(words),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_exits_as_its_status_says() {
        let code = |status| {
            let problem = Problem {
                kind: String::new(),
                title: String::new(),
                status,
                detail: String::new(),
                raw: serde_json::Value::Null,
            };
            Failure::Problem(Box::new(problem)).code()
        };
        let codes: Vec<u8> = [400, 422, 404, 409, 412, 504, 403, 500, 503]
            .into_iter()
            .map(code)
            .collect();
        assert_eq!(codes, [2, 2, 3, 4, 4, 5, 1, 1, 1]);
    }

    #[test]
    fn each_failure_is_a_problem_in_json() {
        let raw = json!({"type": "/problems/no-such-list", "status": 404, "detail": "no list x"});
        let problem = |raw: &Value| {
            let problem = Problem {
                kind: String::new(),
                title: String::new(),
                status: 404,
                detail: "no list x".to_owned(),
                raw: raw.clone(),
            };
            Failure::Problem(Box::new(problem)).as_problem()
        };
        assert_eq!(problem(&raw), raw);
        // An answer that is no JSON comes from something between here and the daemon.
        assert_eq!(problem(&json!("<html>"))["title"], "Not found");
        let local: Vec<Value> = (1..=6)
            .map(|code| Failure::with_code(code, "why".to_owned()).as_problem())
            .collect();
        for problem in &local {
            assert_eq!(problem["detail"], "why");
        }
        assert_eq!(local[5]["type"], "/problems/unreachable");
    }

    #[test]
    fn a_code_and_its_failure_are_one() {
        assert!((1..=6).all(|code| Failure::with_code(code, String::new()).code() == code));
    }
}
