//! Making the rows of lists anew while no daemon runs: what `muster rebuild --offline` does in a data
//! directory. With one that runs, the machine of the lists does it (`node::lists`).

use crate::config::{Source, Start};
use cli::{OfflineError, Rebuilt};
use names::{Actor, ListId, ListName};
use node::lists::{Done, Job, Row, Source as _};
use node::wire::WriteError;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use store::{Reader, Recovered, Store};

/// How many lists' rows may wait to be written: they are committed in groups.
const IN_FLIGHT: usize = 16;

/// Where a daemon keeps its data with the configuration of that file, else with the one that it would
/// find; in words why not, where there is none.
pub(crate) fn data_dir(file: Option<PathBuf>) -> Result<PathBuf, String> {
    let args = file.map(|file| [OsString::from("--config"), file.into()]);
    let args = std::iter::once("musterd".into()).chain(args.into_iter().flatten());
    match Source::of_process(args).load() {
        Ok(Start::Run(config)) => Ok(config.data_dir),
        // Nothing that asks for a text is in these arguments.
        Ok(Start::Print(text) | Start::Check(_, text)) => Err(text),
        Err(error) => Err(error.to_string()),
    }
}

/// Makes the rows of that list anew, or those of all lists, from the raw changes in a directory. Each
/// list's rows are replaced as a whole: whatever interrupts this, it can be done again.
pub(crate) fn offline(dir: &Path, list: Option<&ListName>) -> Result<Rebuilt, OfflineError> {
    let failed = |error: &dyn std::fmt::Display| OfflineError::Failed(error.to_string());
    let (store, recovered) = Store::open_present(dir).map_err(|error| failed(&error))?;
    let rebuilt = lists(&recovered, list).and_then(|lists| {
        let done = Rebuild::new(&store).all(&lists)?;
        Ok(Rebuilt {
            lists: done,
            quarantined: recovered.quarantined.len(),
        })
    });
    store.close();
    rebuilt
}

/// Which lists to make anew: those in quarantine have changes that make no document.
fn lists(recovered: &Recovered, list: Option<&ListName>) -> Result<Vec<ListId>, OfflineError> {
    let is_quarantined = |list: &ListId| recovered.quarantined.contains(list);
    let all = recovered.lists.iter().map(|(list, _)| *list);
    let Some(name) = list else {
        return Ok(all.filter(|list| !is_quarantined(list)).collect());
    };
    let id = ListId::of(name);
    if !all.clone().any(|list| list == id) {
        return Err(OfflineError::NoList(format!("there is no list {name}")));
    }
    if is_quarantined(&id) {
        let detail = format!("the list {name} is in quarantine: its changes make no document");
        return Err(OfflineError::Failed(detail));
    }
    Ok(vec![id])
}

/// What became of a list's rows.
type Written = Result<(), WriteError>;

/// The rows that are on their way to the disk.
struct Rebuild<'a> {
    store: &'a Store,
    reader: Reader,
    /// One for each list whose rows are not written yet, so that there are few.
    tell: SyncSender<Written>,
    told: Receiver<Written>,
    written: u64,
    begun: u64,
}

impl<'a> Rebuild<'a> {
    fn new(store: &'a Store) -> Self {
        let (tell, told) = sync_channel(IN_FLIGHT);
        Self {
            store,
            reader: store.reader(),
            tell,
            told,
            written: 0,
            begun: 0,
        }
    }

    /// Makes the rows of these lists; with the last ones, rows that nothing leads to are looked for.
    /// One that cannot be made does not keep the others from it.
    fn all(mut self, lists: &[ListId]) -> Result<u64, OfflineError> {
        let mut failures = Vec::new();
        for (index, list) in lists.iter().enumerate() {
            let is_last = index.saturating_add(1) == lists.len();
            match self.rows(*list, is_last) {
                Ok(row) => self.write(row)?,
                Err(why) => failures.push(why),
            }
        }
        while self.written < self.begun {
            self.await_one()?;
        }
        match failures.first() {
            None => Ok(self.written),
            Some(first) => Err(OfflineError::Failed(format!(
                "of {} lists the rows cannot be made anew: {first}; those of {} others are",
                failures.len(),
                self.written
            ))),
        }
    }

    fn rows(&self, list: ListId, thorough: bool) -> Result<Row, String> {
        let job = Job::Rebuild {
            // It writes nothing: the document is only read.
            actor: Actor([0; 16]),
            thorough,
        };
        let name = self.reader.name(list).ok().flatten();
        let name = name.map_or_else(|| list.to_string(), |name| name.to_string());
        match job.run(list, &self.reader) {
            Done::Rebuilt(Ok(rebuilt)) => Ok(Row::View {
                list,
                row: rebuilt.row,
                entries: rebuilt.entries,
                thorough: rebuilt.thorough,
            }),
            Done::Rebuilt(Err(error)) => Err(format!("{name}: {error}")),
            Done::Loaded(_)
            | Done::Applied(_)
            | Done::CaughtUp(_)
            | Done::Saved(_)
            | Done::LeftOut(_)
            | Done::Vector(_)
            | Done::Changes { .. }
            | Done::Looked { .. } => Err(format!("{name}: another job was done")),
        }
    }

    fn write(&mut self, row: Row) -> Result<(), OfflineError> {
        let limit = u64::try_from(IN_FLIGHT).unwrap_or(1);
        while self.begun.saturating_sub(self.written) >= limit {
            self.await_one()?;
        }
        let tell = self.tell.clone();
        let done = Box::new(move |result| {
            // Never blocks: there is room for all that are on their way.
            let _ = tell.send(result);
        });
        self.store.commit(vec![row], done);
        self.begun = self.begun.saturating_add(1);
        Ok(())
    }

    fn await_one(&mut self) -> Result<(), OfflineError> {
        let result = self.told.recv().unwrap_or(Err(WriteError::Failed));
        result.map_err(|error| {
            OfflineError::Failed(format!(
                "the rows of {} lists were made anew, then {error}; run it again",
                self.written
            ))
        })?;
        self.written = self.written.saturating_add(1);
        Ok(())
    }
}
