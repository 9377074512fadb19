//! `muster log`: who changed what. `muster undo`, `muster redo`: a change that takes another one back.

use super::edit::{Changes, whole_id};
use crate::args::{Log, Undo};
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::printable;
use api::lists::{HistoryQuery, ListChange, NotUndone, UndoRequest, UndoResult};
use api::page::PageQuery;
use serde_json::{Value, json};

/// The most changes of a page.
const MAX_PAGE: u32 = 1000;
/// So many characters of a hash are shown to people.
const SHORT: usize = 8;
/// The fewest characters by which a change can be named.
const SHORTEST: usize = 4;

/// Which way a change goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Undoes one.
    Undo,
    /// Takes an undoing back.
    Redo,
}

/// `muster log`.
pub(crate) async fn log(session: &Session<'_>, args: &Log) -> Result<(), Failure> {
    let entry = match &args.id {
        Some(id) => Some(whole_id(session, &args.list, id).await?),
        None => None,
    };
    let (changes, raw) = newest(session, &args.list, entry, args.limit).await?;
    if session.output.is_json() {
        return session.output.json(&raw);
    }
    session.output.table(&table(session, &changes))?;
    let is_cut = raw.get("next").is_some_and(|next| !next.is_null());
    if is_cut && session.output.is_for_people() {
        let words = format!("older ones: muster log {} --limit N", printable(&args.list));
        session.output.line(&words)?;
    }
    Ok(())
}

/// The newest changes, at most so many, with the page as the API would answer it.
pub(crate) async fn newest(
    session: &Session<'_>,
    list: &str,
    entry: Option<String>,
    most: u32,
) -> Result<(Vec<ListChange>, Value), Failure> {
    let which = HistoryQuery { entry };
    let (mut changes, mut raw, mut cursor) = (Vec::new(), Vec::new(), None);
    let mut left = most;
    while left > 0 {
        let page = PageQuery {
            limit: Some(left.min(MAX_PAGE)),
            cursor: cursor.take(),
        };
        let wait = session.wait();
        let call = session.client().history(list, &which, &page, &wait);
        let answer = session.ask(call).await?;
        let items = answer.raw.get("items").and_then(Value::as_array);
        raw.extend(items.into_iter().flatten().cloned());
        let read = u32::try_from(answer.value.items.len()).unwrap_or(u32::MAX);
        left = left.saturating_sub(read);
        changes.extend(answer.value.items);
        cursor = answer.value.next;
        if cursor.is_none() || read == 0 {
            break;
        }
    }
    Ok((changes, json!({ "items": raw, "next": cursor })))
}

/// A line for each change.
pub(crate) fn table(session: &Session<'_>, changes: &[ListChange]) -> Table {
    let mut table = Table::new(&["WHEN", "BY", "CHANGE", "WHAT"])
        .cut(&["WHAT", "BY"])
        .spare(&["CHANGE"]);
    for change in changes {
        table.row([
            session.time(&change.at.to_string()).into(),
            change.by.as_str().into(),
            Cell::painted(shown(session, &change.hash), Paint::Dim),
            change.summary.as_str().into(),
        ]);
    }
    table
}

/// A hash as people can type it; all of it for programs.
fn shown<'a>(session: &Session<'_>, hash: &'a str) -> &'a str {
    if session.output.is_for_people() {
        hash.get(..SHORT).unwrap_or(hash)
    } else {
        hash
    }
}

/// The whole hash of what was typed: its beginning, if no other change of the list has it.
pub(crate) async fn whole_hash(
    session: &Session<'_>,
    list: &str,
    typed: &str,
) -> Result<String, Failure> {
    // What cannot be the beginning of one is the API's to refuse.
    let is_part = (SHORTEST..64).contains(&typed.len());
    if !is_part || !typed.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(typed.to_owned());
    }
    let (changes, _) = newest(session, list, None, u32::MAX).await?;
    pick(typed, changes.into_iter().map(|change| change.hash))
}

