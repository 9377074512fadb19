//! `muster heals`: what a node saw of times in which members were away.

use crate::failure::Failure;
use crate::ids::{self, Match};
use crate::session::{OF_MEMBERS, Session};
use crate::table::{Cell, Paint, Table};
use crate::text::printable;
use api::heals::{HealConflict, HealReport, HealState, HealTransfer, HealValue};
use api::lists::EntryField;
use api::time::Millis;
use serde_json::Value;

/// `muster heals`, the newest first, or one of them in words.
pub(crate) async fn heals(session: &Session<'_>, id: Option<&str>) -> Result<(), Failure> {
    let answer = session.ask(session.client().heals()).await?;
    let (raw, reports) = (answer.raw, answer.value);
    let Some(id) = id else {
        return if session.output.is_json() {
            session.output.json(&raw)
        } else {
            session.output.table(&table(session, &reports))
        };
    };
    let at = find(id, &reports)?;
    if session.output.is_json() {
        let items = raw.get("items").and_then(Value::as_array);
        let found = items.and_then(|items| items.get(at));
        return session.output.json(found.unwrap_or(&Value::Null));
    }
    let time = |at: Millis| session.time(&at.to_string());
    let lines = reports.get(at).map(|report| words(report, time));
    for line in lines.unwrap_or_default() {
        session.output.line(&line)?;
    }
    Ok(())
}

/// `muster heals --all`, in words what nobody told.
pub(crate) async fn of_members(session: &Session<'_>) -> Result<(), Failure> {
    let answer = session
        .ask(session.patient(OF_MEMBERS).heals_of_members())
        .await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let mut table = Table::new(&["NODE", "SINCE", "APART FROM", "FOR", "STATE", "LISTS", "ID"])
        .cut(&["APART FROM", "LISTS"])
        .spare(&["ID", "SINCE"]);
    for report in &answer.value.items {
        let (state, paint) = state(report);
        table.row([
            report.node.as_str().into(),
            session.time(&report.began_at.to_string()).into(),
            names(report, |_| true).into(),
            away(report).into(),
            Cell::painted(state, paint),
            report.lists.join(", ").into(),
            report.id.as_str().into(),
        ]);
    }
    session.output.table(&table)?;
    let silent = answer.value.silent.iter();
    let silent: Vec<String> = silent
        .map(|member| {
            format!(
                "{} ({})",
                printable(&member.name),
                printable(&member.reason)
            )
        })
        .collect();
    if silent.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "not all were asked: {}",
        silent.join(", ")
    )))
}

/// Where the report is that was meant.
fn find(typed: &str, reports: &[HealReport]) -> Result<usize, Failure> {
    let shown = printable(typed);
    match ids::find(typed, reports.iter().map(|report| &*report.id)) {
        Match::One(id) => Ok(reports
            .iter()
            .position(|report| report.id == id)
            .unwrap_or(0)),
        Match::Nothing => Err(Failure::NotFound(format!(
            "there is no heal report {shown}; muster heals shows those that are kept"
        ))),
        Match::TooShort => Err(Failure::Usage(format!(
            "{shown} is too short for an id: type at least 3 characters"
        ))),
        Match::Several(ids) => Err(Failure::Usage(format!(
            "{shown} may be any of these: {}",
            ids.join(", ")
        ))),
    }
}

fn table(session: &Session<'_>, reports: &[HealReport]) -> Table {
    let mut table = Table::new(&[
        "ID",
        "SINCE",
        "APART FROM",
        "FOR",
        "STATE",
        "LISTS",
        "CONFLICTS",
        "NAMES",
    ])
    .cut(&["APART FROM"])
    .spare(&["NAMES", "LISTS", "SINCE"]);
    for report in reports {
        let (state, paint) = state(report);
        table.row([
            report.id.as_str().into(),
            session.time(&report.began_at.to_string()).into(),
            names(report, |_| true).into(),
            away(report).into(),
            Cell::painted(state, paint),
            report.lists.len().to_string().into(),
            report.conflicts.len().to_string().into(),
            report.names.len().to_string().into(),
        ]);
    }
    table
}

fn state(report: &HealReport) -> (&str, Paint) {
    match (&report.state, report.agreed_at) {
        (HealState::Open, _) => ("open", Paint::Yellow),
        (HealState::Closed, Some(_)) => ("closed", Paint::Green),
        // Something differs still: doctor says what.
        (HealState::Closed, None) => ("differs", Paint::Red),
        (HealState::Other(word), _) => (word, Paint::Dim),
    }
}

