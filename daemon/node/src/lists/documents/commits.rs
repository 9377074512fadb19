//! Writes whose commit has not returned, and what is shown to anybody only when it has.

use crate::lists::edge::Edge;
use crate::lists::event::{Origin, Verdict};
use crate::lists::io::{Left, ListRow, Output, Row};
use crate::wire::{WriteError, WriteId};
use bytes::Bytes;
use crdt::entry::Entry;
use crdt::list::{Dispute, Document, RawChange, Salt, Touched};
use crdt::vector::Sums;
use names::{EntryId, ListId, ListName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of how many entries at most a write tells what was written apart.
const MAX_DISPUTED: usize = 100;

/// What a write does to a list.
#[derive(Debug)]
pub(super) struct Advance {
    pub(super) origin: Origin,
    pub(super) name: ListName,
    pub(super) changes: Vec<RawChange>,
    pub(super) total_before: u64,
    pub(super) row: ListRow,
    pub(super) entries: Vec<(EntryId, Option<Arc<Entry>>, bool)>,
    pub(super) disputes: Vec<(EntryId, Vec<Dispute>)>,
}

impl Advance {
    /// From a document that has just taken the changes.
    pub(super) fn of(
        origin: Origin,
        document: &Document,
        total_before: u64,
        changes: Vec<RawChange>,
        touched: Vec<Touched>,
    ) -> Self {
        let row = ListRow::of(document);
        let disputes = match origin {
            Origin::Local => Vec::new(),
            Origin::Remote => disputes(document, &touched),
        };
        let entries = touched
            .into_iter()
            .map(|touched| (touched.id, touched.entry.map(Arc::new), touched.before))
            .collect();
        Self {
            origin,
            name: document.name().clone(),
            changes,
            total_before,
            row,
            entries,
            disputes,
        }
    }

    fn rows(&self, list: ListId) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.changes.len() + self.entries.len() + 1);
        rows.extend(self.changes.iter().map(|change| Row::Change {
            list,
            id: change.id,
            hash: change.hash,
            bytes: change.bytes.clone(),
        }));
        rows.extend(self.entries.iter().map(|(id, entry, _)| Row::Entry {
            list,
            id: *id,
            entry: entry.clone(),
        }));
        rows.push(Row::List {
            list,
            row: self.row.clone(),
        });
        match self.origin {
            Origin::Local => rows.extend(made(list, &self.changes)),
            Origin::Remote => {}
        }
        rows
    }
}

/// That the node has made these changes of one actor.
fn made(list: ListId, changes: &[RawChange]) -> Option<Row> {
    let id = changes.last()?.id;
    Some(Row::Made { list, id })
}

/// What was written apart in the entries that changes of peers have touched.
fn disputes(document: &Document, touched: &[Touched]) -> Vec<(EntryId, Vec<Dispute>)> {
    let is_torn = |entry: &Entry| !entry.conflicts.is_empty();
    let torn = touched
        .iter()
        .filter(|touched| touched.entry.as_ref().is_some_and(is_torn));
    torn.take(MAX_DISPUTED)
        .map(|touched| (touched.id, document.disputes(touched.id)))
        .collect()
}

/// A write on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) list: ListId,
    /// `None` for snapshots, quarantine and views.
    pub(super) advance: Option<Advance>,
    pub(super) verdicts: Vec<Verdict>,
    /// It replaces all rows of the list's view.
    pub(super) is_view: bool,
    /// What it settles in the list.
    pub(super) settlement: Option<Settlement>,
    /// How the list leaves quarantine by it.
    pub(super) freed: Option<Freed>,
}

/// How a list leaves quarantine.
#[derive(Debug)]
pub(super) enum Freed {
    /// Its document could be made; with the sums of that.
    Released(Box<Document>, Sums),
    /// Nothing of it is here any more.
    Dropped,
}

/// What follows from a write by which changes leave a list.
#[derive(Debug)]
pub(super) struct Settlement {
    /// What has left.
    pub(super) left: Left,
    /// How many changes have come back.
    pub(super) returned: usize,
    /// What this node has settled itself, as records.
    pub(super) found: Vec<Bytes>,
    /// What it has written anew.
    pub(super) anew: Vec<RawChange>,
}

#[derive(Debug)]
struct InFlight {
    writes: usize,
    remote: usize,
    last: WriteId,
}

/// All writes on their way, in the order in which they commit.
#[derive(Debug, Default)]
pub(super) struct Commits {
    sequence: u64,
    pending: BTreeMap<WriteId, Pending>,
    lists: BTreeMap<ListId, InFlight>,
    failed: Option<WriteError>,
    /// What the next write begins with.
    first: Option<Salt>,
}

impl Commits {
    /// Writes what happened to a list.
    pub(super) fn advance(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        advance: Advance,
        verdicts: Vec<Verdict>,
    ) {
        let rows = advance.rows(list);
        self.write(
            edge,
            Pending {
                list,
                advance: Some(advance),
                verdicts,
                is_view: false,
                settlement: None,
                freed: None,
            },
            rows,
        );
    }

