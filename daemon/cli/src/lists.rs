//! To-do lists: commands that show them here, those that change them in `edit`.

pub(crate) mod conflicts;
pub(crate) mod dates;
pub(crate) mod due;
pub(crate) mod edit;
pub(crate) mod entry;
pub(crate) mod fields;
pub(crate) mod history;
pub(crate) mod titles;
pub(crate) mod watch;

use crate::args::Show;
use crate::failure::Failure;
use crate::ids;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::by_name;
use api::lists::{AtQuery, EntriesQuery, EntryStateFilter, ListsQuery, TodoEntry};

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
    let at = match &args.at {
        Some(typed) => Some(history::whole_hash(session, &args.list, typed).await?),
        None => None,
    };
    let at = AtQuery { at };
    let which = which(session, args)?;
    let answer = session
        .ask(
            session
                .client()
                .entries(&args.list, &which, &at, &session.wait()),
        )
        .await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    // What tells an entry from the others depends on all of them, also on those that are not shown.
    let all = EntriesQuery::default();
    let known = if which == all {
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
    session.output.table(&table(&answer.value, &known, session))
}

fn which(session: &Session<'_>, args: &Show) -> Result<EntriesQuery, Failure> {
    let state = if args.open {
        Some(EntryStateFilter::Open)
    } else {
        args.done.then_some(EntryStateFilter::Done)
    };
    let due = args.due.as_deref();
    let due = due.map(|text| due::to_find(text, session)).transpose()?;
    Ok(EntriesQuery {
        state,
        tz: due.as_ref().and(session.zone_name()).map(str::to_owned),
        due,
        tag: (!args.tags.is_empty()).then(|| args.tags.clone()),
        estimate_min: args.estimate_min,
        estimate_max: args.estimate_max,
        ..EntriesQuery::default()
    })
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
pub(crate) async fn agenda(session: &Session<'_>, only_today: bool) -> Result<(), Failure> {
    let today = due::today(session);
    let which = EntriesQuery {
        state: Some(EntryStateFilter::Open),
        due_to: only_today.then(|| today.clone()),
        tz: session.zone_name().map(str::to_owned),
        ..EntriesQuery::default()
    };
    let answer = session.ask(session.client().agenda(&which)).await?;
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
