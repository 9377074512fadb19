//! How registrations of this node end.

use super::ledger::Asked;
use super::own::Life;
use super::rows::RowKey;
use super::{Command, Output, Refusal, Registry, Reply, SessionId, Timer, may_change};
use crdt::registry::{Process, Reason, State};
use names::ProcessName;
use std::time::Duration;

/// How long a process that has ended is still registered, if somebody is to report how.
const REPORT: Duration = Duration::from_millis(250);
/// How long registrations of connections to an earlier start of this daemon wait to be made anew.
const ORPHANS: Duration = Duration::from_secs(10);

impl Registry {
    /// Ends a registration for good.
    pub(super) fn end(&mut self, name: &ProcessName, reason: Reason) {
        let Some(registered) = self.own.remove(name) else {
            return;
        };
        let process = registered.process;
        self.ledger.mark(RowKey::Entry(name.clone()));
        self.write_log(name.clone(), process, State::Gone(reason));
        self.unlink_all(name);
        if self.own.has(process) {
            return;
        }
        self.cancel_kill(process);
        self.resumed.remove(&process);
        if !registered.ended && !reason.is_end() {
            self.edge.put(Output::Unwatch(process).into());
        }
    }

    /// A process is not there any more. `was_there` says whether it still was when its watch began.
    pub(crate) fn ended(&mut self, process: Process, reason: Reason, was_there: bool) {
        let was_resumed = self.resumed.remove(&process);
        for name in self.own.names(process) {
            let Some(registered) = self.own.get_mut(&name) else {
                continue;
            };
            match registered.reported.filter(|_| reason == Reason::Exited) {
                // Of those that were gone at the start nobody hears at all: peers would take them
                // for alive meanwhile.
                None if registered.reports_exit
                    && reason == Reason::Exited
                    && (was_there || !was_resumed) =>
                {
                    registered.ended = true;
                    self.edge.after(REPORT, Timer::Report(name, process));
                }
                reported => self.end(&name, reported.unwrap_or(reason)),
            }
        }
    }

    /// Somebody tells how a process has ended, or will be seen to have.
    pub(super) fn report(
        &mut self,
        name: &ProcessName,
        reason: Reason,
        uid: u32,
    ) -> Result<Reply, Refusal> {
        let Some(registered) = self.own.get_mut(name) else {
            return Err(self.not_here(name));
        };
        may_change(name, registered, uid)?;
        if registered.reported.is_some() {
            return Err(Refusal::Reported(name.clone()));
        }
        registered.reported = Some(reason);
        if registered.ended {
            self.end(name, reason);
        }
        Ok(Reply::Done)
    }

    /// Nobody has told in time.
    pub(super) fn unreported(&mut self, name: &ProcessName, process: Process) {
        if self
            .own
            .of(name, process)
            .is_some_and(|registered| registered.ended)
        {
            self.end(name, Reason::Exited);
        }
    }

    /// A name whose process has ended is free for the next one, whether it was told how or not.
    pub(super) fn free_ended_names(&mut self, due: &[Asked]) {
        for asked in due {
            let Command::Register(registration) = &asked.command else {
                continue;
            };
            let ended = self
                .own
                .get(&registration.name)
                .is_some_and(|it| it.ended && it.process != registration.process);
            if ended {
                self.end(&registration.name, Reason::Exited);
            }
        }
    }

    /// A client's connection has closed.
    pub(crate) fn session_ended(&mut self, session: SessionId) {
        for name in self.own.session(session) {
            self.end(&name, Reason::Unregistered);
        }
        self.closed_sessions.insert(session, self.ledger.asked());
    }

    /// Whether a registration is bound to a connection that closed while it was written.
    pub(super) fn is_closed(&self, life: Life) -> bool {
        matches!(life, Life::Session(session) if self.closed_sessions.contains_key(&session))
    }

    /// Ends what was registered for a connection that closed before it was kept.
    pub(super) fn end_if_closed(&mut self, name: &ProcessName, life: Life) {
        if self.is_closed(life) {
            self.end(name, Reason::Unregistered);
        }
    }

    pub(super) fn await_orphans(&mut self) {
        if self
            .own
            .iter()
            .any(|(_, registered)| registered.life == Life::Orphan)
        {
            self.edge.after(ORPHANS, Timer::Orphans);
        }
    }

    pub(super) fn end_orphans(&mut self) {
        let orphans = self
            .own
            .iter()
            .filter(|(_, registered)| registered.life == Life::Orphan);
        for name in orphans.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.end(&name, Reason::Unregistered);
        }
    }
}
