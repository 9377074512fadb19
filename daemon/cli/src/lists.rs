//! To-do lists: commands that show them here, those that change them in `edit`.

pub(crate) mod asking;
pub(crate) mod conflicts;
pub(crate) mod dates;
pub(crate) mod due;
pub(crate) mod edit;
pub(crate) mod entry;
pub(crate) mod every;
pub(crate) mod fields;
pub(crate) mod filter;
pub(crate) mod history;
pub(crate) mod one;
mod sending;
pub(crate) mod titles;
pub(crate) mod transfer;
pub(crate) mod watch;

use crate::args::{Agenda, Show, SortBy};
use crate::failure::Failure;
use crate::ids;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::by_name;
use api::lists::{
    AtQuery, EntriesQuery, EntryPriority, EntryStateFilter, ListsQuery, TodoEntry, WaitingFilter,
};
use api::time::Due;
use client::Answer;
use fields::Priority;
use serde_json::Value;

/// `muster lists`.
pub(crate) async fn lists(session: &Session<'_>, matching: Option<&str>) -> Result<(), Failure> {
    let which = ListsQuery {
        part: matching.map(str::to_owned),
    };
    let answer = session.ask(session.client().lists(&which)).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let mut lists = answer.value;
    lists.sort_by(|a, b| by_name(&a.name, &b.name));
    let mut table = Table::new(&["NAME", "OPEN", "TOTAL", "MODIFIED"])
        .cut(&["NAME"])
        .spare(&["MODIFIED"]);
    for list in &lists {
        let modified = session.time(&list.modified_at.to_string());
        table.row([
            list.name.as_str().into(),
            list.open.to_string().into(),
            list.total.to_string().into(),
            Cell::painted(&modified, Paint::Dim),
        ]);
    }
    session.output.table(&table)
}

/// `muster show`.
pub(crate) async fn show(session: &Session<'_>, args: &Show) -> Result<(), Failure> {
    if let Some(id) = &args.id {
        return one::show(session, &args.list, id).await;
    }
    let at = match &args.at {
        Some(typed) => Some(history::whole_hash(session, &args.list, typed).await?),
        None => None,
    };
    let at = AtQuery { at };
    let which = which(session, args)?;
    let mut answer = session
        .ask(
            session
                .client()
                .entries(&args.list, &which, &at, &session.wait()),
        )
        .await?;
    if let Some(by) = args.sort {
        sort(&mut answer, by);
    }
    // The client does it, since the ids of what is shown are as short as all others allow.
    let is_shown = args.waiting || args.at.is_some();
    let waiting = if is_shown {
        0
    } else {
        hide_waiting(&mut answer, session)
    };
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    // What tells an entry from the others depends on all of them, also on those that are not shown.
    let all = EntriesQuery::default();
    let known = if which == all && waiting == 0 {
        answer.value.clone()
    } else {
        session
            .ask(
                session
                    .client()
                    .entries(&args.list, &all, &at, &session.wait()),
            )
            .await?
            .value
    };
    session
        .output
        .table(&table(&answer.value, &known, session))?;
    if waiting > 0 && session.output.is_for_people() {
        let words = format!("{waiting} waiting until later: muster show --waiting shows them too");
        session.output.line(&words)?;
    }
    Ok(())
}

/// Takes out what is open and out of sight until a later day; says how many these are.
fn hide_waiting(answer: &mut Answer<Vec<TodoEntry>>, session: &Session<'_>) -> usize {
    let now = due::now(session);
    let is_waiting = |entry: &TodoEntry| match entry.wait {
        Some(Due::Date(day)) => !entry.done && day > now.date(),
        Some(Due::Instant(at)) => !entry.done && at.0 > now.timestamp().as_millisecond(),
        None => false,
    };
    let shown: Vec<bool> = answer
        .value
        .iter()
        .map(|entry| !is_waiting(entry))
        .collect();
    let mut flags = shown.iter();
    answer
        .value
        .retain(|_| flags.next().is_none_or(|shown| *shown));
    if let Some(items) = answer.raw.get_mut("items").and_then(Value::as_array_mut) {
        let mut flags = shown.iter();
        items.retain(|_| flags.next().is_none_or(|shown| *shown));
    }
    shown.iter().filter(|shown| !**shown).count()
}

fn which(session: &Session<'_>, args: &Show) -> Result<EntriesQuery, Failure> {
    let state = if args.open {
        Some(EntryStateFilter::Open)
    } else {
        args.done.then_some(EntryStateFilter::Done)
    };
    let due = args.due.as_deref();
    let due = due.map(|text| due::to_find(text, session)).transpose()?;
    let due = due
        .or_else(|| args.no_due.then(|| "none".to_owned()))
        .or_else(|| args.overdue.then(|| due::OVERDUE.to_owned()));
    Ok(EntriesQuery {
        state,
        tz: due.as_ref().map(|_| session.zone_name().to_owned()),
        due,
        assignee: args.assignee.clone(),
        text: args.text.clone(),
        priority: args.priority.map(Priority::to_find),
        tag: (!args.tags.is_empty()).then(|| args.tags.clone()),
        estimate_min: args.estimate_min,
        estimate_max: args.estimate_max,
        ..EntriesQuery::default()
    })
}

