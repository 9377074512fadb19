//! Many entries that are added together: judged whole first, then added in as few changes as hold them.

use super::edit::Changes;
use crate::args::Durability;
use crate::failure::Failure;
use crate::session::{Session, wait_of};
use crate::text::printable;
use api::lists::{AddedEntries, CheckedEntries, NewEntries, NewEntry};
use client::{Answer, Client};
use formats::Bad;
use hyper::StatusCode;
use names::EntryId;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The most entries that one call takes.
const MAX_ENTRIES: usize = 10_000;
/// The most bytes of a call, about: below the limit of its body.
const MAX_BYTES: usize = 32 << 20;
/// How long a call with so many entries may take when nobody says.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// How many lines that cannot be used are told.
const MAX_TOLD: usize = 20;
/// How long somebody waits without being told how far it is.
const SILENCE: Duration = Duration::from_secs(1);

/// Entries that are to be added to a list, each with an id and the line that it comes from.
pub(super) struct Sending<'a> {
    session: &'a Session<'a>,
    client: Client,
    list: &'a str,
    entries: Vec<(usize, NewEntry)>,
    progress: Progress,
}

/// What would become of them.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// The lines that cannot be used: then nothing is to be added.
    pub(super) bad: Vec<Bad>,
    /// How many there are beyond these.
    pub(super) more_bad: usize,
    present: BTreeSet<String>,
    deleted: BTreeSet<String>,
}

/// Why adding them has ended too early.
pub(super) struct Broken {
    /// What went wrong.
    pub(super) failure: Failure,
    /// How many have been added for certain.
    pub(super) added: usize,
    /// Whether some may have been added of which that is not known.
    pub(super) is_open: bool,
}

impl<'a> Sending<'a> {
    pub(super) fn new(
        session: &'a Session<'a>,
        list: &'a str,
        entries: Vec<(usize, NewEntry)>,
    ) -> Self {
        Self {
            session,
            client: session.patient(PATIENCE),
            list,
            entries,
            progress: Progress::new(session),
        }
    }

    /// All of them, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &NewEntry> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// Has the daemon judge all of them; nothing is added.
    pub(super) async fn judge(&mut self) -> Result<Judged, Failure> {
        let mut judged = Judged::default();
        for part in parts(&self.entries) {
            self.progress
                .show("checked", part.start, self.entries.len());
            let entries = self.part(&part);
            let wait = wait_of(&self.client);
            let call = self.client.check(self.list, &entries, &wait);
            let checked = self.session.ask(call).await?.value;
            judged.take(checked, self.entries.get(part).unwrap_or_default());
        }
        self.progress.clear();
        judged.refuse_twins(&self.entries);
        Ok(judged)
    }

    /// Keeps those that are not in the list already, and were not deleted from it.
    pub(super) fn leave_out(&mut self, judged: &Judged) {
        self.entries.retain(|(_, entry)| judged.is_new(entry));
    }

    /// Adds them in order, in as few changes as hold them; `told` is handed the answer to each.
    pub(super) async fn add(
        &mut self,
        durability: &Durability,
        mut told: impl FnMut(&Answer<AddedEntries>) -> Result<(), Failure>,
    ) -> Result<(), Broken> {
        let mut changes = Changes::patient(self.session, &self.client, durability);
        let how = changes.how.clone();
        let mut left = parts(&self.entries);
        left.reverse();
        let mut added = 0;
        while let Some(part) = left.pop() {
            self.progress.show("added", added, self.entries.len());
            let entries = self.part(&part);
            let call = self.client.add_all(self.list, &entries, &how);
            let sent = changes.make(call, |added| added.replicas.as_ref()).await;
            let answer = match sent {
                Ok(answer) => answer,
                Err(failure) if is_too_large(&failure) && part.len() > 1 => {
                    // One change does not hold them: two may.
                    let middle = part.start + part.len() / 2;
                    left.extend([middle..part.end, part.start..middle]);
                    continue;
                }
                Err(failure) => {
                    self.progress.clear();
                    let is_open = !matches!(failure, Failure::Problem(_));
                    return Err(Broken {
                        failure,
                        added,
                        is_open,
                    });
                }
            };
            added += part.len();
            self.progress.clear();
            told(&answer).map_err(|failure| Broken {
                failure,
                added,
                is_open: false,
            })?;
        }
        let broken = |failure| Broken {
            failure,
            added: self.entries.len(),
            is_open: false,
        };
        changes.end().map_err(broken)
    }

