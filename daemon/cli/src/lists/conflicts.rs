//! `muster conflicts`, `muster resolve`: what was written apart, and how it is settled.

use super::edit::{Changes, print, whole_id};
use crate::args::Resolve;
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::printable;
use api::lists::{EntriesQuery, EntryConflicts, EntryField, FieldConflict, Resolution};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// `muster conflicts`: of one list, or of all that have any.
pub(crate) async fn conflicts(session: &Session<'_>, list: Option<&str>) -> Result<(), Failure> {
    let lists = match list {
        Some(list) => BTreeSet::from([list.to_owned()]),
        None => disputed_lists(session).await?,
    };
    let mut raw = Vec::new();
    let mut found = Vec::new();
    for list in lists {
        let wait = session.wait();
        let call = session.client().conflicts(&list, &wait);
        let answer = session.ask(call).await?;
        let items = answer.raw.get("items").and_then(Value::as_array);
        for item in items.into_iter().flatten() {
            let mut item = item.clone();
            if let Some(object) = item.as_object_mut() {
                object.insert("list".to_owned(), json!(list));
            }
            raw.push(item);
        }
        found.push((list, answer.value));
    }
    if session.output.is_json() {
        return session.output.json(&json!({ "items": raw, "next": null }));
    }
    session.output.table(&table(session, &found))?;
    if session.output.is_for_people()
        && let Some(hint) = found.iter().find_map(|(list, entries)| hint(list, entries))
    {
        session.output.line(&hint)?;
    }
    Ok(())
}

/// The lists that have entries with fields that were written apart.
async fn disputed_lists(session: &Session<'_>) -> Result<BTreeSet<String>, Failure> {
    let all = EntriesQuery::default();
    let entries = session.ask(session.client().agenda(&all)).await?.value;
    let disputed = entries
        .into_iter()
        .filter(|entry| !entry.conflicts.is_empty());
    Ok(disputed.filter_map(|entry| entry.list).collect())
}

/// A line for each value, the one that is shown first.
fn table(session: &Session<'_>, found: &[(String, Vec<EntryConflicts>)]) -> Table {
    let mut table = Table::new(&["LIST", "ID", "TITLE", "FIELD", "VALUE", "BY", "WRITTEN"])
        .cut(&["TITLE", "VALUE"])
        .spare(&["WRITTEN", "LIST"]);
    for (list, entries) in found {
        for entry in entries {
            for field in &entry.fields {
                for (value, by, at) in values(field) {
                    table.row([
                        list.as_str().into(),
                        Cell::painted(&entry.id, Paint::Dim),
                        entry.title.as_str().into(),
                        field.field.as_str().into(),
                        value,
                        by.into(),
                        at.map(|at| session.time(&at)).unwrap_or_default().into(),
                    ]);
                }
            }
        }
    }
    table
}

/// Each value with who wrote it, and when.
fn values(field: &FieldConflict) -> Vec<(Cell, String, Option<String>)> {
    let shown = |nth, text: &str| match nth {
        0 => Cell::painted(text, Paint::Bold),
        _ => text.into(),
    };
    let values = field.values.iter().enumerate();
    values
        .map(|(nth, value)| {
            (
                shown(nth, &value.value),
                value.by.clone(),
                Some(value.at.to_string()),
            )
        })
        .collect()
}

/// How the first one is settled.
fn hint(list: &str, entries: &[EntryConflicts]) -> Option<String> {
    let (entry, field) = entries
        .iter()
        .find_map(|entry| Some((entry, entry.fields.first()?)))?;
    let (list, id) = (printable(list), printable(&entry.id));
    let field = printable(field.field.as_str());
    Some(format!(
        "one value settles a field: muster resolve {list} {id} {field} VALUE"
    ))
}

/// `muster resolve`.
pub(crate) async fn resolve(session: &Session<'_>, args: &Resolve) -> Result<(), Failure> {
    let id = whole_id(session, &args.list, &args.id).await?;
    let wait = session.wait();
    let call = session.client().conflicts(&args.list, &wait);
    let entries = session.ask(call).await?.value;
    // What came after this look shall not be overwritten unseen.
    let tag = entries
        .iter()
        .find(|entry| entry.id == id)
        .map(|entry| entry.etag.clone());
    let decision = Resolution {
        entry: id.clone(),
        field: EntryField::from(args.field.as_str()),
        value: args.value.clone(),
    };
    let mut changes = Changes::new(session, &args.durability);
    let (client, how) = (session.client(), changes.how.clone());
    let call = client.resolve(&args.list, &decision, &how, tag.as_deref());
    let answer = changes
        .make(call, |entry| {
            entry.as_ref().and_then(|entry| entry.replicas.as_ref())
        })
        .await?;
    match &answer.value {
        Some(entry) => print(session, entry, &answer.raw)?,
        None if session.output.is_json() => {}
        None => session
            .output
            .line(&format!("{} is deleted", printable(&id)))?,
    }
    changes.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(fields: Value) -> Vec<EntryConflicts> {
        let entry = json!({ "id": "01J0", "title": "milk", "etag": "\"0\"", "fields": fields });
        vec![serde_json::from_value(entry).unwrap()]
    }

    #[test]
    fn the_way_to_settle_is_told() {
        let value = json!({ "value": "a", "by": "ann@n1", "at": "2026-03-01T00:00:00Z" });
        let title = entries(json!([{ "field": "title", "values": [value, value] }]));
        assert_eq!(
            hint("groceries", &title).unwrap(),
            "one value settles a field: muster resolve groceries 01J0 title VALUE"
        );
        assert_eq!(values(&title[0].fields[0]).len(), 2);
        assert_eq!(hint("groceries", &entries(json!([]))), None);
    }
}
