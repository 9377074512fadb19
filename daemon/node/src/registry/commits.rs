//! What clients asked, from the disk to the log: judged, kept, and only then carried out and
//! answered.

use super::draft::{Draft, Judgement};
use super::ledger::{Act, Occasion, Step};
use super::own::Registered;
use super::rows::{self, RowKey};
use super::{Output, Refusal, Registry};
use crate::belief::next_claim;
use crate::wire::{WriteError, WriteId};
use crdt::registry::{Process, Reason, Shift, State};
use names::ProcessName;
use std::sync::Arc;

impl Registry {
    pub(crate) fn kept(&mut self, id: WriteId, result: Result<(), WriteError>) {
        let Some(steps) = self.ledger.landed(&mut self.edge, id, result.is_ok()) else {
            return;
        };
        match result {
            Ok(()) => {
                if self.ledger.recovered() {
                    self.own
                        .iter()
                        .for_each(|(name, _)| self.ledger.mark(RowKey::Entry(name.clone())));
                    self.links.iter().for_each(|(name, other)| {
                        self.ledger.mark(RowKey::Link(name.clone(), other.clone()))
                    });
                }
                self.commit(steps);
            }
            Err(error) => steps
                .into_iter()
                .for_each(|step| self.reply(step.request, Err(Refusal::Write(error)))),
        }
    }

    /// Judges what was asked meanwhile, and writes what of it is to be kept.
    pub(super) fn judge_requests(&mut self) {
        while self.ledger.wants_write() {
            let due = self.ledger.due();
            self.free_ended_names(&due);
            let mut draft = Draft::new(self, self.edge.now.wall);
            let (mut steps, mut refused, mut deferred) = (Vec::new(), Vec::new(), Vec::new());
            for asked in due {
                match draft.judge(asked) {
                    Judgement::Carry(step) => steps.push(step),
                    Judgement::Refuse(request, refusal) => refused.push((request, refusal)),
                    Judgement::Defer(asked) => deferred.push(asked),
                }
            }
            let (clock, rows) = (draft.clock, draft.rows);
            self.clock = clock;
            for (request, refusal) in refused {
                self.reply(request, Err(refusal));
            }
            self.ledger.defer(deferred);
            let (own, links) = (&self.own, &self.links);
            let current = |key: &RowKey| match key {
                RowKey::Entry(name) => own.get(name).and_then(rows::entry_row),
                RowKey::Link(name, other) => links.get(name, other).and_then(rows::link_row),
            };
            if let Some(steps) = self.ledger.write(&mut self.edge, steps, rows, current) {
                self.commit(steps);
            }
        }
        let waiting = self.ledger.first_waiting();
        self.closed_sessions
            .retain(|_, asked| waiting.is_some_and(|first| first <= *asked));
    }

    /// Carries out what is kept now, then answers.
    fn commit(&mut self, steps: Vec<Step>) {
        let mut replies = Vec::new();
        for Step {
            request,
            reply,
            act,
            ..
        } in steps
        {
            let refused = self.carry_out(act).err();
            replies.push((request, refused.map_or(Ok(reply), Err)));
        }
        replies
            .into_iter()
            .for_each(|(request, reply)| self.reply(request, reply));
    }

    fn carry_out(&mut self, act: Act) -> Result<(), Refusal> {
        match act {
            Act::Nothing => {}
            Act::Put {
                name,
                registered,
                occasion,
            } => self.put(name, registered, occasion)?,
            Act::Link { name, other, link } => self.link(name, other, link),
            Act::Unlink { name, others } => {
                for other in &others {
                    self.unlink(&name, other);
                }
            }
            Act::Remove { name, process } => {
                if self.own.of(&name, process).is_some() {
                    self.end(&name, Reason::Unregistered);
                }
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        name: ProcessName,
        mut registered: Registered,
        occasion: Occasion,
    ) -> Result<(), Refusal> {
        let mut is_new = occasion == Occasion::New;
        if let Some(known) = self.own.of(&name, registered.process) {
            (registered.reported, registered.ended) = (known.reported, known.ended);
        } else if occasion == Occasion::Change {
            self.ledger.mark(RowKey::Entry(name.clone()));
            return Err(self.not_here(&name));
        } else if occasion == Occasion::Renewal {
            // The registration that this one was to replace has ended while this was written.
            if self.has_process_ended(&name, registered.process) || self.is_closed(registered.life)
            {
                return Ok(());
            }
            // Only the connection that it was bound to has: the process is registered anew.
            is_new = true;
            self.clock = next_claim(self.clock, self.edge.now.wall);
            let entry = Arc::make_mut(&mut registered.entry);
            (entry.claim, entry.since_ms) = (self.clock, self.edge.now.wall.0);
            self.ledger.mark(RowKey::Entry(name.clone()));
        }
        if is_new && let Err(refusal) = self.is_free_elsewhere(&name) {
            self.ledger.mark(RowKey::Entry(name));
            return Err(refusal);
        }
        let (process, entry, life) = (
            registered.process,
            Arc::clone(&registered.entry),
            registered.life,
        );
        self.watch(process);
        self.own.insert(name.clone(), registered);
        self.write_log(name.clone(), process, State::Live(entry));
        self.end_if_closed(&name, life);
        Ok(())
    }

    /// Whether a registration of this node has ended because its process has.
    fn has_process_ended(&self, name: &ProcessName, process: Process) -> bool {
        let log = self.logs.get(self.me);
        matches!(
            log.and_then(|log| log.get(name, process)),
            Some(State::Gone(reason)) if reason.is_end()
        )
    }

    /// Writes into this node's log.
    pub(super) fn write_log(&mut self, name: ProcessName, process: Process, state: State) {
        let before = self
            .logs
            .get(self.me)
            .and_then(|log| log.get(&name, process))
            .and_then(State::entry)
            .cloned();
        self.logs.put(self.me, name.clone(), process, state.clone());
        self.names.apply(
            &self.edge,
            self.me,
            Shift {
                name,
                process,
                before,
                after: state,
            },
        );
        self.changed = true;
    }

    pub(super) fn watch(&mut self, process: Process) {
        if !self.own.is_watched(process) {
            self.edge.put(Output::Watch(process).into());
        }
    }
}
