//! Commands about links: whose end ends which process.

use crate::args::{Link, Named, Pair};
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::printable;
use api::processes::LinkQuery;

/// `muster link`.
pub(crate) async fn make(session: &Session<'_>, link: &Link) -> Result<(), Failure> {
    let Pair { process, other } = &link.pair;
    let when = LinkQuery {
        unreachable: link.unreachable.then_some(true),
    };
    let wait = session.wait();
    session
        .make(session.client().link(process, other, &when, &wait))
        .await?;
    let (process, other) = (printable(process), printable(other));
    done(session, &format!("{process} ends when {other} has ended"))
}

/// `muster unlink`.
pub(crate) async fn remove(session: &Session<'_>, pair: &Pair) -> Result<(), Failure> {
    let Pair { process, other } = pair;
    let wait = session.wait();
    session
        .make(session.client().unlink(process, other, &wait))
        .await?;
    let (process, other) = (printable(process), printable(other));
    done(session, &format!("{process} no longer ends with {other}"))
}

fn done(session: &Session<'_>, words: &str) -> Result<(), Failure> {
    if session.output.is_json() {
        return Ok(());
    }
    session.output.line(words)
}

/// `muster links`.
pub(crate) async fn list(session: &Session<'_>, args: &Named) -> Result<(), Failure> {
    let answer = session
        .ask(session.client().links(&args.process, &session.wait()))
        .await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let mut table = Table::new(&["OTHER", "WHEN", "SINCE"]);
    for link in &answer.value {
        let since = session.time(&link.since.to_string());
        table.row([
            link.other.as_str().into(),
            if link.unreachable {
                "down,unreachable"
            } else {
                "down"
            }
            .into(),
            Cell::painted(&since, Paint::Dim),
        ]);
    }
    session.output.table(&table)
}