    /// Keeps all of them with their ids in a file where some have been added, or may have been, so that
    /// they can be given again.
    pub(super) fn keep(&self, broken: Broken) -> Failure {
        let Broken {
            failure,
            added,
            is_open,
        } = broken;
        let all = self.entries.len();
        if matches!(failure, Failure::OutputClosed) || added == all || (added == 0 && !is_open) {
            return failure;
        }
        let (code, why) = (failure.code(), failure.words());
        let words = match self.write() {
            Ok(file) => format!(
                "{added} of {all} were added for certain, but then: {why}; to add the rest and double nothing: \
                 muster import {} {}",
                quoted(self.list),
                file.display()
            ),
            Err(error) => format!(
                "{added} of {all} were added for certain, but then: {why}; the rest could not be kept either: \
                 {error}"
            ),
        };
        Failure::with_code(code, words)
    }

    fn write(&self) -> std::io::Result<PathBuf> {
        let name = format!("muster-{}.json", rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let entries: Vec<&NewEntry> = self.entries().collect();
        serde_json::to_writer(&mut file, &json!({ "entries": entries }))?;
        file.sync_all()?;
        Ok(path)
    }

    fn part(&self, part: &Range<usize>) -> NewEntries {
        let entries = self.entries.get(part.clone()).unwrap_or_default();
        NewEntries {
            entries: entries.iter().map(|(_, entry)| entry.clone()).collect(),
        }
    }
}

impl Judged {
    /// Whether an entry would be new.
    pub(super) fn is_new(&self, entry: &NewEntry) -> bool {
        let known = |ids: &BTreeSet<String>| entry.id.as_ref().is_some_and(|id| ids.contains(id));
        !known(&self.present) && !known(&self.deleted)
    }

    /// How many are in the list already, and how many were deleted from it.
    pub(super) fn known(&self) -> (usize, usize) {
        (self.present.len(), self.deleted.len())
    }

    fn take(&mut self, checked: CheckedEntries, part: &[(usize, NewEntry)]) {
        self.present.extend(checked.present);
        self.deleted.extend(checked.deleted);
        let told = checked.refused.len();
        self.more_bad += usize::try_from(checked.refused_total)
            .unwrap_or(usize::MAX)
            .saturating_sub(told);
        let refused = checked.refused.into_iter();
        self.bad.extend(refused.filter_map(|one| {
            let (line, _) = part.get(usize::try_from(one.index).ok()?)?;
            Some(Bad {
                line: *line,
                why: one.detail,
            })
        }));
    }

    /// An id that two have, which the daemon sees only within a part.
    fn refuse_twins(&mut self, entries: &[(usize, NewEntry)]) {
        let told: BTreeSet<usize> = self.bad.iter().map(|bad| bad.line).collect();
        let mut seen = BTreeSet::new();
        for (line, entry) in entries {
            let Some(id) = &entry.id else { continue };
            if !seen.insert(id) && !told.contains(line) {
                self.bad.push(Bad {
                    line: *line,
                    why: format!("the id {id} is given to two entries"),
                });
            }
        }
    }

