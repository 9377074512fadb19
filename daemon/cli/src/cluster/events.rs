//! What happens, as it happens.

use crate::args::Events;
use crate::failure::Failure;
use crate::session::Session;
use crate::text::printable;
use client::{ApiPath, EventStream, ServerEvent};
use serde_json::Value;

/// `muster events`.
pub(crate) async fn follow(session: &Session<'_>, args: &Events) -> Result<(), Failure> {
    let kinds = args.kinds.join(",");
    let path = ApiPath::new(&["events"])
        .maybe("kinds", (!kinds.is_empty()).then_some(&kinds))
        .maybe("name", args.name.as_deref());
    print(session, session.stream(&path).await?, |_| true).await
}

/// Prints the events of a stream that are wanted, until it ends.
pub(crate) async fn print(
    session: &Session<'_>,
    mut stream: EventStream,
    wanted: impl Fn(&Value) -> bool,
) -> Result<(), Failure> {
    while let Some(event) = stream
        .next()
        .await
        .map_err(|error| session.explain(error))?
    {
        let data = told(&event)?;
        if event.event == "snapshot" || !wanted(&data) {
            continue;
        }
        if session.output.is_json() {
            session.output.json(&data)?;
        } else {
            let at = data.get("at").and_then(Value::as_str).unwrap_or_default();
            let at = session.time(at);
            session.output.happened(&at, &describe(&data))?;
        }
    }
    Err(ended())
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

/// Streams end only with the daemon.
pub(crate) fn ended() -> Failure {
    Failure::Failed("the daemon has ended the stream".to_owned())
}

/// An event of `/v1/events` in words: `node3 is down (no answer for 1.9 s)`.
pub(crate) fn describe(event: &Value) -> String {
    let text =
        |field: &str| printable(event.get(field).and_then(Value::as_str).unwrap_or_default());
    let (name, what) = (text("name"), text("type"));
    match (text("kind").as_str(), what.as_str()) {
        ("member", "joined") => with_detail(format!("{name} joined"), &text("detail")),
        ("member", "left") => with_detail(format!("{name} left"), &text("detail")),
        ("member", "forgotten") => with_detail(format!("{name} was forgotten"), &text("detail")),
        ("member", _) => with_detail(format!("{name} is {what}"), &text("detail")),
        ("partition", _) => partition(event, &text),
        ("list", _) => format!("list {name} was {what}"),
        ("process", _) => process(event, &what),
        (kind, _) => with_detail(format!("{kind} {name}: {what}"), &text("detail")),
    }
}

/// What happened to a registered process: `web@node1#4711.889123 is down (killed signal=9)`.
pub(crate) fn process(event: &Value, what: &str) -> String {
    let text =
        |field: &str| printable(event.get(field).and_then(Value::as_str).unwrap_or_default());
    let (handle, what) = (text("handle"), printable(what));
    // A process as it is has all others, an event the one that is new.
    let others = event
        .get("others")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let others: Vec<String> = others
        .iter()
        .chain(event.get("other"))
        .filter_map(Value::as_str)
        .map(printable)
        .collect();
    match what.as_str() {
        "contested" => format!(
            "{handle} has a name that is also claimed by {}",
            others.join(", ")
        ),
        "lost" => format!("{handle} has lost its name to {}", text("other")),
        _ => with_detail(format!("{handle} is {what}"), &text("reason")),
    }
}

fn with_detail(words: String, detail: &str) -> String {
    if detail.is_empty() {
        words
    } else {
        format!("{words} ({detail})")
    }
}

fn partition(event: &Value, text: &impl Fn(&str) -> String) -> String {
    let names = event
        .get("missing")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let missing: Vec<String> = names
        .iter()
        .filter_map(Value::as_str)
        .map(printable)
        .collect();
    let words = match text("verdict").as_str() {
        "whole" => "reaches the whole cluster".to_owned(),
        "majority" => "reaches a majority of the cluster".to_owned(),
        "even" => "reaches half of the cluster".to_owned(),
        "minority" => "reaches a minority of the cluster".to_owned(),
        "alone" => "is cut off from all others".to_owned(),
        other => format!("reaches: {other}"),
    };
    if missing.is_empty() {
        words
    } else {
        format!("{words}; missing: {}", missing.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_read_as_sentences() {
        let member = json!({"kind": "member", "type": "down", "name": "node3", "detail": "no answer for 1.9 s"});
        assert_eq!(describe(&member), "node3 is down (no answer for 1.9 s)");
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
        let contested = json!({"handle": "web@n1#7.8", "state": "contested", "others": ["web@n2#1.2", "web@n3#1.2"]});
        assert_eq!(
            process(&contested, "contested"),
            "web@n1#7.8 has a name that is also claimed \
            by web@n2#1.2, web@n3#1.2"
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