/// Puts the entries into another order, also as they came.
fn sort(answer: &mut Answer<Vec<TodoEntry>>, by: SortBy) {
    let Some(items) = answer.raw.get_mut("items").and_then(Value::as_array_mut) else {
        return;
    };
    let entries = std::mem::take(&mut answer.value).into_iter();
    let mut both: Vec<(TodoEntry, Value)> = entries.zip(std::mem::take(items)).collect();
    let level = |entry: &TodoEntry| match entry.priority {
        Some(EntryPriority::High) => 0,
        Some(EntryPriority::Medium) => 1,
        Some(EntryPriority::Low) => 2,
        Some(EntryPriority::Other(_)) | None => 3,
    };
    // Dates and instants are sorted as they are written.
    let due = |entry: &TodoEntry| entry.due.map(|due| due.to_string());
    both.sort_by(|(a, _), (b, _)| match by {
        SortBy::Due => (due(a).is_none(), due(a)).cmp(&(due(b).is_none(), due(b))),
        SortBy::Priority => level(a).cmp(&level(b)),
        SortBy::Created => b.created_at.0.cmp(&a.created_at.0),
        SortBy::Modified => b.modified_at.0.cmp(&a.modified_at.0),
    });
    (answer.value, *items) = both.into_iter().unzip();
}

/// The lines of entries, with ids that are as short as all `known` entries of the list allow.
pub(crate) fn table(items: &[TodoEntry], known: &[TodoEntry], session: &Session<'_>) -> Table {
    let ids: Vec<&str> = known.iter().map(|entry| entry.id.as_str()).collect();
    let short = ids::short(&ids);
    let today = due::today(session);
    let mut table = entry::table();
    for entry in items {
        let id = short.get(entry.id.as_str()).copied().unwrap_or(&entry.id);
        table.row(entry::cells(entry, id, session, &today));
    }
    table
}

/// `muster agenda`.
pub(crate) async fn agenda(session: &Session<'_>, args: &Agenda) -> Result<(), Failure> {
    let today = due::today(session);
    let which = EntriesQuery {
        state: Some(EntryStateFilter::Open),
        due: args.overdue.then(|| due::OVERDUE.to_owned()),
        waiting: (!args.waiting).then_some(WaitingFilter::Hide),
        due_to: args.today.then(|| today.clone()),
        tag: (!args.tags.is_empty()).then(|| args.tags.clone()),
        tz: Some(session.zone_name().to_owned()),
        ..EntriesQuery::default()
    };
    let mut answer = session.ask(session.client().agenda(&which)).await?;
    let is_wanted = |list: Option<&str>| {
        let mut wanted = args.lists.iter();
        args.lists.is_empty() || wanted.any(|name| Some(name.as_str()) == list)
    };
    answer
        .value
        .retain(|entry| is_wanted(entry.list.as_deref()));
    if let Some(items) = answer.raw.get_mut("items").and_then(Value::as_array_mut) {
        items.retain(|item| is_wanted(item.get("list").and_then(Value::as_str)));
    }
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let mut table = Table::new(&["DUE", "LIST", "ID", "TITLE", "TAGS", "PRIORITY", "ASSIGNEE"])
        .cut(&["TITLE", "LIST", "TAGS", "ASSIGNEE"])
        .spare(&["ASSIGNEE", "TAGS", "PRIORITY"]);
    for entry in &answer.value {
        let priority = entry.priority.as_ref().map(|priority| priority.as_str());
        table.row([
            entry::due_cell(entry, session, &today),
            entry.list.as_deref().unwrap_or_default().into(),
            Cell::painted(ids::likely(&entry.id), Paint::Dim),
            entry.title.as_str().into(),
            entry.tags.join(",").into(),
            priority.unwrap_or_default().into(),
            entry.assignee.as_deref().unwrap_or_default().into(),
        ]);
    }
    session.output.table(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::StatusCode;
    use serde_json::json;

    #[test]
    fn entries_are_sorted_as_they_were_answered_too() {
        let entry = |id: &str, due: Option<&str>, priority: Option<&str>, at: u8| {
            let mut raw = serde_json::to_value(entry::sample(id, id)).unwrap();
            raw["due"] = json!(due);
            raw["priority"] = json!(priority);
            raw["created_at"] = json!(format!("2026-10-0{at}T12:00:00.000Z"));
            raw
        };
        let items = vec![
            entry("a", None, Some("low"), 1),
            entry("b", Some("2026-03-02"), None, 3),
            entry("c", Some("2026-03-01"), Some("high"), 2),
        ];
        let sorted = |by| {
            let mut answer = Answer {
                value: items
                    .iter()
                    .map(|raw| serde_json::from_value(raw.clone()).unwrap())
                    .collect(),
                raw: json!({ "items": items, "next": null }),
                status: StatusCode::OK,
                etag: None,
            };
            sort(&mut answer, by);
            let ids: Vec<String> = answer.value.into_iter().map(|entry| entry.id).collect();
            let raw: Vec<&str> = answer.raw["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str().unwrap())
                .collect();
            assert_eq!(ids, raw);
            ids.concat()
        };
        assert_eq!(sorted(SortBy::Due), "cba");
        assert_eq!(sorted(SortBy::Priority), "cab");
        assert_eq!(sorted(SortBy::Created), "bca");
        assert_eq!(sorted(SortBy::Modified), "abc");
    }
}
