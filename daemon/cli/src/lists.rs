//! To-do lists: commands that show them here, those that change them in `edit`.

pub(crate) mod dates;
pub(crate) mod due;
pub(crate) mod edit;
pub(crate) mod entry;
pub(crate) mod fields;
pub(crate) mod titles;
pub(crate) mod watch;

use crate::args::Show;
use crate::failure::Failure;
use crate::ids;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::sort_by_name;
use client::ApiPath;
use entry::Entry;
use serde_json::{Value, json};

/// `muster lists`.
pub(crate) async fn lists(session: &Session<'_>, matching: Option<&str>) -> Result<(), Failure> {
    let mut items = session
        .items(&ApiPath::new(&["lists"]).maybe("match", matching))
        .await?;
    if session.output.is_json() {
        return session.output.json(&page(items));
    }
    sort_by_name(&mut items);
    let mut table = Table::new(&["NAME", "OPEN", "TOTAL", "MODIFIED"])
        .cut(&["NAME"])
        .spare(&["MODIFIED"]);
    for list in &items {
        let text = |field: &str| list.get(field).and_then(Value::as_str).unwrap_or_default();
        let number = |field: &str| {
            list.get(field)
                .and_then(Value::as_u64)
                .unwrap_or(0)
                .to_string()
        };
        let modified = session.time(text("modified_at"));
        table.row([
            text("name").into(),
            number("open").into(),
            number("total").into(),
            Cell::painted(&modified, Paint::Dim),
        ]);
    }
    session.output.table(&table)
}

/// `muster show`.
pub(crate) async fn show(session: &Session<'_>, args: &Show) -> Result<(), Failure> {
    let all = ApiPath::new(&["lists", &args.list, "entries"]).maybe("at", args.at.as_deref());
    let mut filtered = all.clone();
    if let Some(state) = if args.open {
        Some("open")
    } else {
        args.done.then_some("done")
    } {
        filtered = filtered.query("state", state);
    }
    if let Some(text) = &args.due {
        filtered = filtered
            .query("due", &due::to_find(text, session)?)
            .maybe("tz", session.zone_name());
    }
    for tag in &args.tags {
        filtered = filtered.query("tag", tag);
    }
    let items = session.items(&filtered).await?;
    if session.output.is_json() {
        return session.output.json(&page(items));
    }
    // What tells an entry from the others depends on all of them, also on those that are not shown.
    let known = if filtered == all {
        items.clone()
    } else {
        session.items(&all).await?
    };
    session.output.table(&table(&items, &known, session))
}

/// The lines of entries, with ids that are as short as all `known` entries of the list allow.
pub(crate) fn table(items: &[Value], known: &[Value], session: &Session<'_>) -> Table {
    let ids: Vec<&str> = known
        .iter()
        .filter_map(|entry| entry.get("id").and_then(Value::as_str))
        .collect();
    let short = ids::short(&ids);
    let today = due::today(session);
    let mut table = entry::table();
    for entry in items.iter().map(Entry::read) {
        let id = short.get(entry.id.as_str()).copied().unwrap_or(&entry.id);
        table.row(entry.cells(id, &session.zone, &today));
    }
    table
}

/// `muster agenda`.
pub(crate) async fn agenda(session: &Session<'_>, only_today: bool) -> Result<(), Failure> {
    let today = due::today(session);
    let path = ApiPath::new(&["entries"])
        .query("state", "open")
        .maybe("due_to", only_today.then_some(&today))
        .maybe("tz", session.zone_name());
    let items = session.items(&path).await?;
    if session.output.is_json() {
        return session.output.json(&page(items));
    }
    let mut table = Table::new(&["DUE", "LIST", "ID", "TITLE", "TAGS", "PRIORITY", "ASSIGNEE"])
        .cut(&["TITLE", "LIST", "TAGS", "ASSIGNEE"])
        .spare(&["ASSIGNEE", "TAGS", "PRIORITY"]);
    for entry in items.iter().map(Entry::read) {
        let text = |field: &Option<String>| Cell::from(field.as_deref().unwrap_or_default());
        table.row([
            entry.due_cell(&session.zone, &today),
            text(&entry.list),
            Cell::painted(ids::likely(&entry.id), Paint::Dim),
            entry.title.as_str().into(),
            entry.tags.join(",").into(),
            text(&entry.priority),
            text(&entry.assignee),
        ]);
    }
    session.output.table(&table)
}

/// All pages as one, in the form of the API.
fn page(items: Vec<Value>) -> Value {
    json!({ "items": items, "next": null })
}