/// The members of a report, those that are meant.
fn names(report: &HealReport, is_meant: impl Fn(Option<Millis>) -> bool) -> String {
    let members = report.members.iter();
    let meant = members.filter(|member| is_meant(member.back_at));
    let names: Vec<String> = meant.map(|member| printable(&member.name)).collect();
    names.join(", ")
}

/// For how long the member was away that was so for longest; nothing if nobody is back.
fn away(report: &HealReport) -> String {
    let longest = report.members.iter().map(|member| member.away_ms).max();
    longest.filter(|ms| *ms > 0).map(span).unwrap_or_default()
}

/// A report for somebody who was asleep.
fn words(report: &HealReport, time: impl Fn(Millis) -> String) -> Vec<String> {
    let mut lines = whom(report, &time);
    lines.push(written(report));
    for conflict in &report.conflicts {
        lines.push(disputed(conflict, &time));
    }
    for name in &report.names {
        let lost: Vec<String> = name.lost.iter().map(|handle| printable(handle)).collect();
        lines.push(format!(
            "the name {} was claimed twice: {} has it, and not {}",
            printable(&name.name),
            printable(&name.kept),
            lost.join(", ")
        ));
    }
    if report.omitted > 0 {
        lines.push(format!("and {} more that were not noted", report.omitted));
    }
    lines.push(outcome(report));
    lines
}

fn whom(report: &HealReport, time: &impl Fn(Millis) -> String) -> Vec<String> {
    let node = printable(&report.node);
    let began = time(report.began_at);
    let mut lines = Vec::new();
    if let Some(healed) = report.healed_at {
        lines.push(format!(
            "{node} was apart from {} for {} ({began} to {})",
            names(report, |back| back.is_some()),
            away(report),
            time(healed)
        ));
    }
    let still = names(report, |back| back.is_none());
    if !still.is_empty() {
        let when = if report.state == HealState::Open {
            format!("{node} is apart from {still} since {began}")
        } else {
            format!("{still} stayed away, and a report of its own tells of it")
        };
        lines.push(when);
    }
    for member in &report.members {
        let name = printable(&member.name);
        if member.times > 1 {
            lines.push(format!("{name} went away {} times", member.times));
        }
        if member.restarted {
            lines.push(format!("{name} was started anew meanwhile"));
        }
    }
    lines
}

fn written(report: &HealReport) -> String {
    let lists: Vec<String> = report.lists.iter().map(|list| printable(list)).collect();
    match lists.len() {
        0 => "no list was written on both sides".to_owned(),
        1 => format!("1 list was written on both sides: {}", lists.join("")),
        more => format!(
            "{more} lists were written on both sides: {}",
            lists.join(", ")
        ),
    }
}

fn disputed(conflict: &HealConflict, time: &impl Fn(Millis) -> String) -> String {
    let entry = format!(
        "in {}, {:?}",
        printable(&conflict.list),
        printable(&conflict.title)
    );
    let by = |value: &HealValue| format!("{}, {}", printable(&value.by), time(value.at));
    match conflict.field {
        EntryField::Deleted => {
            let who = |word: &str| {
                let values = conflict.values.iter().filter(|value| value.value == word);
                let who: Vec<String> = values.map(|value| format!("({})", by(value))).collect();
                who.join(" ")
            };
            format!(
                "{entry} was deleted {} and edited {}: it was kept",
                who("deleted"),
                who("edited")
            )
        }
        EntryField::Order => format!("{entry} was moved to different places"),
        EntryField::Title
        | EntryField::Done
        | EntryField::Due
        | EntryField::Priority
        | EntryField::Tags
        | EntryField::Notes
        | EntryField::Assignee
        | EntryField::Estimate
        | EntryField::Wait
        | EntryField::Every
        | EntryField::Series
        | EntryField::Planned
        | EntryField::Other(_) => {
            let value = |value: &HealValue| match value.value.as_str() {
                "" => format!("nothing ({})", by(value)),
                text => format!("{:?} ({})", printable(text), by(value)),
            };
            let values: Vec<String> = conflict.values.iter().map(value).collect();
            let field = printable(conflict.field.as_str());
            format!(
                "{entry} has several values of {field}: {}",
                values.join(", ")
            )
        }
    }
}