fn pick(typed: &str, all: impl Iterator<Item = String>) -> Result<String, Failure> {
    let begin = typed.to_ascii_lowercase();
    let mut found: Vec<String> = all.filter(|hash| hash.starts_with(&begin)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(hash), true) => Ok(hash),
        (Some(_), false) => Err(Failure::Usage(format!(
            "{typed:?} is the beginning of several changes"
        ))),
        (None, _) => Err(Failure::NotFound(format!(
            "the list has no change that begins with {typed:?}"
        ))),
    }
}

/// `muster undo`, `muster redo`.
pub(crate) async fn undo(session: &Session<'_>, args: &Undo, way: Way) -> Result<(), Failure> {
    let change = match &args.change {
        Some(typed) => Some(whole_hash(session, &args.list, typed).await?),
        None => None,
    };
    let request = UndoRequest { change };
    let mut changes = Changes::new(session, &args.durability);
    let (client, how, list) = (session.client(), changes.how.clone(), args.list.as_str());
    let answer = match way {
        Way::Undo => {
            let call = client.undo(list, &request, &how);
            changes
                .make(call, |result| result.replicas.as_ref())
                .await?
        }
        Way::Redo => {
            let call = client.redo(list, &request, &how);
            changes
                .make(call, |result| result.replicas.as_ref())
                .await?
        }
    };
    if session.output.is_json() {
        session.output.json(&answer.raw)?;
    } else {
        for line in told(&answer.value, list, way) {
            session.output.line(&line)?;
        }
    }
    changes.end()?;
    if answer.value.entries == 0 && !answer.value.skipped.is_empty() {
        return Err(Failure::Conflict(
            "nothing of it was undone: all of it was changed since".to_owned(),
        ));
    }
    Ok(())
}

/// What came of it, a line each.
fn told(result: &UndoResult, list: &str, way: Way) -> Vec<String> {
    let change = result.change.get(..SHORT).unwrap_or(&result.change);
    let entries = match result.entries {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    };
    let verb = match way {
        Way::Undo => "undid",
        Way::Redo => "took back the undoing",
    };
    let mut lines = vec![format!("{verb} {} in {entries}", printable(change))];
    for one in &result.skipped {
        let (id, field) = (printable(&one.entry), printable(one.field.as_str()));
        lines.push(match &one.why {
            NotUndone::Changed => format!("{field} of {id} stays: it was changed since"),
            NotUndone::Deleted => format!("{id} stays deleted: that came since"),
            NotUndone::Conflict => format!(
                "{field} of {id} is in conflict: muster conflicts {} shows its values",
                printable(list)
            ),
            NotUndone::Foreign | NotUndone::Other(_) => {
                format!("{field} of {id} stays as it is")
            }
        });
    }
    if result.more_skipped > 0 {
        lines.push(format!("and {} more stay as they are", result.more_skipped));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_named_by_its_beginning() {
        let all = || {
            ["abcd12", "abcd34", "ff0011"]
                .map(str::to_owned)
                .into_iter()
        };
        assert_eq!(pick("FF00", all()).ok().as_deref(), Some("ff0011"));
        let code = |typed| pick(typed, all()).map_err(|failure| failure.code());
        assert_eq!((code("abcd"), code("0000")), (Err(2), Err(3)));
    }

    #[test]
    fn what_stays_is_told_a_line_each() {
        let result = serde_json::from_value(json!({
            "change": "abcdef0123456789", "entries": 1, "more_skipped": 3,
            "skipped": [
                { "entry": "01J0", "field": "title", "why": "changed" },
                { "entry": "01J1", "field": "due", "why": "conflict" },
            ],
        }))
        .unwrap();
        let lines = told(&result, "shop", Way::Undo);
        assert_eq!(lines[0], "undid abcdef01 in 1 entry");
        assert_eq!(lines[1], "title of 01J0 stays: it was changed since");
        assert!(lines[2].ends_with("muster conflicts shop shows its values"));
        assert_eq!(lines[3], "and 3 more stay as they are");
    }
}
