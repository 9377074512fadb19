//! Reading all that this node has of its lists: whether the changes are what they were, make their documents, and
//! are what is shown.
//!
//! It is done list by list, each as of one instant, and some lists at a time: so it takes no more memory than
//! loading the largest list does, and whoever asks for it sees how far it is. A list whose changes are damaged, or
//! make no document, is put in quarantine, so that nothing builds on them.

use crate::machines::AskError;
use crate::service::Service;
use crdt::entry::Author;
use names::{ListId, ListName};
use node::lists::ask::{Comparisons, Quarantine};
use node::lists::{Comparison, Examined, Rebuilt, Refusal, examine};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use store::{ReadError, Reader};

/// A part ends after this time, and with at least one list.
const PART_TIME: Duration = Duration::from_secs(2);
/// So many faults of one list are told.
const TOLD: usize = 5;

/// What to do about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// A way out of quarantine.
    Quarantine,
    /// The rows that are shown are to be made anew.
    Rebuild,
    /// The database is damaged where no row can be replaced.
    Disk,
}

impl Remedy {
    fn words(self, list: Option<&ListName>) -> String {
        let list = list.map_or("LIST", ListName::as_str);
        match self {
            Self::Quarantine => format!("muster quarantine why {list}"),
            Self::Rebuild => format!("muster rebuild {list}"),
            Self::Disk => "a block of the disk went bad (dmesg): muster backup FILE saves what can be read; \
                then start this node with an empty data directory, and the other members bring all, and \
                muster restore FILE what they lack"
                .to_owned(),
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) list: Option<ListName>,
    pub(crate) what: String,
    pub(crate) remedy: String,
    pub(crate) is_quarantined: bool,
}

/// What was found in some lists.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) lists: u64,
    pub(crate) changes: u64,
    pub(crate) bytes: u64,
    pub(crate) faults: Vec<Fault>,
    /// The last list that was read, if there are more.
    pub(crate) last: Option<ListName>,
    /// Lists that are to be put in quarantine, and why.
    bad: BTreeMap<ListId, String>,
}

/// Reads lists after one, at most so many; before the first one also what is of all lists. Calls block.
pub(crate) fn read(
    reader: &Reader,
    after: Option<&ListName>,
    most: usize,
    compares_view: bool,
) -> Result<Part, ReadError> {
    let begun = Instant::now();
    let mut part = Part::default();
    if after.is_none() {
        for what in reader.damaged_tables(None)? {
            part.fault(None, what, Remedy::Disk, false);
        }
    }
    let names: Result<Vec<ListName>, _> = reader.names(after).take(most + 1).collect();
    let mut names = match names {
        // It was told with the tables.
        Err(ReadError::Damaged(_)) => Vec::new(),
        names => names?,
    };
    let are_more = names.len() > most;
    names.truncate(most);
    let count = names.len();
    for (at, name) in names.into_iter().enumerate() {
        part.look_at(&reader.at_this_instant()?, &name, compares_view)?;
        let is_last = at + 1 == count;
        if begun.elapsed() >= PART_TIME || is_last {
            part.last = (!is_last || are_more).then_some(name);
            break;
        }
    }
    Ok(part)
}

impl Part {
    fn fault(
        &mut self,
        list: Option<&ListName>,
        what: String,
        remedy: Remedy,
        is_quarantined: bool,
    ) {
        self.faults.push(Fault {
            list: list.cloned(),
            what,
            remedy: remedy.words(list),
            is_quarantined,
        });
    }

    fn look_at(
        &mut self,
        reader: &Reader,
        name: &ListName,
        compares_view: bool,
    ) -> Result<(), ReadError> {
        let list = ListId::of(name);
        self.lists += 1;
        if let Some(row) = reader.quarantine(list)? {
            let what = format!("it is in quarantine: {}", row.reason);
            self.fault(Some(name), what, Remedy::Quarantine, true);
            return Ok(());
        }
        let damaged = reader.damaged_tables(Some(list))?;
        let is_damaged = !damaged.is_empty();
        for what in damaged {
            self.fault(Some(name), what, Remedy::Disk, false);
        }
        let examined = match examine(list, reader) {
            Ok(examined) => examined,
            Err(error) if error.is_damage => {
                self.bad(name, &error.reason, Remedy::Disk);
                return Ok(());
            }
            Err(error) => return Err(ReadError::Failed(error.reason)),
        };
        if let Some(rebuilt) = self.examined(name, examined)
            && compares_view
            && !is_damaged
            && let Some(what) = differs(reader, list, &rebuilt)?
        {
            self.fault(Some(name), what, Remedy::Rebuild, false);
        }
        Ok(())
    }

