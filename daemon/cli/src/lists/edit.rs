//! Commands that change entries.

use super::{asking, filter};
use crate::args::{Add, Durability, Edit, Entries, Move, RmList};
use crate::failure::Failure;
use crate::ids::{self, Match};
use crate::lists::entry::mark;
use crate::lists::sending::{self, Sending};
use crate::lists::titles;
use crate::session::{Session, wait_of};
use crate::text::printable;
use api::lists::{
    AtQuery, BulkChange, DeleteResult, EntriesQuery, EntryPatch, EntryStateFilter, NewEntry,
    ReplicaConfirmations, TodoEntry, WriteQuery,
};
use client::{Answer, Client, ClientError};
use hyper::StatusCode;
use names::EntryId;
use serde_json::Value;

/// Changes of a list by one command, each of which may have to be on several nodes.
pub(super) struct Changes<'a> {
    session: &'a Session<'a>,
    pub(super) how: WriteQuery,
    /// The first change that too few nodes had in time. It stays, so those after it are made too.
    pending: Option<Failure>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(session: &'a Session<'a>, durability: &Durability) -> Self {
        Self::patient(session, session.client(), durability)
    }

    /// The same by a client whose calls may take longer.
    pub(super) fn patient(
        session: &'a Session<'a>,
        client: &Client,
        durability: &Durability,
    ) -> Self {
        Self {
            session,
            how: WriteQuery {
                timeout: wait_of(client).timeout,
                replicas: durability.replicas.clone(),
            },
            pending: None,
        }
    }

    /// Waits for one change, in whose answer `replicas` tells who has it.
    pub(super) async fn make<T>(
        &mut self,
        call: impl Future<Output = Result<Answer<T>, ClientError>>,
        replicas: impl FnOnce(&T) -> Option<&ReplicaConfirmations>,
    ) -> Result<Answer<T>, Failure> {
        let answer = self.session.make(call).await?;
        if answer.status == StatusCode::ACCEPTED && self.pending.is_none() {
            self.pending = Some(unconfirmed(replicas(&answer.value)));
        }
        Ok(answer)
    }

    /// The outcome of all of them.
    pub(super) fn end(self) -> Result<(), Failure> {
        self.pending.map_or(Ok(()), Err)
    }
}

fn unconfirmed(replicas: Option<&ReplicaConfirmations>) -> Failure {
    let (asked, names) = replicas.map_or(("as many as asked for".to_owned(), vec![]), |replicas| {
        let names = replicas.confirmed.iter().map(|name| printable(name));
        (replicas.asked.to_string(), names.collect())
    });
    Failure::Timeout(format!(
        "the change is saved here and on its way, but not yet on {asked} nodes; it is on {}",
        names.join(", ")
    ))
}

/// `muster add`.
pub(crate) async fn add(session: &Session<'_>, args: &Add) -> Result<(), Failure> {
    let fields = new_fields(session, args)?;
    let with_title = |title: &String| NewEntry {
        title: Some(title.clone()),
        ..fields.clone()
    };
    let mut changes = Changes::new(session, &args.durability);
    let how = changes.how.clone();
    if args.title != "-" {
        let entry = with_title(&args.title);
        let call = session.client().add(&args.list, &entry, &how);
        let answer = changes.make(call, |entry| entry.replicas.as_ref()).await?;
        print(session, &answer.value, &answer.raw)?;
        return changes.end();
    }
    add_lines(session, args, with_title).await
}

/// Adds the titles of standard input: all or nothing, as far as one change holds them. They are new on
/// purpose, so that the same lines given a second time are other entries; the ids are drawn once, and
/// kept in a file where it is open what was added, so that trying again doubles nothing.
async fn add_lines(
    session: &Session<'_>,
    args: &Add,
    with_title: impl Fn(&String) -> NewEntry,
) -> Result<(), Failure> {
    let (titles, bad) = titles::read(&mut std::io::stdin().lock()).map_err(Failure::Usage)?;
    let ids = sending::fresh_ids(titles.len());
    let entries = titles.iter().zip(ids).map(|(title, id)| {
        let entry = NewEntry {
            id: Some(id),
            ..with_title(&title.text)
        };
        (title.line, entry)
    });
    let mut sending = Sending::new(session, &args.list, entries.collect());
    sending.judge().await?.check("added", bad)?;
    let done = sending.add(&args.durability, |answer| {
        let raw = answer.raw.get("items").and_then(Value::as_array);
        let mut items = answer.value.items.iter().zip(raw.into_iter().flatten());
        items.try_for_each(|(entry, raw)| print(session, entry, raw))
    });
    match done.await {
        Ok(()) => Ok(()),
        Err(broken) => Err(sending.keep(broken)),
    }
}

