//! Asking before much is deleted.

use crate::failure::Failure;
use crate::session::Session;
use std::io::{BufRead, IsTerminal, Write};

/// Asks whoever sits at a terminal whether that shall be done; scripts have decided already.
///
/// # Errors
/// It shall not.
pub(crate) fn confirm(session: &Session<'_>, is_sure: bool, what: &str) -> Result<(), Failure> {
    let (input, errors) = (std::io::stdin(), std::io::stderr());
    let asks = session.output.is_for_people() && input.is_terminal() && errors.is_terminal();
    if is_sure || !asks {
        return Ok(());
    }
    let mut answer = String::new();
    // Where nobody can be asked, the answer is no.
    let _ = write!(errors.lock(), "{what}? [y/N] ");
    let _ = input.lock().read_line(&mut answer);
    if is_yes(&answer) {
        return Ok(());
    }
    Err(Failure::Failed("nothing was changed".to_owned()))
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (answer, yes) in [
            ("y\n", true),
            ("Yes\n", true),
            ("\n", false),
            ("", false),
            ("no\n", false),
        ] {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
