//! What happens, as it happens.

mod past;

use crate::args::Events;
use crate::failure::Failure;
use crate::session::Session;
use crate::stream::Stream;
use crate::text::printable;
use api::cluster::{MemberRole, PartitionVerdict};
use api::events::{
    ClusterEvent, ClusterStreamEvent, EventDetails, EventKind, EventType, EventsQuery,
    MissingMembers, ProcessDetails,
};
use client::{ApiPath, ServerEvent};
use jiff::Zoned;
use serde_json::Value;

/// `muster events`.
pub(crate) async fn events(session: &Session<'_>, args: &Events) -> Result<(), Failure> {
    let kinds = args.kinds.join(",");
    let when = |option, text: &Option<String>| {
        let now = Zoned::now().with_time_zone(session.zone.clone());
        let moment = text.as_deref().map(|text| past::moment(text, &now));
        let moment = moment.transpose();
        moment.map_err(|why| Failure::Usage(format!("{option} {why}")))
    };
    let which = EventsQuery {
        kinds: (!kinds.is_empty()).then_some(kinds),
        name: args.name.clone(),
        since: when("--since", &args.since)?.map(|since| since.to_string()),
        until: when("--until", &args.until)?.map(|until| until.to_string()),
        last: args.last,
    };
    let path = ApiPath::new(&["events"]).with(&which);
    if which.until.is_some() {
        return print_to_the_end(session, &path).await;
    }
    print(session, Stream::open(session, &path).await?, |_| true).await
}

/// Prints the events of a stream that ends.
async fn print_to_the_end(session: &Session<'_>, path: &ApiPath) -> Result<(), Failure> {
    let mut stream = session.ask(session.client().stream(path, None)).await?;
    while let Some(event) = session.ask(stream.next()).await? {
        print_one(session, &event, |_| true)?;
    }
    Ok(())
}

/// Prints the events of a stream that are wanted.
pub(crate) async fn print(
    session: &Session<'_>,
    mut stream: Stream<'_>,
    wanted: impl Fn(&ClusterEvent) -> bool,
) -> Result<(), Failure> {
    loop {
        print_one(session, &stream.next().await?, &wanted)?;
    }
}

fn print_one(
    session: &Session<'_>,
    event: &ServerEvent,
    wanted: impl Fn(&ClusterEvent) -> bool,
) -> Result<(), Failure> {
    let data = told(event)?;
    let read = event.read().map_err(|error| session.explain(error))?;
    let ClusterStreamEvent::Message(event) = read else {
        return Ok(());
    };
    if !wanted(&event) {
        return Ok(());
    }
    if session.output.is_json() {
        return session.output.json(&data);
    }
    let at = session.time(&event.at.to_string());
    session.output.happened(&at, &describe(&event))
}

/// An event's data; the daemon's farewell to a reader who is too slow as a failure.
pub(crate) fn told(event: &ServerEvent) -> Result<Value, Failure> {
    if event.event == "lagged" {
        return Err(Failure::Failed(
            "more happened than could be read in time; start again to go \
            on"
            .to_owned(),
        ));
    }
    serde_json::from_str(&event.data).map_err(|error| {
        Failure::Failed(format!("the daemon's event cannot be understood: {error}"))
    })
}

/// An event of `/v1/events` in words: `node3 is down (no answer for 1.9 s)`.
pub(crate) fn describe(event: &ClusterEvent) -> String {
    let (name, what) = (printable(&event.name), printable(event.what.as_str()));
    let more = &event.more;
    let name = match &more.role {
        Some(role) if *role != MemberRole::Member => {
            format!("{} {name}", printable(role.as_str()))
        }
        Some(_) | None => name,
    };
    let words = match (&event.kind, &event.what) {
        (EventKind::Member, EventType::Joined | EventType::Left) => format!("{name} {what}"),
        (EventKind::Member, EventType::Forgotten) => format!("{name} was {what}"),
        (EventKind::Member, EventType::Contradicted) => format!("{name} contradicts itself"),
        // It may be down still.
        (EventKind::Member, EventType::Back) => format!("{name} is expected again"),
        (EventKind::Member, _) => format!("{name} is {what}"),
        (EventKind::Partition, _) => return partition(more),
        (EventKind::List, EventType::Forked) => format!("list {name} is {what}"),
        (EventKind::List, EventType::LeftOut) => format!("list {name} has lost changes"),
        (EventKind::List, _) => return format!("list {name} was {what}"),
        (EventKind::Process, _) => return process(&more.process, &[], &what),
        (EventKind::Other(kind), _) => format!("{} {name}: {what}", printable(kind)),
    };
    with_detail(words, more.detail.as_deref())
}

