//! Commands about groups of processes.

use crate::args::{Group, GroupMembers};
use crate::failure::Failure;
use crate::processes::registered;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::{by_name, printable};
use api::processes::{GroupQuery, ProcessGroup};

/// `muster groups`: all with their sizes, or the members of one.
pub(crate) async fn show(session: &Session<'_>, group: Option<&str>) -> Result<(), Failure> {
    let Some(group) = group else {
        let answer = session.ask(session.client().groups()).await?;
        if session.output.is_json() {
            return session.output.json(&answer.raw);
        }
        return session.output.table(&table(answer.value));
    };
    let every = GroupQuery::default();
    let answer = session.ask(session.client().group(group, &every)).await?;
    // A group is there as long as somebody is in it.
    if answer.value.is_empty() {
        let words = format!("no process is in a group {}", printable(group));
        return Err(Failure::NotFound(words));
    }
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let members = registered::table(&answer.value, &|at| session.time(at));
    session.output.table(&members)
}

fn table(mut groups: Vec<ProcessGroup>) -> Table {
    groups.sort_by(|a, b| by_name(&a.name, &b.name));
    let mut table = Table::new(&["GROUP", "MEMBERS"]);
    for group in &groups {
        let members = group.members.to_string();
        table.row([Cell::painted(&group.name, Paint::Bold), members.into()]);
    }
    table
}

/// `muster group join`, `muster group leave`.
pub(crate) async fn change(session: &Session<'_>, change: &Group) -> Result<(), Failure> {
    let (is_joining, GroupMembers { group, processes }) = match change {
        Group::Join(members) => (true, members),
        Group::Leave(members) => (false, members),
    };
    let (client, wait) = (session.client(), session.wait());
    for process in processes {
        let what = if is_joining {
            session
                .make(client.join_group(group, process, &wait))
                .await?;
            "joined"
        } else {
            session
                .make(client.leave_group(group, process, &wait))
                .await?;
            "left"
        };
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
