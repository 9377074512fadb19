//! Judging what clients ask: what it would change, and what of that is to be kept first.

use super::ledger::{Act, Asked, Occasion, Step};
use super::links::{Link, MAX_LINKS};
use super::own::{Life, Registered};
use super::room::admit_bytes;
use super::rows::{RowKey, entry_row, link_row};
use super::staged::Staged;
use super::{Command, Lifetime, LinkTarget, Refusal, Registration, Registry, Reply, ask};
use crate::belief::next_claim;
use crate::time::Wall;
use crate::wire::RequestId;
use bytes::Bytes;
use crdt::registry::{Entry, Log};
use names::{Handle, ProcessName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Verdict = Result<(Reply, Act), Refusal>;

/// What becomes of a request.
pub(super) enum Judgement {
    /// It is to be carried out and answered once the write has landed.
    Carry(Step),
    /// It is refused for what is there already. That is to be said at once: when the write has
    /// landed it may not be true any more.
    Refuse(RequestId, Refusal),
    /// It would be refused for what a request before it in the same write is about to change. That
    /// one may still fail, so this one is to be judged again once the write has landed.
    Defer(Asked),
}

/// The requests of one write, each judged as if those before it were carried out.
pub(super) struct Draft<'a> {
    registry: &'a Registry,
    now: Wall,
    staged: Staged,
    /// How many links the write makes, by the name that they are of.
    staged_links: BTreeMap<ProcessName, usize>,
    /// Names of requests that are deferred. What was asked later about one of them is, too: nobody
    /// is to take back, as one asked for the registration before, what was registered after that.
    deferred: BTreeSet<ProcessName>,
    pub(super) clock: u64,
    pub(super) rows: BTreeMap<RowKey, Option<Bytes>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(registry: &'a Registry, now: Wall) -> Self {
        Self {
            registry,
            now,
            staged: Staged::default(),
            staged_links: BTreeMap::new(),
            deferred: BTreeSet::new(),
            clock: registry.clock,
            rows: BTreeMap::new(),
        }
    }

    /// Judges a request.
    pub(super) fn judge(&mut self, asked: Asked) -> Judgement {
        let name = asked.command.name();
        if self.deferred.contains(name) {
            return Judgement::Defer(asked);
        }
        let rests_on_draft = self.staged.contains(name);
        let verdict = self.verdict(&asked.command);
        let Asked {
            number, request, ..
        } = asked;
        match verdict {
            Ok((reply, act)) => Judgement::Carry(Step {
                number,
                request,
                reply,
                act,
            }),
            Err(_) if rests_on_draft => {
                self.deferred.insert(asked.command.name().clone());
                Judgement::Defer(asked)
            }
            Err(refusal) => Judgement::Refuse(request, refusal),
        }
    }

    fn verdict(&mut self, command: &Command) -> Verdict {
        match command {
            Command::Register(registration) => self.register(Registration::clone(registration)),
            Command::Unregister(ask::Unregister { name, uid }) => self.unregister(name, *uid),
            Command::Group(ask::Group {
                name,
                group,
                join,
                uid,
            }) => self.group(name, group, *join, *uid),
            Command::Link(ask::Link {
                name,
                other,
                unreachable,
                uid,
            }) => self.link(name, other, *unreachable, *uid),
            Command::Unlink(ask::Unlink { name, other, uid }) => self.unlink(name, other, *uid),
            // These change nothing that is kept, and do not come here.
            Command::Report(_) | Command::Links(_) => Ok((Reply::Done, Act::Nothing)),
        }
    }

    fn own(&self, name: &ProcessName) -> Option<&Registered> {
        self.staged
            .get(name)
            .unwrap_or_else(|| self.registry.own.get(name))
    }

    /// What this node's log takes by now. What this write adds is not counted yet: replicas have
    /// room for that beside it.
    fn own_bytes(&self) -> usize {
        let log = self.registry.logs.get(self.registry.me);
        log.map_or(0, Log::bytes)
    }

    /// A registration of this node that the caller may change.
    fn find(&self, name: &ProcessName, uid: u32) -> Result<Registered, Refusal> {
        let registered = self.own(name).ok_or_else(|| self.registry.not_here(name))?;
        super::may_change(name, registered, uid)?;
        Ok(registered.clone())
    }

    fn register(&mut self, registration: Registration) -> Verdict {
        let Registration {
            name,
            process,
            uid,
            user,
            exe,
            groups,
            metadata,
            address,
            lifetime,
            on_conflict,
            reports_exit,
        } = registration;
        let known = self.own(&name).filter(|known| known.process == process);
        let kept = known.map_or_else(Bytes::new, |known| known.kept.clone());
        let known = known.map(|known| Arc::clone(&known.entry));
        let known_weight = known.as_ref().map_or(0, |known| known.weight());
        let fresh = known.is_none();
        if fresh {
            self.is_free(&name)?;
            let taken = self.staged.taken(&self.registry.own, process, uid);
            self.registry.room.admit((process.pid, uid), taken)?;
        }
        let next = next_claim(self.clock, self.now);
        let (claim, since_ms) =
            known.map_or((next, self.now.0), |known| (known.claim, known.since_ms));
        let entry = Arc::new(Entry {
            uid,
            user,
            exe,
            groups,
            metadata,
            address,
            claim,
            since_ms,
        });
        if let Some((what, limit)) = entry.excess() {
            return Err(Refusal::Full { what, limit });
        }
        if entry.weight() > known_weight {
            admit_bytes(uid, self.own_bytes())?;
        }
        self.clock = self.clock.max(claim);
        let life = match lifetime {
            Lifetime::Process => Life::Process,
            Lifetime::Connection(session) => Life::Session(session),
        };
        let registered = Registered {
            process,
            entry,
            life,
            on_conflict,
            reports_exit,
            reported: None,
            ended: false,
            kept,
        };
        let occasion = if fresh {
            Occasion::New
        } else {
            Occasion::Renewal
        };
        Ok((
            Reply::Registered { fresh },
            self.put(name, registered, occasion),
        ))
    }

    /// Whether nobody reachable has the name.
    fn is_free(&self, name: &ProcessName) -> Result<(), Refusal> {
        if let Some(own) = self.own(name) {
            return Err(self
                .registry
                .held(self.registry.me, name, own.process, &own.entry));
        }
        self.registry.is_free_elsewhere(name)
    }

    fn unregister(&mut self, name: &ProcessName, uid: u32) -> Verdict {
        let process = self.find(name, uid)?.process;
        self.rows.insert(RowKey::Entry(name.clone()), None);
        self.staged.put(&self.registry.own, name.clone(), None);
        let name = name.clone();
        Ok((Reply::Done, Act::Remove { name, process }))
    }

    fn group(&mut self, name: &ProcessName, group: &ProcessName, join: bool, uid: u32) -> Verdict {
        let mut registered = self.find(name, uid)?;
        let mut entry = Entry::clone(&registered.entry);
        let changed = if join {
            entry.groups.insert(group.clone())
        } else {
            entry.groups.remove(group)
        };
        if let Some((what, limit)) = entry.excess() {
            return Err(Refusal::Full { what, limit });
        }
        if changed && join {
            admit_bytes(uid, self.own_bytes())?;
        }
        registered.entry = Arc::new(entry);
        Ok((
            Reply::Done,
            if changed {
                self.put(name.clone(), registered, Occasion::Change)
            } else {
                Act::Nothing
            },
        ))
    }

    fn link(
        &mut self,
        name: &ProcessName,
        other: &LinkTarget,
        unreachable: bool,
        uid: u32,
    ) -> Verdict {
        let process = self.find(name, uid)?.process;
        let (owner, other) = match other {
            LinkTarget::Name(other) => self.registry.holder(other)?,
            LinkTarget::Handle(other) => (self.registry.node_of(&other.node)?, other.clone()),
        };
        let known = self.registry.links.get(name, &other);
        let staged = self.staged_links.get(name).copied().unwrap_or(0);
        if known.is_none() && self.registry.links.of(name).count() + staged >= MAX_LINKS {
            return Err(Refusal::Full {
                what: "links of a process",
                limit: MAX_LINKS,
            });
        }
        let since_ms = known.map_or(self.now.0, |known| known.since_ms);
        let link = Link::new(
            process,
            owner,
            self.registry.mark(owner, &other),
            unreachable,
            since_ms,
        );
        self.put_link(name, &other, link_row(&link));
        let name = name.clone();
        Ok((Reply::Done, Act::Link { name, other, link }))
    }

    fn unlink(&mut self, name: &ProcessName, other: &LinkTarget, uid: u32) -> Verdict {
        self.find(name, uid)?;
        let is_it = |handle: &Handle| match other {
            LinkTarget::Name(other) => handle.name == *other,
            LinkTarget::Handle(other) => handle == other,
        };
        let others: Vec<Handle> = self
            .registry
            .links
            .of(name)
            .map(|(other, _)| other)
            .filter(|other| is_it(other))
            .cloned()
            .collect();
        for other in &others {
            self.put_link(name, other, None);
        }
        let name = name.clone();
        Ok((Reply::Done, Act::Unlink { name, others }))
    }

    fn put_link(&mut self, name: &ProcessName, other: &Handle, row: Option<Bytes>) {
        let staged = self.staged_links.entry(name.clone()).or_default();
        *staged += usize::from(row.is_some());
        let before = self
            .rows
            .insert(RowKey::Link(name.clone(), other.clone()), row);
        *staged -= usize::from(before.flatten().is_some());
    }

    fn put(&mut self, name: ProcessName, registered: Registered, occasion: Occasion) -> Act {
        self.rows
            .insert(RowKey::Entry(name.clone()), entry_row(&registered));
        let after = Some(registered.clone());
        self.staged.put(&self.registry.own, name.clone(), after);
        Act::Put {
            name,
            registered,
            occasion,
        }
    }
}
