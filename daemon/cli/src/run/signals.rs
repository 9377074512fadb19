//! Signals to `muster run`, which are meant for its command.

use rustix::process::{Pid, Signal, getpgid, getpgrp, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::{Cause, Origin};
use std::io;
use std::time::Duration;
use tokio::process::Child;
use tokio::sync::mpsc;

/// Those that are passed on.
const PASSED: [i32; 6] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];
/// Shells tell the end by signal n as exit code 128 + n, and so do we.
pub(super) const EXIT_BASE: i32 = 128;
/// The number of SIGHUP.
pub(super) const HANGUP: i32 = SIGHUP;
/// How many may wait to be passed on; the kernel itself keeps one of each kind.
const WAITING: usize = 16;

/// One signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    signal: i32,
    /// Whether the terminal sent it (or a process did, by its number).
    from_terminal: bool,
}

impl Arrived {
    fn of(origin: &Origin) -> Self {
        Self {
            signal: origin.signal,
            from_terminal: origin.cause == Cause::Kernel,
        }
    }

    /// Sends it to the child. What the terminal sends goes to all processes of its foreground
    /// group: a child that is still in ours has it already, and would take a second Ctrl-C for
    /// impatience.
    pub(super) fn pass_to(self, child: &Child) {
        // The child was not waited for yet, so that its pid is still its own.
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(self.signal)) else {
            return;
        };
        if !(self.from_terminal && getpgid(Some(pid)) == Ok(getpgrp())) {
            // It may have ended by itself a moment ago.
            let _ = kill_process(pid, signal);
        }
    }

    /// Whether it asks for the end.
    pub(super) fn ends(self) -> bool {
        matches!(self.signal, SIGTERM | SIGINT | SIGQUIT)
    }

    /// Whether it is SIGHUP: the end of the terminal, or a wish to have the configuration read
    /// again.
    pub(super) fn hangs_up(self) -> bool {
        self.signal == HANGUP
    }

    /// The exit code of a program that ended by it.
    pub(super) fn exit_code(self) -> u8 {
        u8::try_from(EXIT_BASE.saturating_add(self.signal)).unwrap_or(super::OWN_FAILURE)
    }
}

/// What arrives.
#[derive(Debug)]
pub(super) struct Signals {
    arriving: mpsc::Receiver<Arrived>,
}

impl Signals {
    /// From now on they do not end this process. Those that it was told to ignore (as by `nohup`)
    /// stay ignored, by the command too.
    pub(super) fn listen() -> io::Result<Self> {
        let ignored = ignored(&std::fs::read_to_string("/proc/self/status")?);
        let mut signals = SignalsInfo::<WithOrigin>::new(
            PASSED.iter().filter(|signal| !is_in(ignored, **signal)),
        )?;
        let (sender, arriving) = mpsc::channel(WAITING);
        // Who sent a signal is told by this iterator only, which blocks.
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for origin in &mut signals {
                    if sender.blocking_send(Arrived::of(&origin)).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self { arriving })
    }

    /// The next one. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Arrived {
        match self.arriving.recv().await {
            Some(arrived) => arrived,
            None => std::future::pending().await,
        }
    }

    /// The next one by which a program without handlers ends, while there is no command to pass it
    /// to.
    pub(super) async fn end(&mut self) -> Arrived {
        loop {
            let arrived = self.next().await;
            if arrived.ends() || arrived.hangs_up() {
                return arrived;
            }
        }
    }

    /// The same, if it comes in time.
    pub(super) async fn end_within(&mut self, time: Duration) -> Option<Arrived> {
        tokio::time::timeout(time, self.end()).await.ok()
    }
}

/// The mask of ignored signals in the text of `/proc/PID/status`.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

fn is_in(mask: u64, signal: i32) -> bool {
    u32::try_from(signal)
        .ok()
        .and_then(|signal| signal.checked_sub(1))
        .is_some_and(|bit| mask.checked_shr(bit).is_some_and(|mask| mask & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_their_mask() {
        let mask = ignored(
            "Name:\tmuster\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\tff\n",
        );
        assert!(
            is_in(mask, SIGHUP)
                && is_in(mask, 13)
                && !is_in(mask, SIGINT)
                && !is_in(mask, SIGTERM)
                && !is_in(mask, 0)
        );
        assert_eq!(ignored("nothing"), 0);
    }

    #[test]
    fn signals_end_with_their_code() {
        let arrived = |signal| Arrived {
            signal,
            from_terminal: false,
        };
        assert_eq!(
            (arrived(SIGTERM).exit_code(), arrived(SIGINT).exit_code()),
            (143, 130)
        );
        assert!(arrived(SIGQUIT).ends() && !arrived(SIGUSR1).ends() && !arrived(SIGHUP).ends());
    }
}
