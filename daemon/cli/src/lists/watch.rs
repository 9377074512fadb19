//! `muster watch`: a list as it changes.

use crate::cluster::events::told;
use crate::failure::Failure;
use crate::ids;
use crate::lists;
use crate::lists::entry::mark;
use crate::session::Session;
use crate::stream::Stream;
use crate::text::printable;
use api::events::ListStreamEvent;
use api::lists::TodoEntry;
use api::time::Millis;
use client::{ApiPath, ServerEvent};
use serde_json::{Value, json};

/// Prints the list as it is, then a line for each change.
pub(crate) async fn follow(session: &Session<'_>, list: &str) -> Result<(), Failure> {
    let path = ApiPath::new(&["lists", list, "watch"]);
    let mut stream = Stream::open(session, &path).await?;
    // A snapshot may come in several parts; short ids need all of it.
    let mut first: Vec<TodoEntry> = Vec::new();
    loop {
        let event = stream.next().await?;
        let mut data = told(&event)?;
        if session.output.is_json() {
            named(&mut data, &event.event);
            session.output.json(&data)?;
            continue;
        }
        if let Ok(ListStreamEvent::Snapshot(part)) = event.read() {
            first.extend(part.items);
            if part.last {
                let all = std::mem::take(&mut first);
                session.output.table(&lists::table(&all, &all, session))?;
            }
            continue;
        }
        let now = Millis(jiff::Timestamp::now().as_millisecond());
        let now = session.time(&now.to_string());
        session.output.happened(&now, &describe(&event))?;
    }
}

/// In a file of lines each object must say itself what it is.
pub(crate) fn named(data: &mut Value, event: &str) {
    if let Some(object) = data.as_object_mut() {
        object.entry("event").or_insert_with(|| json!(event));
    }
}

fn describe(event: &ServerEvent) -> String {
    let name = printable(&event.event);
    let id = |id: &str| printable(ids::likely(id));
    match event.read() {
        Ok(ListStreamEvent::Added(told) | ListStreamEvent::Changed(told)) => {
            let entry = &told.entry;
            let title = printable(&entry.title);
            format!("{name} {} {} {title}", id(&entry.id), mark(entry))
        }
        Ok(ListStreamEvent::Removed(removed)) => format!("{name} {}", id(&removed.id)),
        Ok(
            ListStreamEvent::Snapshot(_) | ListStreamEvent::Deleted(_) | ListStreamEvent::Lagged(_),
        )
        | Err(_) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::entry::sample;

    #[test]
    fn changes_read_as_lines() {
        let event = |event: &str, data: Value| ServerEvent {
            event: event.to_owned(),
            data: data.to_string(),
            id: None,
        };
        let entry = TodoEntry {
            done: true,
            ..sample("01J9ZX0000AAAAAAAAAAAAABCD", "milk\n")
        };
        assert_eq!(
            describe(&event("changed", json!({ "entry": entry }))),
            "changed AAABCD [x] milk\\u{a}"
        );
        assert_eq!(
            describe(&event(
                "removed",
                json!({"id": "01J9ZX0000AAAAAAAAAAAAABCD"})
            )),
            "removed AAABCD"
        );
        assert_eq!(describe(&event("deleted", json!({}))), "deleted");
        assert_eq!(describe(&event("merged", json!({"id": 7}))), "merged");
    }

    #[test]
    fn an_object_says_which_event_it_is() {
        let mut data = json!({"id": "x"});
        named(&mut data, "removed");
        assert_eq!(data, json!({"id": "x", "event": "removed"}));
    }
}