fn new_fields(session: &Session<'_>, args: &Add) -> Result<NewEntry, Failure> {
    let given = args.fields.as_api(session)?;
    Ok(NewEntry {
        due: given
            .due
            .flatten()
            .or_else(|| args.fields.first_day(session)),
        priority: given.priority.flatten(),
        tags: (!args.tags.is_empty()).then(|| args.tags.clone()),
        notes: given.notes.flatten(),
        assignee: given.assignee.flatten(),
        estimate: given.estimate.flatten(),
        wait: given.wait.flatten(),
        every: given.every.flatten(),
        ..NewEntry::default()
    })
}

/// `muster edit`.
pub(crate) async fn edit(session: &Session<'_>, args: &Edit) -> Result<(), Failure> {
    let patch = EntryPatch {
        title: args.title.clone().map(Some),
        ..args.fields.as_api(session)?
    };
    let some = |tags: &[String]| (!tags.is_empty()).then(|| tags.to_vec());
    let change = BulkChange {
        patch: Some(patch),
        tag: some(&args.tags),
        untag: some(&args.untag),
        ..BulkChange::default()
    };
    let chosen = Chosen::of(session, &args.entries, None).await?;
    chosen.change(session, "change", change).await
}

/// `muster done`, `muster reopen`.
pub(crate) async fn complete(
    session: &Session<'_>,
    args: &Entries,
    done: bool,
) -> Result<(), Failure> {
    let patch = EntryPatch {
        done: Some(Some(done)),
        ..EntryPatch::default()
    };
    let change = BulkChange {
        patch: Some(patch),
        ..BulkChange::default()
    };
    let (verb, state) = if done {
        ("complete", EntryStateFilter::Open)
    } else {
        ("reopen", EntryStateFilter::Done)
    };
    let chosen = Chosen::of(session, args, Some(state)).await?;
    chosen.change(session, verb, change).await
}

/// `muster rm`.
pub(crate) async fn remove(session: &Session<'_>, args: &Entries) -> Result<(), Failure> {
    let chosen = Chosen::of(session, args, None).await?;
    let sure = args.yes || (args.filter.is_empty() && chosen.ids.len() < 2);
    asking::confirm(session, sure, &chosen.question("delete"))?;
    let change = BulkChange {
        ids: chosen.ids.clone(),
        delete: Some(true),
        ..BulkChange::default()
    };
    let mut changes = Changes::new(session, &args.durability);
    let how = changes.how.clone();
    let call = session.client().edit_several(&args.list, &change, &how);
    let answer = changes.make(call, |gone| gone.replicas.as_ref()).await?;
    match (session.output.is_json(), &answer.value.replicas) {
        (true, Some(_)) => session.output.json(&answer.raw)?,
        (true, None) => {}
        (false, _) => {
            for id in &chosen.ids {
                session.output.line(&format!("deleted {}", printable(id)))?;
            }
        }
    }
    changes.end()
}

/// `muster rm-list`.
pub(crate) async fn remove_list(session: &Session<'_>, args: &RmList) -> Result<(), Failure> {
    let what = format!(
        "delete the list {} with all its entries",
        printable(&args.list)
    );
    asking::confirm(session, args.yes, &what)?;
    let mut changes = Changes::new(session, &args.durability);
    let how = changes.how.clone();
    let call = session.client().delete_list(&args.list, &how);
    let answer = changes.make(call, confirmations).await?;
    deleted(session, &answer, &format!("the list {}", args.list))?;
    changes.end()
}

