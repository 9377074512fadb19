//! `muster quarantine`: lists whose documents cannot be loaded, and the ways out of that.

use crate::args::{Quarantine, Replace};
use crate::failure::Failure;
use crate::session::{OF_MEMBERS, Session, wait_of};
use crate::table::{Cell, Paint, Table};
use crate::text::printable;
use api::quarantine::{QuarantineDetails, ReplaceQuery, ReplacedList};

/// Shows them, or does what is asked.
pub(crate) async fn run(session: &Session<'_>, command: Option<Quarantine>) -> Result<(), Failure> {
    match command {
        None => list(session).await,
        Some(Quarantine::Why { list }) => why(session, &list).await,
        Some(Quarantine::Release { list }) => release(session, &list).await,
        Some(Quarantine::Replace(args)) => replace(session, &args).await,
    }
}

async fn list(session: &Session<'_>) -> Result<(), Failure> {
    let output = session.output;
    let answer = session.ask(session.client().quarantine()).await?;
    if output.is_json() {
        return output.json(&answer.raw);
    }
    if answer.value.items.is_empty() && output.is_for_people() {
        return output.line("no list is in quarantine");
    }
    let mut table = Table::new(&["LIST", "SINCE", "CHANGES", "REASON"]).cut(&["REASON"]);
    for one in &answer.value.items {
        let since = one.since.map(|at| session.time(&at.to_string()));
        table.row([
            one.name.clone().unwrap_or_default().as_str().into(),
            Cell::painted(&since.unwrap_or_default(), Paint::Dim),
            one.changes.to_string().into(),
            one.reason.as_str().into(),
        ]);
    }
    output.table(&table)
}

async fn why(session: &Session<'_>, list: &str) -> Result<(), Failure> {
    let client = session.patient(OF_MEMBERS);
    let answer = session.ask(client.quarantined_list(list)).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    for line in words(session, &answer.value) {
        session.output.line(&line)?;
    }
    Ok(())
}

/// What there is to say, a line each; the last one says what to do.
fn words(session: &Session<'_>, found: &QuarantineDetails) -> Vec<String> {
    let name = printable(&found.name);
    let since = found.since.map(|at| session.time(&at.to_string()));
    let since = since.map_or_else(String::new, |since| format!(" since {since}"));
    let mut lines = vec![
        format!(
            "{name} is in quarantine{since}: {}",
            printable(&found.reason)
        ),
        format!(
            "{} changes of it are here, in {} bytes",
            found.changes, found.bytes
        ),
    ];
    lines.extend(found.faults.iter().map(|fault| printable(fault)));
    if found.omitted > 0 {
        lines.push(format!("and {} more faults", found.omitted));
    }
    for holder in &found.holders {
        let node = printable(&holder.node);
        lines.push(format!("{node} has {} changes of it", holder.changes));
    }
    if found.unconfirmed > 0 {
        lines.push(format!(
            "{} changes are on this node only, as far as connected members tell",
            found.unconfirmed
        ));
    }
    lines.push(remedy(found));
    lines
}

fn remedy(found: &QuarantineDetails) -> String {
    let name = printable(&found.name);
    match &found.document {
        None => format!("its document can be made now: muster quarantine release {name}"),
        Some(reason) if found.holders.is_empty() => format!(
            "its document cannot be made: {}; connect a member that has it, or keep the data directory \
            and report it",
            printable(reason)
        ),
        Some(reason) => {
            let force = if found.unconfirmed > 0 {
                " --force"
            } else {
                ""
            };
            format!(
                "its document cannot be made: {}; take it from the others: muster quarantine replace {name}{force}",
                printable(reason)
            )
        }
    }
}

async fn release(session: &Session<'_>, list: &str) -> Result<(), Failure> {
    let client = session.patient(OF_MEMBERS);
    let answer = session
        .make(client.release_list(list, &wait_of(&client)))
        .await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    session.output.line(&format!(
        "{} is out of quarantine: its document could be made, with {} entries",
        printable(&answer.value.name),
        answer.value.entries
    ))
}

async fn replace(session: &Session<'_>, args: &Replace) -> Result<(), Failure> {
    let client = session.patient(OF_MEMBERS);
    let how = ReplaceQuery {
        force: args.force.then_some(true),
    };
    let wait = wait_of(&client);
    let call = client.replace_list(&args.list, &how, &wait);
    let answer = session.make(call).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let ReplacedList {
        name,
        file,
        changes,
        unconfirmed,
        from,
        complete,
    } = answer.value;
    session.output.line(&format!(
        "{changes} changes were put aside in {}",
        printable(&file)
    ))?;
    if unconfirmed > 0 {
        session.output.line(&format!(
            "{unconfirmed} of them are on no other connected member: muster restore brings back what can be"
        ))?;
    }
    let (name, from) = (printable(&name), printable(&from.join(", ")));
    session.output.line(&match complete {
        true => format!("{name} is here again, from {from}"),
        false => format!("{name} is being taken from {from}"),
    })
}