    /// Says which lines cannot be used, if there are any.
    pub(super) fn check(mut self, what: &str, mut others: Vec<Bad>) -> Result<Self, Failure> {
        self.bad.append(&mut others);
        if self.bad.is_empty() {
            return Ok(self);
        }
        self.bad.sort_by_key(|bad| bad.line);
        let all = self.bad.len() + self.more_bad;
        let told = self.bad.iter().take(MAX_TOLD);
        let lines: String = told
            .map(|bad| format!("\n  line {}: {}", bad.line, printable(&bad.why)))
            .collect();
        let more = match all.saturating_sub(MAX_TOLD.min(self.bad.len())) {
            0 => String::new(),
            more => format!("\n  and {more} more"),
        };
        let lines_are = if all == 1 { "line is" } else { "lines are" };
        Err(Failure::Usage(format!(
            "nothing was {what}: {all} {lines_are} not right{lines}{more}"
        )))
    }
}

fn is_too_large(failure: &Failure) -> bool {
    let too_large = StatusCode::PAYLOAD_TOO_LARGE.as_u16();
    matches!(failure, Failure::Problem(problem) if problem.status == too_large)
}

/// Ranges that a call holds each.
fn parts(entries: &[(usize, NewEntry)]) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, (_, entry)) in entries.iter().enumerate() {
        let size = bytes_of(entry);
        if at > start && (at - start >= MAX_ENTRIES || bytes + size > MAX_BYTES) {
            parts.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    if start < entries.len() {
        parts.push(start..entries.len());
    }
    parts
}

/// About as many as its JSON has.
fn bytes_of(entry: &NewEntry) -> usize {
    const OTHERS: usize = 300;
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let tags = entry.tags.iter().flatten().map(|tag| tag.len() + 3);
    OTHERS + text(&entry.title) + text(&entry.notes) + tags.sum::<usize>()
}

/// As shells take a word.
fn quoted(word: &str) -> String {
    format!("'{}'", printable(word).replace('\'', "'\\''"))
}

/// Ids for entries that are new on purpose: drawn once, so that whoever tries again doubles nothing.
pub(super) fn fresh_ids(count: usize) -> impl Iterator<Item = String> {
    let now = jiff::Timestamp::now().as_millisecond();
    // Half of the room stays free, so that they rise.
    let first = EntryId::from_parts(now, rand::random::<u128>() >> 49);
    let ids = (0..count as u128).map(move |nth| EntryId(first.0.wrapping_add(nth)));
    ids.map(|id| id.to_string())
}

/// Tells whoever waits at a terminal how far it is.
struct Progress {
    begun: Instant,
    is_wanted: bool,
    is_shown: bool,
}

impl Progress {
    fn new(session: &Session<'_>) -> Self {
        Self {
            begun: Instant::now(),
            is_wanted: !session.output.is_json() && std::io::stderr().is_terminal(),
            is_shown: false,
        }
    }

    fn show(&mut self, what: &str, done: usize, all: usize) {
        if self.is_wanted && self.begun.elapsed() >= SILENCE {
            self.is_shown = true;
            // It is for whoever looks; nothing depends on it.
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K{what}: {done} of {all}");
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: usize, title: &str) -> Vec<(usize, NewEntry)> {
        let entry = NewEntry {
            title: Some(title.to_owned()),
            ..NewEntry::default()
        };
        (1..=count).map(|line| (line, entry.clone())).collect()
    }

    #[test]
    fn a_part_is_what_a_call_holds() {
        assert_eq!(parts(&[]), []);
        assert_eq!(parts(&entries(10_000, "x")).len(), 1);
        assert_eq!(parts(&entries(10_001, "x")), [0..10_000, 10_000..10_001]);
        let long = entries(20, &"x".repeat(4 << 20));
        let found = parts(&long);
        assert!(
            found.len() > 2 && found.iter().all(|part| part.len() < 9),
            "{found:?}"
        );
    }

    #[test]
    fn fresh_ids_rise_and_are_never_the_same() {
        let ids: Vec<String> = fresh_ids(1_000).collect();
        assert!(ids.is_sorted() && ids[0] < ids[999]);
        assert!(fresh_ids(1_000).all(|id| !ids.contains(&id)));
    }

    #[test]
    fn lines_that_are_not_right_are_told_in_order_and_the_rest_counted() {
        let bad = |line| Bad {
            line,
            why: "why".to_owned(),
        };
        let judged = Judged {
            bad: (10..30).map(bad).collect(),
            more_bad: 5,
            ..Judged::default()
        };
        let refused = judged.check("added", vec![bad(3)]).unwrap_err();
        let words = refused.words();
        assert!(
            words.starts_with(
                "nothing was added: 26 lines are not right\n  line 3: why\n  line 10:"
            ),
            "{words}"
        );
        assert!(words.ends_with("\n  line 28: why\n  and 6 more"), "{words}");
        assert_eq!(refused.code(), 2);
        assert!(Judged::default().check("added", vec![]).is_ok());
    }

    #[test]
    fn an_id_that_two_lines_have_is_refused_also_across_parts() {
        let mut all = entries(3, "x");
        all.iter_mut()
            .for_each(|(_, entry)| entry.id = Some("A".to_owned()));
        let mut judged = Judged {
            bad: vec![Bad {
                line: 2,
                why: "told".to_owned(),
            }],
            ..Judged::default()
        };
        judged.refuse_twins(&all);
        let lines: Vec<usize> = judged.bad.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [2, 3]);
    }
}