/// What happened to a registered process: `web@node1#4711.889123 is down (killed signal=9)`. A
/// process as it is has all others that claim its name, an event the one that is new.
pub(crate) fn process(process: &ProcessDetails, others: &[String], what: &str) -> String {
    let handle = printable(process.handle.as_deref().unwrap_or_default());
    let others: Vec<String> = others
        .iter()
        .chain(&process.other)
        .map(|other| printable(other))
        .collect();
    let others = others.join(", ");
    match what {
        "contested" => format!("{handle} has a name that is also claimed by {others}"),
        "lost" => format!("{handle} has lost its name to {others}"),
        _ => {
            let words = format!("{handle} is {}", printable(what));
            with_detail(words, process.reason.as_deref())
        }
    }
}

fn with_detail(words: String, detail: Option<&str>) -> String {
    match detail {
        Some(detail) if !detail.is_empty() => format!("{words} ({})", printable(detail)),
        Some(_) | None => words,
    }
}

fn partition(more: &EventDetails) -> String {
    let words = match &more.verdict {
        Some(PartitionVerdict::Whole) => "reaches the whole cluster".to_owned(),
        Some(PartitionVerdict::Majority) => "reaches a majority of the cluster".to_owned(),
        Some(PartitionVerdict::Even) => "reaches half of the cluster".to_owned(),
        Some(PartitionVerdict::Minority) => "reaches a minority of the cluster".to_owned(),
        Some(PartitionVerdict::Alone) => "is cut off from all others".to_owned(),
        Some(PartitionVerdict::Other(other)) => format!("reaches: {}", printable(other)),
        None => "reaches another part of the cluster".to_owned(),
    };
    let missing: Vec<String> = match &more.missing {
        Some(MissingMembers::Names(names)) => names.iter().map(|name| printable(name)).collect(),
        Some(MissingMembers::Members(members)) => members
            .iter()
            .map(|member| printable(&member.name))
            .collect(),
        None => Vec::new(),
    };
    if missing.is_empty() {
        words
    } else {
        format!("{words}; missing: {}", missing.join(", "))
    }
}

/// An event to test with, of these fields and a time.
#[cfg(test)]
pub(crate) fn sample(mut fields: Value) -> ClusterEvent {
    fields["at"] = "2026-01-01T10:00:00.000Z".into();
    serde_json::from_value(fields).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_read_as_sentences() {
        let describe = |fields: &Value| describe(&sample(fields.clone()));
        let member = json!({"kind": "member", "type": "down", "name": "node3", "detail": "no answer for 1.9 s"});
        assert_eq!(describe(&member), "node3 is down (no answer for 1.9 s)");
        let back = json!({"kind": "member", "type": "back", "name": "node3", "detail": "its time is over"});
        assert_eq!(
            describe(&back),
            "node3 is expected again (its time is over)"
        );
        let healed = json!({"kind": "partition", "type": "healed", "name": "whole", "verdict": "whole", "missing": []});
        assert_eq!(describe(&healed), "reaches the whole cluster");
        let cut = json!({"kind": "partition", "type": "changed", "name": "alone", "verdict": "alone", "missing": ["node1", "node2"]});
        assert_eq!(
            describe(&cut),
            "is cut off from all others; missing: node1, node2"
        );
        assert_eq!(
            describe(&json!({"kind": "list", "type": "created", "name": "a\u{7}"})),
            "list a\\u{7} was created"
        );
        let down = json!({"kind": "process", "type": "down", "name": "web", "handle": "web@n1#7.8", "reason": "killed signal=9"});
        assert_eq!(describe(&down), "web@n1#7.8 is down (killed signal=9)");
        let contested = ProcessDetails {
            handle: Some("web@n1#7.8".to_owned()),
            ..ProcessDetails::default()
        };
        let others = ["web@n2#1.2", "web@n3#1.2"].map(str::to_owned);
        assert_eq!(
            process(&contested, &others, "contested"),
            "web@n1#7.8 has a name that is also claimed by web@n2#1.2, web@n3#1.2"
        );
        let lost = json!({"kind": "process", "type": "lost", "name": "web", "handle": "web@n1#7.8", "other": "web@n2#1.2"});
        assert_eq!(
            describe(&lost),
            "web@n1#7.8 has lost its name to web@n2#1.2"
        );
        assert_eq!(
            describe(&json!({"kind": "comet", "type": "seen", "name": "x"})),
            "comet x: seen"
        );
    }

    #[test]
    fn a_reader_that_is_too_slow_is_told() {
        let event = ServerEvent {
            event: "lagged".to_owned(),
            data: String::new(),
            id: None,
        };
        assert!(matches!(told(&event), Err(Failure::Failed(_))));
    }
}