    /// Writes a list without what is left out of it.
    pub(super) fn leave_out(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        advance: Advance,
        settlement: Settlement,
        row: Row,
    ) {
        let rows = [row].into_iter().chain(made(list, &settlement.anew));
        let rows = rows.collect();
        let pending = Pending {
            list,
            advance: Some(advance),
            verdicts: Vec::new(),
            is_view: false,
            settlement: Some(settlement),
            freed: None,
        };
        self.write(edge, pending, rows);
    }

    /// Writes all rows of a list's view.
    pub(super) fn view(&mut self, edge: &mut Edge, list: ListId, row: Row) {
        let pending = Pending {
            list,
            advance: None,
            verdicts: Vec::new(),
            is_view: true,
            settlement: None,
            freed: None,
        };
        self.write(edge, pending, vec![row]);
    }

    /// Writes how a list leaves quarantine.
    pub(super) fn free(
        &mut self,
        edge: &mut Edge,
        list: ListId,
        freed: Freed,
        verdicts: Vec<Verdict>,
        rows: Vec<Row>,
    ) {
        let pending = Pending {
            list,
            advance: None,
            verdicts,
            is_view: false,
            settlement: None,
            freed: Some(freed),
        };
        self.write(edge, pending, rows);
    }

    /// Writes a row that nobody waits for.
    pub(super) fn write_row(&mut self, edge: &mut Edge, list: ListId, row: Row) {
        self.write(
            edge,
            Pending {
                list,
                advance: None,
                verdicts: Vec::new(),
                is_view: false,
                settlement: None,
                freed: None,
            },
            vec![row],
        );
    }

    /// The next write keeps this salt, too.
    pub(super) fn keep_first(&mut self, salt: Salt) {
        self.first = Some(salt);
    }

    /// Keeps a salt of another node. Nobody waits for that: what is not kept is asked for again.
    pub(super) fn keep(&mut self, edge: &mut Edge, learned: Salt) {
        self.sequence += 1;
        let rows = vec![Row::Salt(learned)];
        let id = WriteId(self.sequence);
        edge.put(Output::Write { id, rows });
    }

    fn write(&mut self, edge: &mut Edge, pending: Pending, mut rows: Vec<Row>) {
        if let Some(salt) = self.first.take() {
            rows.insert(0, Row::Salt(salt));
        }
        self.sequence += 1;
        let (id, list, remote) = (WriteId(self.sequence), pending.list, pending.is_remote());
        let in_flight = self.lists.entry(list).or_insert(InFlight {
            writes: 0,
            remote: 0,
            last: id,
        });
        in_flight.writes += 1;
        in_flight.remote += usize::from(remote);
        in_flight.last = id;
        self.pending.insert(id, pending);
        edge.put(Output::Write { id, rows });
    }

    /// Gives the verdict back if nothing of the list is on its way; else keeps it until that is on
    /// disk, because even a refusal may tell of it.
    pub(super) fn hold_back(&mut self, list: ListId, verdict: Verdict) -> Option<Verdict> {
        let Some(pending) = self
            .lists
            .get(&list)
            .and_then(|in_flight| self.pending.get_mut(&in_flight.last))
        else {
            return Some(verdict);
        };
        pending.verdicts.push(verdict);
        None
    }

    /// A commit returned. `None` for a write that was given up already.
    pub(super) fn returned(&mut self, id: WriteId) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        if let Some(in_flight) = self.lists.get_mut(&pending.list) {
            in_flight.writes -= 1;
            in_flight.remote -= usize::from(pending.is_remote());
            if in_flight.writes == 0 {
                self.lists.remove(&pending.list);
            }
        }
        Some(pending)
    }

    /// No commit succeeds until the store was reopened. Gives everything that was on its way.
    pub(super) fn fail(&mut self, error: WriteError) -> impl Iterator<Item = Pending> + use<> {
        self.failed = Some(error);
        self.lists.clear();
        std::mem::take(&mut self.pending).into_values()
    }

    pub(super) fn reopened(&mut self) {
        self.failed = None;
    }

    /// Why no writes can be made now.
    pub(super) fn failed(&self) -> Option<WriteError> {
        self.failed
    }

    pub(super) fn any(&self, list: ListId) -> bool {
        self.lists.contains_key(&list)
    }

    pub(super) fn any_remote(&self, list: ListId) -> bool {
        self.lists
            .get(&list)
            .is_some_and(|in_flight| in_flight.remote > 0)
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn verdicts(&self) -> usize {
        self.pending
            .values()
            .map(|pending| pending.verdicts.len())
            .sum()
    }
}

impl Pending {
    fn is_remote(&self) -> bool {
        self.advance
            .as_ref()
            .is_some_and(|advance| advance.origin == Origin::Remote)
    }
}
