//! `muster monitor`: the life of a process as it happens.

use crate::args::Monitor;
use crate::cluster::events::{ended, process, told};
use crate::failure::Failure;
use crate::lists::watch::named;
use crate::session::Session;
use client::{ApiPath, ServerEvent};
use serde_json::Value;

/// Prints who has the name, then a line for each thing that happens to them.
pub(crate) async fn follow(session: &Session<'_>, args: &Monitor) -> Result<(), Failure> {
    let path = ApiPath::new(&["processes", &args.process, "monitor"])
        .maybe("wait", args.wait.then_some("true"));
    let mut stream = session.stream(&path).await?;
    while let Some(event) = stream
        .next()
        .await
        .map_err(|error| session.explain(error))?
    {
        let mut data = told(&event)?;
        if session.output.is_json() {
            named(&mut data, &event.event);
            session.output.json(&data)?;
        } else {
            print(session, &event, &data)?;
        }
        if args.once && event.event == "down" {
            return Ok(());
        }
    }
    Err(ended())
}

fn print(session: &Session<'_>, event: &ServerEvent, data: &Value) -> Result<(), Failure> {
    if event.event == "snapshot" {
        let items = data
            .get("items")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let text = |item: &'_ Value, field: &str| {
            item.get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        return items
            .iter()
            .try_for_each(|item| line(session, item, &text(item, "since"), &text(item, "state")));
    }
    line(
        session,
        data,
        data.get("at").and_then(Value::as_str).unwrap_or_default(),
        &event.event,
    )
}

/// One record: tabs for programs, a sentence for people.
fn line(session: &Session<'_>, data: &Value, at: &str, what: &str) -> Result<(), Failure> {
    let text = |field: &str| data.get(field).and_then(Value::as_str).unwrap_or_default();
    let reason = if what == "down" {
        text("reason")
    } else {
        text("other")
    };
    let words = || format!("{} {}", session.time(at), process(data, what));
    session
        .output
        .record(&[at, text("handle"), what, reason], words)
}
