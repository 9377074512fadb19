//! `muster run`: a command as a registered process, from its start to its end, and again if it
//! fails.
//!
//! The command is registered, and linked, before its first instruction (see [`launch`]): where the
//! name is taken nothing is run, and what it does first can already be found by its name. It shares
//! this process's terminal and process group, so that it reads what is typed and Ctrl-C and Ctrl-Z
//! reach it as without `muster run`.

mod launch;
mod registrar;
mod restart;
mod signals;

pub(crate) use launch::{WORD as LAUNCH, main as launched};
pub(crate) use restart::Restart;

use crate::args::{Global, Run};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use launch::{Executed, Held};
use registrar::Registrar;
use restart::Restarts;
use serde_json::json;
use signals::{Arrived, Signals};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};
use tokio::process::Child;

/// What kept the command from being run, unless it has a code of its own.
pub(super) const OWN_FAILURE: u8 = 125;

/// `muster run`: its exit code is the command's.
pub(crate) async fn run(global: &Global, output: &Output, args: &Run) -> ExitCode {
    let done = match Session::new(global, output) {
        Ok(session) => live(&session, args).await,
        Err(failure) => Err(failure),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.report(output);
            ExitCode::from(if is_final(&failure) {
                failure.code()
            } else {
                OWN_FAILURE
            })
        }
    }
}

/// Wrong usage, and a name that another process has: waiting makes neither better, and each keeps
/// its exit code.
fn is_final(failure: &Failure) -> bool {
    matches!(failure.code(), 2 | 4)
}

/// Starts the command until it need not be started again; gives its last exit code.
async fn live(session: &Session<'_>, args: &Run) -> Result<u8, Failure> {
    let mut runner = Runner {
        output: session.output,
        registrar: Registrar::new(session, args)?,
        signals: Signals::listen()?,
        args,
    };
    let mut restarts = args.restart.as_ref().map(Restarts::new);
    let mut code = None;
    loop {
        let begun = Instant::now();
        let outcome = runner.once().await;
        let Some(restarts) = &mut restarts else {
            return outcome.map(|outcome| outcome.code);
        };
        let (wait, why) = match outcome {
            Ok(outcome) if outcome.code == 0 || outcome.last => return Ok(outcome.code),
            Ok(outcome) => {
                code = Some(outcome.code);
                match restarts.after_failure(begun.elapsed(), Instant::now()) {
                    Some(wait) => (wait, outcome.words),
                    None => {
                        say(
                            session.output,
                            &format!(
                                "{} {} too often: it is not started \
                            again",
                                args.process, outcome.words
                            ),
                        );
                        return Ok(outcome.code);
                    }
                }
            }
            // It ran before: what stands against it now may pass, as a daemon that is away or a
            // process to be bound to.
            Err(failure) if code.is_some() && !is_final(&failure) => {
                (restarts.wait(), failure.words())
            }
            Err(failure) => return Err(failure),
        };
        say(
            session.output,
            &format!("{}: {why}; it is started again in {wait:?}", args.process),
        );
        if let Some(signal) = runner.signals.end_within(wait).await {
            return Ok(code.unwrap_or(signal.exit_code()));
        }
    }
}

/// On standard error; the output belongs to the command.
fn say(output: &Output, words: &str) {
    output.problem(
        words,
        || json!({ "type": "/problems/run", "title": "Not running", "detail": words }),
    );
}

struct Runner<'a> {
    output: &'a Output,
    registrar: Registrar<'a>,
    signals: Signals,
    args: &'a Run,
}

/// What became of one start.
struct Outcome {
    /// The exit code for whoever called.
    code: u8,
    /// The same in words.
    words: String,
    /// Whether it must not be started again: it was told to end, or cannot be executed.
    last: bool,
}

impl Runner<'_> {
    /// Registers, starts and tends one process of the command.
    async fn once(&mut self) -> Result<Outcome, Failure> {
        let started = tokio::select! {
            started = start(&mut self.registrar, self.args) => started?,
            signal = self.signals.end() => return Ok(interrupted(&signal)),
        };
        let (mut child, refused) = match started {
            Executed::Running(child) => (child, None),
            Executed::Refused(child, error) => (child, Some(error)),
        };
        let (status, told) = self.tend(&mut child, refused.is_none()).await?;
        self.registrar.report(status).await;
        let mut outcome = outcome(status);
        outcome.last = told;
        if let Some(error) = refused {
            let command = self
                .args
                .command
                .first()
                .map(|command| command.to_string_lossy())
                .unwrap_or_default();
            say(self.output, &format!("cannot execute {command}: {error}"));
            outcome.last = true;
        }
        Ok(outcome)
    }

    /// Waits for the end of the child and passes signals on; says whether it was told to end.
    async fn tend(
        &mut self,
        child: &mut Child,
        refresh: bool,
    ) -> Result<(ExitStatus, bool), Failure> {
        let pid = child.id();
        let (mut told, mut hung_up) = (false, false);
        let registrar = &self.registrar;
        let mut refreshed = std::pin::pin!(async {
            if let Some(pid) = pid.filter(|_| refresh) {
                registrar.refresh(pid).await;
            }
            std::future::pending::<()>().await;
        });
        loop {
            tokio::select! {
                biased;
                status = child.wait() => {
                    let status = status?;
                    return Ok((status, told || (hung_up && status.signal() == Some(signals::HANGUP))));
                }
                arrived = self.signals.next() => {
                    arrived.pass_to(child);
                    told |= arrived.ends();
                    hung_up |= arrived.hangs_up();
                }
                () = &mut refreshed => {}
            }
        }
    }
}

/// Forks, registers what will be the command, links it, and lets it be executed.
async fn start(registrar: &mut Registrar<'_>, args: &Run) -> Result<Executed, Failure> {
    let held = Held::fork(&args.command).await?;
    registrar.register(held.pid()).await?;
    registrar.bind().await?;
    held.execute().await
}

fn interrupted(signal: &Arrived) -> Outcome {
    Outcome {
        code: signal.exit_code(),
        words: "was interrupted before it \
        began"
            .to_owned(),
        last: true,
    }
}

fn outcome(status: ExitStatus) -> Outcome {
    let (code, words) = match (status.code(), status.signal()) {
        (Some(code), _) => (code, format!("exited with code {code}")),
        (None, Some(signal)) => (
            signals::EXIT_BASE.saturating_add(signal),
            format!("was ended by signal {signal}"),
        ),
        (None, None) => (i32::from(OWN_FAILURE), "ended".to_owned()),
    };
    Outcome {
        code: u8::try_from(code).unwrap_or(OWN_FAILURE),
        words,
        last: false,
    }
}

/// How long the daemon may take to hear how the command ended: it waits for it no longer than 250
/// ms itself, but may just be starting again.
const REPORT_LIMIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_commands() {
        let code = |raw| outcome(ExitStatus::from_raw(raw)).code;
        assert_eq!(
            [
                code(0),
                code(3 << 8),
                code(255 << 8),
                code(9),
                code(15),
                code(64)
            ],
            [0, 3, 255, 137, 143, 192]
        );
    }
}
