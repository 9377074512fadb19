//! Commands about links: whose end ends which process.

use crate::args::{Link, Named, Pair};
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::printable;
use client::ApiPath;
use hyper::Method;
use serde_json::{Value, json};

/// `muster link`.
pub(crate) async fn make(session: &Session<'_>, link: &Link) -> Result<(), Failure> {
    let path = path(session, &link.pair).maybe("unreachable", link.unreachable.then_some("true"));
    let answer = session.send(Method::PUT, &path, None).await?;
    done(session, &answer, || {
        format!(
            "{} ends when {} has ended",
            printable(&link.pair.process),
            printable(&link.pair.other)
        )
    })
}

/// `muster unlink`.
pub(crate) async fn remove(session: &Session<'_>, pair: &Pair) -> Result<(), Failure> {
    let answer = session
        .send(Method::DELETE, &path(session, pair), None)
        .await?;
    done(session, &answer, || {
        format!(
            "{} no longer ends with {}",
            printable(&pair.process),
            printable(&pair.other)
        )
    })
}

fn path(session: &Session<'_>, pair: &Pair) -> ApiPath {
    session.timed(ApiPath::new(&[
        "processes",
        &pair.process,
        "links",
        &pair.other,
    ]))
}

fn done(
    session: &Session<'_>,
    answer: &Value,
    words: impl FnOnce() -> String,
) -> Result<(), Failure> {
    match (session.output.is_json(), answer.is_null()) {
        (true, true) => Ok(()),
        (true, false) => session.output.json(answer),
        (false, _) => session.output.line(&words()),
    }
}

/// `muster links`.
pub(crate) async fn list(session: &Session<'_>, args: &Named) -> Result<(), Failure> {
    let items = session
        .items(&ApiPath::new(&["processes", &args.process, "links"]))
        .await?;
    if session.output.is_json() {
        return session
            .output
            .json(&json!({ "items": items, "next": null }));
    }
    let mut table = Table::new(&["OTHER", "WHEN", "SINCE"]);
    for link in &items {
        let text = |field: &str| link.get(field).and_then(Value::as_str).unwrap_or_default();
        let unreachable = link
            .get("unreachable")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let since = session.time(text("since"));
        table.row([
            text("other").into(),
            if unreachable {
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
