//! Commands about groups of processes.

use crate::args::{Group, GroupMembers};
use crate::failure::Failure;
use crate::processes::registered;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::{printable, sort_by_name};
use client::ApiPath;
use hyper::Method;
use serde_json::{Value, json};

/// `muster groups`: all with their sizes, or the members of one.
pub(crate) async fn show(session: &Session<'_>, group: Option<&str>) -> Result<(), Failure> {
    let path = match group {
        Some(group) => ApiPath::new(&["groups", group]),
        None => ApiPath::new(&["groups"]),
    };
    let mut items = session.items(&path).await?;
    // A group is there as long as somebody is in it.
    if let (Some(group), true) = (group, items.is_empty()) {
        let words = format!("no process is in a group {}", printable(group));
        return Err(Failure::NotFound(words));
    }
    if session.output.is_json() {
        return session
            .output
            .json(&json!({ "items": items, "next": null }));
    }
    if group.is_some() {
        let members = registered::table(&items, &|at| session.time(at));
        return session.output.table(&members);
    }
    sort_by_name(&mut items);
    session.output.table(&table(&items))
}

fn table(items: &[Value]) -> Table {
    let mut table = Table::new(&["GROUP", "MEMBERS"]);
    for group in items {
        let members = group
            .get("members")
            .and_then(Value::as_u64)
            .unwrap_or(0)
            .to_string();
        let name = group
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        table.row([Cell::painted(name, Paint::Bold), members.into()]);
    }
    table
}

/// `muster group join`, `muster group leave`.
pub(crate) async fn change(session: &Session<'_>, change: &Group) -> Result<(), Failure> {
    let (method, GroupMembers { group, processes }, what) = match change {
        Group::Join(members) => (Method::PUT, members, "joined"),
        Group::Leave(members) => (Method::DELETE, members, "left"),
    };
    for process in processes {
        session
            .send(
                method.clone(),
                &session.timed(ApiPath::new(&["groups", group, process])),
                None,
            )
            .await?;
        if !session.output.is_json() {
            session.output.line(&format!(
                "{} {what} {}",
                printable(process),
                printable(group)
            ))?;
        }
    }
    Ok(())
}
