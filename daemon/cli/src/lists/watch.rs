//! `muster watch`: a list as it changes.

use crate::cluster::events::{ended, told};
use crate::failure::Failure;
use crate::ids;
use crate::lists;
use crate::lists::entry::Entry;
use crate::session::Session;
use crate::text::printable;
use client::ApiPath;
use serde_json::{Value, json};

/// Prints the list as it is, then a line for each change.
pub(crate) async fn follow(session: &Session<'_>, list: &str) -> Result<(), Failure> {
    let mut stream = session
        .stream(&ApiPath::new(&["lists", list, "watch"]))
        .await?;
    // A snapshot may come in several parts; short ids need all of it.
    let mut first = Vec::new();
    while let Some(event) = stream
        .next()
        .await
        .map_err(|error| session.explain(error))?
    {
        let mut data = told(&event)?;
        if session.output.is_json() {
            named(&mut data, &event.event);
            session.output.json(&data)?;
        } else if event.event == "snapshot" {
            first.extend(
                data.get("items")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
            if data.get("last").and_then(Value::as_bool).unwrap_or(true) {
                let all = std::mem::take(&mut first);
                session.output.table(&lists::table(&all, &all, session))?;
            }
        } else {
            let now = session.time(&jiff::Timestamp::now().to_string());
            session
                .output
                .happened(&now, &describe(&event.event, &data))?;
        }
    }
    Err(ended())
}

/// In a file of lines each object must say itself what it is.
pub(crate) fn named(data: &mut Value, event: &str) {
    if let Some(object) = data.as_object_mut() {
        object.entry("event").or_insert_with(|| json!(event));
    }
}

fn describe(event: &str, data: &Value) -> String {
    let id = |id: &str| printable(ids::likely(id));
    match data.get("entry").map(Entry::read) {
        Some(entry) => format!(
            "{event} {} {} {}",
            id(&entry.id),
            entry.mark(),
            printable(&entry.title)
        ),
        None => match data.get("id").and_then(Value::as_str) {
            Some(removed) => format!("{event} {}", id(removed)),
            None => event.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_read_as_lines() {
        let entry =
            json!({"entry": {"id": "01J9ZX0000AAAAAAAAAAAAABCD", "title": "milk\n", "done": true}});
        assert_eq!(describe("changed", &entry), "changed AAABCD [x] milk\\u{a}");
        assert_eq!(
            describe("removed", &json!({"id": "01J9ZX0000AAAAAAAAAAAAABCD"})),
            "removed AAABCD"
        );
        assert_eq!(describe("deleted", &json!({})), "deleted");
    }

    #[test]
    fn an_object_says_which_event_it_is() {
        let mut data = json!({"id": "x"});
        named(&mut data, "removed");
        assert_eq!(data, json!({"id": "x", "event": "removed"}));
    }
}