fn outcome(report: &HealReport) -> String {
    let size = |transfer: &HealTransfer| {
        let kilobytes = transfer.bytes.div_ceil(1000);
        format!("{} changes ({kilobytes} kB)", transfer.changes)
    };
    let moved = format!(
        "received {}, sent {}",
        size(&report.received),
        size(&report.sent)
    );
    match (report.agreed_at, report.healed_at) {
        (Some(agreed), Some(healed)) => {
            let took = u64::try_from(agreed.0.saturating_sub(healed.0)).unwrap_or(0);
            format!(
                "{moved}; all lists were the same {} after the last contact",
                span(took)
            )
        }
        (_, None) => format!("{moved}; nobody is back"),
        (None, Some(_)) if report.state == HealState::Open => {
            format!("{moved}; the lists are still being compared")
        }
        (None, Some(_)) => {
            format!("{moved}; lists differed still after 10 min (see muster doctor)")
        }
    }
}

/// A span in words: `3 min 12 s`.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds < 10 => format!("{seconds}.{} s", ms / 100 % 10),
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> HealReport {
        let at = |minute: u32, second: u32| format!("2026-03-01T02:{minute:02}:{second:02}.000Z");
        let member = |name: &str, ms: u64| {
            json!({
                "id": "0", "name": name, "away_at": at(10, 0), "back_at": at(13, 12), "away_ms": ms,
                "times": 1, "restarted": false,
            })
        };
        serde_json::from_value(json!({
            "id": "19a", "node": "alpha", "state": "closed", "began_at": at(10, 0),
            "healed_at": at(13, 12), "agreed_at": at(13, 14),
            "members": [member("beta", 192_000), member("gamma", 191_000)],
            "lists": ["groceries", "work"],
            "conflicts": [
                { "list": "groceries", "entry": "e", "title": "milk", "field": "title", "values": [
                    { "value": "milk", "by": "ann@beta", "at": at(11, 0) },
                    { "value": "oat milk", "by": "bob@alpha", "at": at(12, 0) },
                ]},
                { "list": "work", "entry": "f", "title": "a\u{7}", "field": "deleted", "values": [
                    { "value": "edited", "by": "ann@beta", "at": at(11, 0) },
                    { "value": "deleted", "by": "bob@alpha", "at": at(12, 0) },
                ]},
            ],
            "names": [{ "name": "web", "kept": "web@alpha#1.2", "lost": ["web@beta#3.4"] }],
            "omitted": 0,
            "received": { "changes": 4, "bytes": 900 }, "sent": { "changes": 3, "bytes": 1_001 },
        }))
        .unwrap()
    }

    fn lines(report: &HealReport) -> Vec<String> {
        words(report, |at| at.to_string()[11..16].to_owned())
    }

    #[test]
    fn a_report_reads_as_sentences() {
        let expected = [
            "alpha was apart from beta, gamma for 3 min 12 s (02:10 to 02:13)",
            "2 lists were written on both sides: groceries, work",
            "in groceries, \"milk\" has several values of title: \"milk\" (ann@beta, 02:11), \
             \"oat milk\" (bob@alpha, 02:12)",
            "in work, \"a\\\\u{7}\" was deleted (bob@alpha, 02:12) and edited (ann@beta, 02:11): it \
             was kept",
            "the name web was claimed twice: web@alpha#1.2 has it, and not web@beta#3.4",
            "received 4 changes (1 kB), sent 3 changes (2 kB); all lists were the same 2.0 s after \
             the last contact",
        ];
        assert_eq!(lines(&sample()), expected);
    }

    #[test]
    fn who_is_away_still_is_said_so() {
        let mut report = sample();
        report.state = HealState::Open;
        (report.healed_at, report.agreed_at) = (None, None);
        for member in &mut report.members {
            (member.back_at, member.away_ms, member.times) = (None, 0, 2);
        }
        let lines = lines(&report);
        assert_eq!(lines[0], "alpha is apart from beta, gamma since 02:10");
        assert_eq!(lines[1], "beta went away 2 times");
        assert!(lines.last().unwrap().ends_with("nobody is back"));
    }

    #[test]
    fn a_span_has_its_two_largest_units() {
        for (ms, text) in [
            (412, "0.4 s"),
            (12_900, "12 s"),
            (192_000, "3 min 12 s"),
            (3_840_000, "1 h 4 min"),
            (93_600_000, "1 d 2 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }
}
