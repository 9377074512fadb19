//! `muster reach`: who reaches whom.

use crate::failure::Failure;
use crate::session::{OF_MEMBERS, Session};
use crate::table::{Cell, Layout, Paint, Table};
use crate::text::printable;
use api::reach::{ReachKind, ReachLink, ReachRow};

/// A matrix of more members is wider than a terminal.
const MAX_COLUMNS: usize = 10;

/// `muster reach`.
pub(crate) async fn reach(session: &Session<'_>) -> Result<(), Failure> {
    let answer = session.ask(session.patient(OF_MEMBERS).reach()).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let rows = &answer.value.items;
    if !session.output.is_for_people() {
        return session.output.table(&pairs(rows, |_| true));
    }
    if rows.len() <= MAX_COLUMNS {
        session.output.table(&matrix(rows))?;
    } else {
        session
            .output
            .table(&pairs(rows, |link| link.reach != ReachKind::Direct))?;
    }
    for line in words(rows) {
        session.output.line(&line)?;
    }
    Ok(())
}

/// The same as lines of so many columns, for a screen that has others.
pub(crate) fn lines(rows: &[ReachRow], width: usize) -> Vec<String> {
    let table = if rows.len() <= MAX_COLUMNS {
        matrix(rows)
    } else {
        pairs(rows, |link| link.reach != ReachKind::Direct)
    };
    let text = table.render(Layout::Aligned {
        colour: false,
        width: Some(width),
    });
    let table = text.lines().map(str::to_owned);
    table.chain(words(rows)).collect()
}

/// A line for each pair that is meant.
fn pairs(rows: &[ReachRow], is_meant: impl Fn(&ReachLink) -> bool) -> Table {
    let mut table = Table::new(&["FROM", "TO", "REACH", "RTT"]);
    for row in rows {
        for link in row.links.iter().filter(|link| is_meant(link)) {
            let rtt = link.rtt_ms.map(|ms| format!("{ms:.1}")).unwrap_or_default();
            table.row([
                row.name.as_str().into(),
                link.name.as_str().into(),
                Cell::painted(link.reach.as_str(), paint(&link.reach)),
                rtt.into(),
            ]);
        }
    }
    table
}

fn paint(reach: &ReachKind) -> Paint {
    match reach {
        ReachKind::Direct => Paint::Green,
        ReachKind::Indirect => Paint::Yellow,
        ReachKind::None => Paint::Red,
        ReachKind::Other(_) => Paint::Dim,
    }
}

/// A row for each member that tells, a column for each that it tells of.
fn matrix(rows: &[ReachRow]) -> Table {
    let names = rows.iter().map(|row| row.name.clone());
    let mut table = Table::with_columns(std::iter::once("FROM".to_owned()).chain(names));
    for row in rows {
        let cells = rows.iter().map(|column| cell(row, &column.name));
        table.row(std::iter::once(row.name.as_str().into()).chain(cells));
    }
    table
}

fn cell(row: &ReachRow, to: &str) -> Cell {
    if row.name == to {
        return "-".into();
    }
    let Some(link) = row.links.iter().find(|link| link.name == to) else {
        return Cell::painted("?", Paint::Dim);
    };
    let text = match (&link.reach, link.rtt_ms) {
        (ReachKind::Direct, Some(ms)) => format!("{ms:.1} ms"),
        (ReachKind::Direct, None) => "yes".to_owned(),
        (ReachKind::Indirect, _) => "others".to_owned(),
        (ReachKind::None, _) => "no".to_owned(),
        (ReachKind::Other(word), _) => word.clone(),
    };
    Cell::painted(&text, paint(&link.reach))
}

/// What the table means: who was silent, and which pairs are cut.
fn words(rows: &[ReachRow]) -> Vec<String> {
    let silent = rows.iter().filter_map(|row| {
        let reason = row.silent.as_ref()?;
        Some(format!(
            "{} told nothing: {}",
            printable(&row.name),
            printable(reason)
        ))
    });
    let links = || {
        rows.iter()
            .flat_map(|row| row.links.iter().map(move |link| (row, link)))
    };
    let cut = links().filter(|(_, link)| link.reach == ReachKind::Indirect);
    let cut = cut.map(|(row, link)| {
        let others = links().filter(|(other, same)| {
            other.name != row.name && same.name == link.name && same.reach == ReachKind::Direct
        });
        let others: Vec<String> = others.map(|(other, _)| printable(&other.name)).collect();
        let by = match others.len() {
            0 => "nobody who was asked does".to_owned(),
            _ => format!("{} can", others.join(", ")),
        };
        format!(
            "{} cannot reach {}, but {by}",
            printable(&row.name),
            printable(&link.name)
        )
    });
    silent.chain(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows() -> Vec<ReachRow> {
        let link = |name: &str, reach: &str, rtt: Option<f64>| json!({ "name": name, "reach": reach, "rtt_ms": rtt });
        let row = |name: &str, silent: Option<&str>, links| json!({ "id": "0", "name": name, "silent": silent, "links": links });
        let alpha = vec![
            link("beta", "direct", Some(0.42)),
            link("gamma", "indirect", None),
        ];
        let beta = vec![
            link("alpha", "direct", Some(0.4)),
            link("gamma", "direct", Some(640.0)),
        ];
        let all = [
            row("alpha", None, alpha),
            row("beta", None, beta),
            row("gamma", Some("no answer"), vec![]),
        ];
        all.into_iter()
            .map(|row| serde_json::from_value(row).unwrap())
            .collect()
    }

    #[test]
    fn who_reaches_whom_is_a_matrix_for_people() {
        let text = matrix(&rows()).render(Layout::Aligned {
            colour: false,
            width: None,
        });
        let expected = "FROM   alpha   beta    gamma\n\
                        alpha  -       0.4 ms  others\n\
                        beta   0.4 ms  -       640.0 ms\n\
                        gamma  ?       ?       -\n";
        let lines = |text: &str| {
            text.lines()
                .map(|line| line.trim_end().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(&text), lines(expected));
    }

    #[test]
    fn what_it_means_is_said_in_words() {
        let expected = [
            "gamma told nothing: no answer",
            "alpha cannot reach gamma, but beta can",
        ];
        assert_eq!(words(&rows()), expected);
    }

    #[test]
    fn pairs_are_lines_for_programs() {
        let text = pairs(&rows(), |_| true).render(Layout::Plain);
        assert_eq!(text.lines().nth(1), Some("alpha\tgamma\tindirect\t"));
        assert_eq!(text.lines().count(), 4);
    }
}