fn confirmations(answer: &Option<DeleteResult>) -> Option<&ReplicaConfirmations> {
    answer.as_ref().map(|answer| &answer.replicas)
}

/// The API answers nothing, or which nodes have it.
fn deleted(
    session: &Session<'_>,
    answer: &Answer<Option<DeleteResult>>,
    what: &str,
) -> Result<(), Failure> {
    match (session.output.is_json(), &answer.value) {
        (true, None) => Ok(()),
        (true, Some(_)) => session.output.json(&answer.raw),
        (false, _) => session.output.line(&format!("deleted {}", printable(what))),
    }
}

/// `muster move`.
pub(crate) async fn place(session: &Session<'_>, args: &Move) -> Result<(), Failure> {
    let Some(other) = args.before.as_ref().or(args.after.as_ref()) else {
        return Err(Failure::Usage("--before or --after is needed".to_owned()));
    };
    let other = whole_id(session, &args.entries.list, other).await?;
    let chosen = Chosen::of(session, &args.entries, None).await?;
    if chosen.ids.contains(&other) {
        return Err(Failure::Usage(
            "an entry cannot be moved next to itself".to_owned(),
        ));
    }
    let patch = EntryPatch {
        before: args.before.as_ref().map(|_| other.clone()),
        after: args.after.as_ref().map(|_| other.clone()),
        ..EntryPatch::default()
    };
    let change = BulkChange {
        patch: Some(patch),
        ..BulkChange::default()
    };
    chosen.change(session, "move", change).await
}

/// The entries that a command is about.
struct Chosen<'a> {
    args: &'a Entries,
    ids: Vec<String>,
}

impl<'a> Chosen<'a> {
    /// Those that were typed, or all that a filter finds: only these of the given state, unless it says
    /// another.
    async fn of(
        session: &Session<'_>,
        args: &'a Entries,
        state: Option<EntryStateFilter>,
    ) -> Result<Self, Failure> {
        if args.filter.is_empty() {
            let ids = resolve_all(session, &args.list, &args.ids).await?;
            return Ok(Self { args, ids });
        }
        let mut which = filter::read(session, &args.filter)?;
        which.state = which.state.or(state);
        let (at, wait) = (AtQuery::default(), session.wait());
        let call = session.client().entries(&args.list, &which, &at, &wait);
        let found = session.ask(call).await?.value;
        let ids: Vec<String> = found.into_iter().map(|entry| entry.id).collect();
        if ids.is_empty() {
            let list = printable(&args.list);
            return Err(Failure::NotFound(format!(
                "no entry of {list} is such a one"
            )));
        }
        Ok(Self { args, ids })
    }

    /// Changes them all or none, as one change, and prints them.
    async fn change(
        self,
        session: &Session<'_>,
        verb: &str,
        change: BulkChange,
    ) -> Result<(), Failure> {
        let sure = self.args.yes || self.args.filter.is_empty();
        asking::confirm(session, sure, &self.question(verb))?;
        let change = BulkChange {
            ids: self.ids,
            ..change
        };
        let mut changes = Changes::new(session, &self.args.durability);
        let how = changes.how.clone();
        let call = session
            .client()
            .edit_several(&self.args.list, &change, &how);
        let answer = changes.make(call, |all| all.replicas.as_ref()).await?;
        let raw = answer.raw.get("items").and_then(Value::as_array);
        for (entry, raw) in answer.value.items.iter().zip(raw.into_iter().flatten()) {
            print(session, entry, raw)?;
        }
        changes.end()
    }

    fn question(&self, verb: &str) -> String {
        let (count, list) = (self.ids.len(), printable(&self.args.list));
        let entries = if count == 1 { "entry" } else { "entries" };
        format!("{verb} {count} {entries} of {list}")
    }
}

/// The entry as it is now, by its whole id: a shorter one may belong to another entry tomorrow.
pub(super) fn print(session: &Session<'_>, entry: &TodoEntry, raw: &Value) -> Result<(), Failure> {
    if session.output.is_json() {
        return session.output.json(raw);
    }
    session.output.line(&format!(
        "{} {} {}",
        printable(&entry.id),
        mark(entry.done),
        printable(&entry.title)
    ))
}

