//! Commands about the node and its cluster.

pub(crate) mod away;
pub(crate) mod events;
pub(crate) mod founding;
pub(crate) mod heals;
pub(crate) mod invitations;
pub(crate) mod partition;
pub(crate) mod reach;
pub(crate) mod revoking;
pub(crate) mod withdrawing;

use crate::args::{self, LogLevel, Members};
use crate::failure::Failure;
use crate::session::{Session, wait_of};
use crate::stream::Stream;
use crate::table::{Cell, Paint, Table};
use crate::text::{by_name, printable};
use api::cluster::{ClusterMember, JoinRequest, JoinResult, LeaveQuery, MemberRole, MemberState};
use api::node::NewLogLevel;
use client::ApiPath;
use serde_json::{Value, json};
use std::time::Duration;

/// From this round trip on a link is called slow, and from this share of lost packets on that is told.
const SLOW_MS: f64 = 250.0;
const LOSSY_PERCENT: u64 = 5;
/// How long joining may take over a link that is far and loses packets, and a little for the answer.
const JOINING: Duration = Duration::from_secs(24);

/// `muster members`.
pub(crate) async fn members(session: &Session<'_>, args: &Members) -> Result<(), Failure> {
    // The stream comes first: what happens between the two calls is told twice rather than not at
    // all.
    let stream = if args.watch {
        let path = ApiPath::new(&["events"]).query("kinds", "member");
        Some(Stream::open(session, &path).await?)
    } else {
        None
    };
    let answer = session.ask(session.client().members()).await?;
    let raw = answer.raw.get("items").and_then(Value::as_array);
    let mut wanted: Vec<_> = answer
        .value
        .iter()
        .zip(raw.into_iter().flatten())
        .filter(|(member, _)| is_wanted(member, args))
        .collect();
    if session.output.is_json() {
        let items: Vec<&Value> = wanted.into_iter().map(|(_, raw)| raw).collect();
        session
            .output
            .json(&json!({ "items": items, "next": null }))?;
    } else {
        wanted.sort_by(|(a, _), (b, _)| by_name(&a.name, &b.name));
        let members = wanted.into_iter().map(|(member, _)| member);
        session.output.table(&members_table(members, session))?;
    }
    match stream {
        Some(stream) => {
            events::print(session, stream, |event| {
                state_of(args).is_none_or(|state| event.what.as_str() == state.as_str())
            })
            .await
        }
        None => Ok(()),
    }
}

fn is_wanted(member: &ClusterMember, args: &Members) -> bool {
    state_of(args).is_none_or(|state| member.state == state)
        && args
            .tag
            .as_ref()
            .is_none_or(|tag| member.tags.contains(tag))
}

fn state_of(args: &Members) -> Option<MemberState> {
    args.state.map(|state| match state {
        args::MemberState::Alive => MemberState::Alive,
        args::MemberState::Suspect => MemberState::Suspect,
        args::MemberState::Down => MemberState::Down,
        args::MemberState::Restarting => MemberState::Restarting,
        args::MemberState::Away => MemberState::Away,
        args::MemberState::Left => MemberState::Left,
    })
}

/// What is amiss with the link to a member.
fn link_text(member: &ClusterMember) -> Option<String> {
    if member.indirect_since.is_some() {
        return Some("others only".to_owned());
    }
    let slow = member.rtt_ms.filter(|ms| *ms >= SLOW_MS);
    let lossy = member.lost_percent.filter(|lost| *lost >= LOSSY_PERCENT);
    let told = [
        slow.map(|_| "slow".to_owned()),
        lossy.map(|lost| format!("{lost} % lost")),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    (!told.is_empty()).then(|| told.join(", "))
}

fn members_table<'a>(
    members: impl Iterator<Item = &'a ClusterMember>,
    session: &Session<'_>,
) -> Table {
    let mut table = Table::new(&[
        "NAME", "STATE", "ADDRESS", "SINCE", "RTT", "VERSION", "TAGS", "ID", "ROLE", "LINK", "AWAY",
    ])
    .cut(&["TAGS", "AWAY"])
    .spare(&["ID", "VERSION", "TAGS", "SINCE", "ROLE", "ADDRESS", "AWAY"])
    .for_people(&["LINK", "AWAY"]);
    for member in members {
        let rtt = member.rtt_ms.map(|ms| format!("{ms:.1} ms"));
        table.row([
            if member.is_self {
                Cell::painted(&member.name, Paint::Bold)
            } else {
                member.name.as_str().into()
            },
            state_cell(&member.state),
            member.address.as_str().into(),
            session.time(&member.since.to_string()).into(),
            rtt.unwrap_or_default().into(),
            member.version.as_str().into(),
            member.tags.join(",").into(),
            Cell::painted(&member.id, Paint::Dim),
            role_cell(&member.role),
            link_text(member)
                .map_or_else(Cell::default, |text| Cell::painted(&text, Paint::Yellow)),
            Cell::painted(&away::in_words(member.away.as_ref(), session), Paint::Dim),
        ]);
    }
    table
}

fn role_cell(role: &MemberRole) -> Cell {
    match role {
        MemberRole::Member => role.as_str().into(),
        MemberRole::Observer | MemberRole::Other(_) => Cell::painted(role.as_str(), Paint::Yellow),
    }
}

