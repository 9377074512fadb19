//! Commands about the node and its cluster.

pub(crate) mod events;

use crate::args::{LogLevel, MemberState, Members};
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::{printable, sort_by_name};
use clap::ValueEnum;
use client::ApiPath;
use hyper::Method;
use serde_json::{Value, json};

/// `muster members`.
pub(crate) async fn members(session: &Session<'_>, args: &Members) -> Result<(), Failure> {
    // The stream comes first: what happens between the two calls is told twice rather than not at
    // all.
    let stream = if args.watch {
        Some(
            session
                .stream(&ApiPath::new(&["events"]).query("kinds", "member"))
                .await?,
        )
    } else {
        None
    };
    let mut items: Vec<Value> = session
        .items(&ApiPath::new(&["members"]))
        .await?
        .into_iter()
        .filter(|member| wanted(member, args))
        .collect();
    if session.output.is_json() {
        session
            .output
            .json(&json!({ "items": items, "next": null }))?;
    } else {
        sort_by_name(&mut items);
        session.output.table(&members_table(&items, session))?;
    }
    match stream {
        Some(stream) => {
            events::print(session, stream, |event| {
                state_of(args).is_none_or(|state| text(event, "type") == state)
            })
            .await
        }
        None => Ok(()),
    }
}

fn wanted(member: &Value, args: &Members) -> bool {
    let in_state = state_of(args).is_none_or(|state| text(member, "state") == state);
    let tags = member.get("tags").and_then(Value::as_array);
    in_state
        && args.tag.as_ref().is_none_or(|tag| {
            tags.is_some_and(|tags| tags.iter().any(|known| known.as_str() == Some(tag)))
        })
}

fn state_of(args: &Members) -> Option<String> {
    let value = args
        .state
        .and_then(|state: MemberState| state.to_possible_value())?;
    Some(value.get_name().to_owned())
}

fn members_table(items: &[Value], session: &Session<'_>) -> Table {
    let mut table = Table::new(&[
        "NAME", "STATE", "ADDRESS", "SINCE", "RTT", "VERSION", "TAGS", "ID",
    ])
    .cut(&["TAGS"])
    .spare(&["ID", "VERSION", "TAGS", "SINCE", "ADDRESS"]);
    for member in items {
        let own = member.get("self").and_then(Value::as_bool).unwrap_or(false);
        let name = text(member, "name");
        let tags = member.get("tags").and_then(Value::as_array).map(|tags| {
            tags.iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(",")
        });
        table.row([
            if own {
                Cell::painted(name, Paint::Bold)
            } else {
                name.into()
            },
            state_cell(text(member, "state")),
            text(member, "address").into(),
            session.time(text(member, "since")).into(),
            member
                .get("rtt_ms")
                .and_then(Value::as_f64)
                .map_or_else(Cell::default, |ms| format!("{ms:.1} ms").into()),
            text(member, "version").into(),
            tags.unwrap_or_default().into(),
            Cell::painted(text(member, "id"), Paint::Dim),
        ]);
    }
    table
}

fn state_cell(state: &str) -> Cell {
    match state {
        "alive" => Cell::painted(state, Paint::Green),
        "suspect" | "restarting" => Cell::painted(state, Paint::Yellow),
        "down" => Cell::painted(state, Paint::Red),
        _ => Cell::painted(state, Paint::Dim),
    }
}

/// `muster join`.
pub(crate) async fn join(session: &Session<'_>, addresses: &[String]) -> Result<(), Failure> {
    let path = ApiPath::new(&["members", "join"]).query("timeout", &session.timeout());
    let answer = session
        .send(
            Method::POST,
            &path,
            Some(&json!({ "addresses": addresses })),
        )
        .await?;
    let outcomes = answer
        .get("items")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if session.output.is_json() {
        session.output.json(&answer)?;
    } else {
        let mut table = Table::new(&["ADDRESS", "RESULT", "DETAIL"]);
        outcomes.iter().for_each(|outcome| {
            table.row(["address", "result", "detail"].map(|field| Cell::from(text(outcome, field))))
        });
        session.output.table(&table)?;
    }
    let failed = outcomes
        .iter()
        .filter(|outcome| !matches!(text(outcome, "result"), "joined" | "already"))
        .count();
    if failed == 0 {
        Ok(())
    } else {
        Err(Failure::Failed(format!(
            "{failed} of {} addresses could \
        not be joined",
            outcomes.len()
        )))
    }
}

