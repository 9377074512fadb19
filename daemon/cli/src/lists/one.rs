//! `muster show LIST ID`: all that there is to say of one entry.

use super::edit::whole_id;
use super::entry::mark;
use super::fields::in_hours;
use super::history;
use crate::failure::Failure;
use crate::session::Session;
use crate::text::{printable, printable_lines};
use api::lists::{EntryConflicts, TodoEntry};
use serde_json::{Value, json};

/// So many of its last changes are shown.
const CHANGES: u32 = 5;

/// Shows an entry with its notes in full, what was written apart in it, and its last changes.
pub(crate) async fn show(session: &Session<'_>, list: &str, typed: &str) -> Result<(), Failure> {
    let id = whole_id(session, list, typed).await?;
    let entry = session.ask(session.client().entry(list, &id)).await?;
    let (changes, told) = history::newest(session, list, Some(id.clone()), CHANGES).await?;
    let (disputed, values) = conflicts(session, list, &entry.value).await?;
    if session.output.is_json() {
        let mut raw = entry.raw;
        if let Some(object) = raw.as_object_mut() {
            object.insert(
                "history".to_owned(),
                told.get("items").cloned().unwrap_or_default(),
            );
            object.insert("values".to_owned(), values);
        }
        return session.output.json(&raw);
    }
    for (name, value) in fields(session, &entry.value) {
        let words = || format!("{name:<10} {value}");
        session.output.record(&[name, &value], words)?;
    }
    if !entry.value.notes.is_empty() {
        notes(session, &entry.value.notes)?;
    }
    let people = session.output.is_for_people();
    if let Some(disputed) = disputed {
        for field in &disputed.fields {
            for value in &field.values {
                let (name, by) = (printable(field.field.as_str()), printable(&value.by));
                let (text, at) = (printable(&value.value), session.time(&value.at.to_string()));
                let words = || format!("! {name:<8} {text:?} by {by}, {at}");
                let fields = ["conflict", &name, &value.value, &value.by, &at];
                session.output.record(&fields, words)?;
            }
        }
        let (list, id) = (printable(list), printable(&id));
        if people && let Some(field) = disputed.fields.first() {
            let field = printable(field.field.as_str());
            let words = format!("one value settles it: muster resolve {list} {id} {field} VALUE");
            session.output.line(&words)?;
        }
    }
    if people {
        session.output.line("")?;
    }
    session.output.table(&history::table(session, &changes))
}

/// The values of its fields that were written apart, if there are any.
async fn conflicts(
    session: &Session<'_>,
    list: &str,
    entry: &TodoEntry,
) -> Result<(Option<EntryConflicts>, Value), Failure> {
    if entry.conflicts.is_empty() {
        return Ok((None, json!([])));
    }
    let wait = session.wait();
    let answer = session.ask(session.client().conflicts(list, &wait)).await?;
    let items = answer.raw.get("items").and_then(Value::as_array);
    let items = items.into_iter().flatten();
    let raw = items.zip(&answer.value).find(|(_, one)| one.id == entry.id);
    let values = raw.and_then(|(raw, _)| raw.get("fields").cloned());
    let values = values.unwrap_or_else(|| json!([]));
    let found = answer.value.into_iter().find(|one| one.id == entry.id);
    Ok((found, values))
}

/// Its fields that are set, each with its name.
fn fields(session: &Session<'_>, entry: &TodoEntry) -> Vec<(&'static str, String)> {
    let time = |at: String| session.time(&at);
    let by = |at: String, by: &str| format!("{} by {}", time(at), printable(by));
    let priority = entry.priority.as_ref();
    let all = [
        ("id", Some(printable(&entry.id))),
        (
            "title",
            Some(format!("{} {}", mark(entry.done), printable(&entry.title))),
        ),
        ("done", entry.done_at.map(|at| time(at.to_string()))),
        ("due", entry.due.map(|due| session.due(&due.to_string()))),
        ("priority", priority.map(|level| printable(level.as_str()))),
        ("tags", Some(printable(&entry.tags.join(",")))),
        ("assignee", entry.assignee.as_deref().map(printable)),
        ("estimate", entry.estimate.map(in_hours)),
        (
            "wait",
            entry.wait.map(|wait| session.due(&wait.to_string())),
        ),
        ("every", entry.every.as_deref().map(printable)),
        ("planned", entry.planned.map(|day| day.to_string())),
        (
            "added",
            Some(by(entry.created_at.to_string(), &entry.created_by)),
        ),
        (
            "changed",
            Some(by(entry.modified_at.to_string(), &entry.modified_by)),
        ),
    ];
    let set = all
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    set.filter(|(_, value)| !value.is_empty()).collect()
}

/// Notes have lines of their own for people, and one for programs.
fn notes(session: &Session<'_>, notes: &str) -> Result<(), Failure> {
    session.output.record(&["notes", notes], || {
        let lines = printable_lines(notes);
        let lines: Vec<String> = lines.lines().map(|line| format!("  {line}")).collect();
        format!("notes\n{}", lines.join("\n"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::lists::entry::sample;
    use crate::output::Output;
    use clap::Parser;

    #[test]
    fn only_what_is_set_is_shown() {
        let cli = Cli::try_parse_from(["muster", "show", "bob"]).unwrap();
        let output = Output::of_process(false);
        let session = Session::new(&cli.global, &output).unwrap();
        let entry = TodoEntry {
            estimate: Some(90),
            ..sample("01J9ZX0000AAAAAAAAAAAAABCD", "milk")
        };
        let shown = fields(&session, &entry);
        let names: Vec<&str> = shown.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["id", "title", "estimate", "added", "changed"]);
        assert_eq!(shown[1].1, "[ ] milk");
        assert_eq!(shown[2].1, "1h30m");
        assert!(shown[3].1.ends_with("by alice@n1"), "{shown:?}");
    }
}