fn state_cell(state: &MemberState) -> Cell {
    let paint = match state {
        MemberState::Alive => Paint::Green,
        MemberState::Suspect | MemberState::Restarting => Paint::Yellow,
        MemberState::Down => Paint::Red,
        MemberState::Away | MemberState::Left | MemberState::Other(_) => Paint::Dim,
    };
    Cell::painted(state.as_str(), paint)
}

/// `muster join`.
pub(crate) async fn join(session: &Session<'_>, addresses: &[String]) -> Result<(), Failure> {
    let whom = JoinRequest {
        addresses: addresses.to_vec(),
    };
    let client = session.patient(JOINING);
    let wait = wait_of(&client);
    let answer = session.make(client.join(&whom, &wait)).await?;
    let outcomes = answer.value.items;
    if session.output.is_json() {
        session.output.json(&answer.raw)?;
    } else {
        let mut table = Table::new(&["ADDRESS", "RESULT", "DETAIL"]);
        for outcome in &outcomes {
            let fields = [&outcome.address, outcome.result.as_str(), &outcome.detail];
            table.row(fields.map(Cell::from));
        }
        session.output.table(&table)?;
    }
    let is_member =
        |result: &JoinResult| matches!(result, JoinResult::Joined | JoinResult::Already);
    let failed = outcomes
        .iter()
        .filter(|outcome| !is_member(&outcome.result))
        .count();
    if failed == 0 {
        Ok(())
    } else {
        Err(Failure::Failed(format!(
            "{failed} of {} addresses could not be joined",
            outcomes.len()
        )))
    }
}

/// `muster leave`.
pub(crate) async fn leave(session: &Session<'_>, force: bool) -> Result<(), Failure> {
    let (how, wait) = (
        LeaveQuery {
            force: force.then_some(true),
        },
        session.wait(),
    );
    let answer = session.make(session.client().leave(&how, &wait)).await?;
    if session.output.is_json() {
        session.output.json(&answer.raw)
    } else {
        session.output.line("left the cluster; the daemon ends")
    }
}

/// `muster reload`.
pub(crate) async fn reload(session: &Session<'_>) -> Result<(), Failure> {
    let answer = session.make(session.client().reload()).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let result = answer.value;
    let mut table = Table::new(&["KEY", "STATE"]);
    for (keys, words, paint) in [
        (&result.applied, "in force", Paint::Green),
        (&result.restart, "needs a restart", Paint::Yellow),
    ] {
        keys.iter()
            .for_each(|key| table.row([key.into(), Cell::painted(words, paint)]));
    }
    let expires = session.time(&result.certificate_expires_at.to_string());
    table.row([
        "certificate".into(),
        format!("valid until {expires}").into(),
    ]);
    session.output.table(&table)
}

/// `muster log-level`.
pub(crate) async fn log_level(session: &Session<'_>, args: &LogLevel) -> Result<(), Failure> {
    let client = session.client();
    let answer = match (&args.level, args.reset) {
        (Some(level), _) => {
            let wanted = NewLogLevel {
                level: level.clone(),
                time: args.time.clone(),
            };
            session.make(client.set_log_level(&wanted)).await?
        }
        (None, true) => session.make(client.reset_log_level()).await?,
        (None, false) => session.ask(client.log_level()).await?,
    };
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let levels = answer.value;
    let until = levels.until.map(|until| session.time(&until.to_string()));
    let mut table = Table::new(&["LEVEL", "UNTIL", "CONFIGURED"]);
    table.row([
        levels.level.into(),
        until.unwrap_or_default().into(),
        levels.configured.into(),
    ]);
    session.output.table(&table)
}

/// `muster forget`.
pub(crate) async fn forget(session: &Session<'_>, node: &str) -> Result<(), Failure> {
    let wait = session.wait();
    session.make(session.client().forget(node, &wait)).await?;
    if session.output.is_json() {
        return Ok(());
    }
    session
        .output
        .line(&format!("{} is forgotten", printable(node)))
}

/// A member to test with.
#[cfg(test)]
pub(crate) fn sample(name: &str, state: &str, is_self: bool) -> ClusterMember {
    serde_json::from_value(json!({
        "id": "0".repeat(32), "name": name, "address": "127.0.0.1:1", "self": is_self,
        "state": state, "run": 1, "since": "2026-01-01T10:00:00Z", "rtt_ms": 0.3,
        "version": "0.1.0", "role": "member", "tags": [],
    }))
    .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_slow_or_loses_packets_is_named() {
        let cell = |rtt_ms, lost_percent| {
            let member = ClusterMember {
                rtt_ms,
                lost_percent,
                ..sample("n2", "suspect", false)
            };
            link_text(&member)
        };
        assert_eq!(cell(Some(2.0), Some(1)), None);
        assert_eq!(cell(None, None), None);
        assert_eq!(
            cell(Some(640.0), Some(5)).as_deref(),
            Some("slow, 5 % lost")
        );
        assert_eq!(cell(Some(2.0), Some(7)).as_deref(), Some("7 % lost"));
        assert_eq!(cell(Some(640.0), None).as_deref(), Some("slow"));
    }
}