/// `muster leave`.
pub(crate) async fn leave(session: &Session<'_>, force: bool) -> Result<(), Failure> {
    let path = ApiPath::new(&["leave"])
        .query("timeout", &session.timeout())
        .maybe("force", force.then_some("true"));
    let answer = session.send(Method::POST, &path, None).await?;
    if session.output.is_json() {
        session.output.json(&answer)
    } else {
        session.output.line("left the cluster; the daemon ends")
    }
}

/// `muster reload`.
pub(crate) async fn reload(session: &Session<'_>) -> Result<(), Failure> {
    let answer = session
        .send(Method::POST, &ApiPath::new(&["reload"]), None)
        .await?;
    if session.output.is_json() {
        return session.output.json(&answer);
    }
    let mut table = Table::new(&["KEY", "STATE"]);
    for (field, words, paint) in [
        ("applied", "in force", Paint::Green),
        ("restart", "needs a restart", Paint::Yellow),
    ] {
        let keys = answer
            .get(field)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        keys.for_each(|key| table.row([key.into(), Cell::painted(words, paint)]));
    }
    let expires = session.time(text(&answer, "certificate_expires_at"));
    table.row(["certificate".into(), format!("good until {expires}").into()]);
    session.output.table(&table)
}

/// `muster log-level`.
pub(crate) async fn log_level(session: &Session<'_>, args: &LogLevel) -> Result<(), Failure> {
    let path = ApiPath::new(&["log-level"]);
    let body = args.level.as_ref().map(|level| match &args.time {
        Some(time) => json!({ "level": level, "for": time }),
        None => json!({ "level": level }),
    });
    let levels = match (&body, args.reset) {
        (Some(body), _) => session.send(Method::PUT, &path, Some(body)).await?,
        (None, true) => session.send(Method::DELETE, &path, None).await?,
        (None, false) => session.get(&path).await?,
    };
    if session.output.is_json() {
        return session.output.json(&levels);
    }
    let mut table = Table::new(&["LEVEL", "UNTIL", "CONFIGURED"]);
    let until = levels
        .get("until")
        .and_then(Value::as_str)
        .map(|until| session.time(until));
    table.row([
        Cell::from(text(&levels, "level")),
        until.unwrap_or_default().into(),
        text(&levels, "configured").into(),
    ]);
    session.output.table(&table)
}

/// `muster forget`.
pub(crate) async fn forget(session: &Session<'_>, node: &str) -> Result<(), Failure> {
    let answer = session
        .send(Method::DELETE, &ApiPath::new(&["members", node]), None)
        .await?;
    match (session.output.is_json(), answer.is_null()) {
        (true, true) => Ok(()),
        (true, false) => session.output.json(&answer),
        (false, _) => session
            .output
            .line(&format!("{} is forgotten", printable(node))),
    }
}

/// `muster partition`.
pub(crate) async fn partition(session: &Session<'_>) -> Result<(), Failure> {
    let partition = session.get(&ApiPath::new(&["partition"])).await?;
    if session.output.is_json() {
        return session.output.json(&partition);
    }
    let verdict = text(&partition, "verdict");
    let paint = if verdict == "whole" {
        Paint::Green
    } else {
        Paint::Red
    };
    let since = session.time(text(&partition, "since"));
    session.output.line(&format!(
        "{} since {since}",
        session.output.paint(&reach(&partition), paint)
    ))?;
    for member in missing(&partition) {
        let since = session.time(text(member, "since"));
        session.output.line(&format!(
            "missing {} since {since}",
            printable(text(member, "name"))
        ))?;
    }
    Ok(())
}

fn reach(partition: &Value) -> String {
    let (reachable, expected) = (
        number(partition, "reachable"),
        number(partition, "expected"),
    );
    format!(
        "{}: {reachable} of {expected} nodes reachable",
        printable(text(partition, "verdict"))
    )
}

fn missing(partition: &Value) -> &[Value] {
    partition
        .get("missing")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or(0)
}
