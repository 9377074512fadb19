//! `muster verify`: has the daemon read all that it has of its lists, and tells what is wrong.

use crate::failure::Failure;
use crate::session::Session;
use crate::text::printable;
use api::page::PageQuery;
use api::verify::{MemberReplicas, VerifiedPart};
use serde_json::json;
use std::io::{Error, IsTerminal, Write};
use std::time::Duration;

/// How long the daemon may take for a part: its largest list is read whole.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks part by part. Fails if anything is wrong.
pub(crate) async fn run(session: &Session<'_>) -> Result<(), Failure> {
    let (client, output) = (session.patient(PATIENCE), session.output);
    let shows = output.is_for_people() && std::io::stderr().is_terminal();
    let (mut all, mut parts) = (VerifiedPart::default(), 0);
    loop {
        let which = PageQuery {
            limit: None,
            cursor: all.next.take(),
        };
        let part = session.make(client.verify(&which)).await?.value;
        parts += 1;
        all.lists += part.lists;
        all.changes += part.changes;
        all.bytes += part.bytes;
        all.faults.extend(part.faults);
        all.members = part.members;
        all.next = part.next;
        if all.next.is_none() {
            break;
        }
        if shows {
            progress(&format!("\r{} lists, {} changes", all.lists, all.changes));
        }
    }
    if shows && parts > 1 {
        progress("\n");
    }
    if output.is_json() {
        output.json(&json!({
            "lists": all.lists, "changes": all.changes, "bytes": all.bytes,
            "faults": all.faults, "members": all.members,
        }))?;
    } else {
        tell(session, &all)?;
    }
    match all.faults.len() {
        0 => Ok(()),
        faults => Err(Failure::Failed(format!("{faults} faults were found"))),
    }
}

fn progress(words: &str) {
    // Nobody is left to be told when standard error is closed.
    let _: Result<(), Error> = std::io::stderr().lock().write_all(words.as_bytes());
}

fn tell(session: &Session<'_>, all: &VerifiedPart) -> Result<(), Failure> {
    let output = session.output;
    for fault in &all.faults {
        let list = fault.list.as_deref().unwrap_or("the store");
        let quarantined = if fault.quarantined {
            " (in quarantine)"
        } else {
            ""
        };
        output.line(&format!(
            "{}{quarantined}: {}; {}",
            printable(list),
            printable(&fault.what),
            printable(&fault.remedy)
        ))?;
    }
    output.line(&format!(
        "{} lists with {} changes ({} bytes) were read",
        all.lists, all.changes, all.bytes
    ))?;
    for member in &all.members {
        output.line(&replicas(member))?;
    }
    Ok(())
}

fn replicas(member: &MemberReplicas) -> String {
    let node = printable(&member.node);
    let seconds = member.compared_ms_ago / 1000;
    match member.differing {
        0 => format!("{node} has the same, as compared {seconds} s ago"),
        differing => format!("{node} has {differing} lists otherwise, as compared {seconds} s ago"),
    }
}