/// The whole id of what was typed.
pub(super) async fn whole_id(
    session: &Session<'_>,
    list: &str,
    typed: &str,
) -> Result<String, Failure> {
    let mut ids = resolve_all(session, list, &[typed.to_owned()]).await?;
    ids.pop()
        .ok_or_else(|| Failure::Usage("an id is needed".to_owned()))
}

/// The whole ids of what was typed, each once; nothing is changed before all are known.
async fn resolve_all(
    session: &Session<'_>,
    list: &str,
    typed: &[String],
) -> Result<Vec<String>, Failure> {
    let whole = |text: &String| text.parse::<EntryId>().ok().map(|id| id.to_string());
    let mut entries = Vec::new();
    if !typed.iter().all(|text| whole(text).is_some()) {
        let (all, at) = (EntriesQuery::default(), AtQuery::default());
        let wait = session.wait();
        let call = session.client().entries(list, &all, &at, &wait);
        entries = session.ask(call).await?.value;
    }
    let mut ids = Vec::new();
    for text in typed {
        let id = match whole(text) {
            Some(id) => id,
            None => pick(list, text, &entries)?,
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn pick(list: &str, typed: &str, entries: &[TodoEntry]) -> Result<String, Failure> {
    match ids::find(typed, entries.iter().map(|entry| entry.id.as_str())) {
        Match::One(id) => Ok(id),
        Match::TooShort => Err(Failure::Usage(format!(
            "{typed:?} is too short for an id: 3 or more characters of \
                its beginning or end are needed"
        ))),
        Match::Nothing => Err(Failure::NotFound(format!(
            "no entry of {list} has an id that begins \
            or ends with {typed:?}"
        ))),
        Match::Several(ids) => {
            let line = |id: &String| {
                let title = entries
                    .iter()
                    .find(|entry| entry.id == *id)
                    .map(|entry| printable(&entry.title))
                    .unwrap_or_default();
                format!("\n  {} {title}", printable(id))
            };
            Err(Failure::Usage(format!(
                "{typed:?} may be any of \
                these:{}",
                ids.iter().map(line).collect::<String>()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::lists::entry::sample;
    use crate::output::Output;
    use clap::Parser;

    fn entries() -> Vec<TodoEntry> {
        vec![
            sample("01AAAAAAXYZ", "milk"),
            sample("01AAAAABXYZ", "bread\u{1b}"),
        ]
    }

    #[test]
    fn the_timeout_holds_for_changes_that_wait_for_no_other_node() {
        for (replicas, asked) in [(&[][..], None), (&["--replicas", "2"][..], Some("2"))] {
            let words = ["muster", "--timeout", "30s", "add", "bob", "milk"];
            let cli = Cli::try_parse_from(words.iter().chain(replicas)).unwrap();
            let Command::Add(args) = &cli.command else {
                panic!("another command")
            };
            let output = Output::of_process(false);
            let session = Session::new(&cli.global, &output).unwrap();
            let how = Changes::new(&session, &args.durability).how;
            assert_eq!(how.timeout.as_deref(), Some("30000ms"));
            assert_eq!(how.replicas.as_deref(), asked);
        }
    }

    #[test]
    fn an_id_that_means_several_entries_lists_them() {
        let Err(Failure::Usage(words)) = pick("bob", "xyz", &entries()) else {
            panic!("picked")
        };
        assert_eq!(
            words,
            "\"xyz\" may be any of these:\n  01AAAAAAXYZ milk\n  01AAAAABXYZ \
            bread\\u{1b}"
        );
        assert_eq!(
            pick("bob", "bxyz", &entries()).ok().as_deref(),
            Some("01AAAAABXYZ")
        );
        assert_eq!(
            pick("bob", "zz9", &entries()).map_err(|failure| failure.code()),
            Err(3)
        );
        assert_eq!(
            pick("bob", "z", &entries()).map_err(|failure| failure.code()),
            Err(2)
        );
    }
}