    /// What was found in a list's changes. Gives its document if it could be made.
    fn examined(&mut self, name: &ListName, examined: Examined) -> Option<Box<Rebuilt>> {
        self.changes += examined.changes;
        self.bytes += examined.bytes;
        let told = examined.faults.len().min(TOLD);
        let more = examined.omitted + (examined.faults.len() - told) as u64;
        let is_disk = examined
            .faults
            .iter()
            .any(|fault| fault.contains("cannot be read"));
        let remedy = if is_disk {
            Remedy::Disk
        } else {
            Remedy::Quarantine
        };
        let mut words = examined.faults;
        words.truncate(told);
        if more > 0 {
            words.push(format!("{more} more faults"));
        }
        match examined.rebuilt {
            Ok(rebuilt) if words.is_empty() => return Some(rebuilt),
            Ok(_) => {}
            Err(error) => words.push(format!("its document cannot be made: {error}")),
        }
        self.bad(name, &words.join("; "), remedy);
        None
    }

    /// A list on which nothing shall be built.
    fn bad(&mut self, name: &ListName, what: &str, remedy: Remedy) {
        self.fault(Some(name), what.to_owned(), remedy, true);
        self.bad.insert(ListId::of(name), what.to_owned());
    }
}

/// How what is shown of a list differs from its document, in words.
fn differs(reader: &Reader, list: ListId, made: &Rebuilt) -> Result<Option<String>, ReadError> {
    let shown = match reader.list(list) {
        Err(ReadError::View { reason, .. }) => return Ok(Some(reason)),
        shown => shown?,
    };
    let is_equal = shown.is_some_and(|mut shown| {
        // The row keeps that as long as some entry's row is of another program.
        shown.has_unknown_keys = made.row.has_unknown_keys;
        shown == made.row
    });
    if !is_equal {
        return Ok(Some(
            "its line in the view, or its digest, is not that of its document".to_owned(),
        ));
    }
    let (mut entries, mut count) = (reader.entries(list, None), 0);
    for made in &made.entries {
        match entries.next() {
            Some(Ok(shown)) if shown == **made => count += 1,
            Some(Err(error)) if !matches!(error, ReadError::View { .. }) => return Err(error),
            Some(_) | None => {
                let what = format!(
                    "the entry {} is not shown as it is in the document",
                    made.id
                );
                return Ok(Some(what));
            }
        }
        if reader.entry(list, made.id).ok().flatten().is_none() {
            return Ok(Some(format!(
                "the entry {} is not found by its id",
                made.id
            )));
        }
    }
    let is_over = entries.next().is_none();
    Ok((!is_over).then(|| format!("more entries are shown than the {count} of the document")))
}

/// Puts the lists in quarantine on which nothing shall be built.
pub(crate) async fn set_aside(service: &Service, part: &Part) -> Result<(), AskError<Refusal>> {
    for (list, reason) in &part.bad {
        let question = Quarantine {
            list: *list,
            reason: reason.clone(),
        };
        service
            .ask_owner(*list, Author(String::new()), question)
            .await?;
    }
    Ok(())
}

/// How the lists stand to those of each connected member.
pub(crate) async fn replicas(service: &Service) -> Result<Vec<Comparison>, AskError<Refusal>> {
    let mut all: BTreeMap<_, Comparison> = BTreeMap::new();
    for standing in service.ask_all(Comparisons).await?.into_iter().flatten() {
        let sum = all.entry(standing.peer).or_insert(Comparison {
            differing: 0,
            ..standing
        });
        sum.differing += standing.differing;
        sum.ago = sum.ago.max(standing.ago);
    }
    Ok(all.into_values().collect())
}
