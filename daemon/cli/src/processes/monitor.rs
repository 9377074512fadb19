//! `muster monitor`: the life of a process as it happens.

use crate::args::Monitor;
use crate::cluster::events::{process, told};
use crate::failure::Failure;
use crate::lists::watch::named;
use crate::session::Session;
use crate::stream::Stream;
use api::events::{ProcessDetails, ProcessEvent, RegisteredProcessSnapshot};
use api::processes::MonitorQuery;
use client::{ApiPath, ServerEvent};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Prints who has the name, then a line for each thing that happens to them.
pub(crate) async fn follow(session: &Session<'_>, args: &Monitor) -> Result<(), Failure> {
    let how = MonitorQuery {
        wait: args.wait.then_some(true),
    };
    let path = ApiPath::new(&["processes", &args.process, "monitor"]).with(&how);
    let mut stream = Stream::open(session, &path).await?;
    loop {
        let event = stream.next().await?;
        let mut data = told(&event)?;
        if session.output.is_json() {
            named(&mut data, &event.event);
            session.output.json(&data)?;
        } else {
            print(session, &event, data)?;
        }
        if args.once && event.event == "down" {
            return Ok(());
        }
    }
}

fn print(session: &Session<'_>, event: &ServerEvent, data: Value) -> Result<(), Failure> {
    if event.event == "snapshot" {
        let snapshot: RegisteredProcessSnapshot = read(data)?;
        return snapshot.items.into_iter().try_for_each(|known| {
            let process = ProcessDetails {
                handle: Some(known.handle),
                ..ProcessDetails::default()
            };
            let what = known.state.as_str();
            line(
                session,
                &known.since.to_string(),
                &process,
                &known.others,
                what,
            )
        });
    }
    let ProcessEvent { at, process } = read(data)?;
    line(session, &at.to_string(), &process, &[], &event.event)
}

fn read<T: DeserializeOwned>(data: Value) -> Result<T, Failure> {
    serde_json::from_value(data).map_err(|error| {
        Failure::Failed(format!("the daemon's event cannot be understood: {error}"))
    })
}

/// One record: tabs for programs, a sentence for people.
fn line(
    session: &Session<'_>,
    at: &str,
    about: &ProcessDetails,
    others: &[String],
    what: &str,
) -> Result<(), Failure> {
    let reason = if what == "down" {
        &about.reason
    } else {
        &about.other
    };
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let words = || format!("{} {}", session.time(at), process(about, others, what));
    session
        .output
        .record(&[at, &text(&about.handle), what, &text(reason)], words)
}
