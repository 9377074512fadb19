//! `muster export`, `muster import`: lists out to files of other programs and in from them.

use super::edit::Changes;
use super::entry::mark;
use super::sending::{Broken, PATIENCE, Sending};
use crate::args::{Export, FormatName, Import};
use crate::failure::Failure;
use crate::session::Session;
use crate::text::{harmless_json, printable};
use api::lists::{AtQuery, EntriesQuery, NewEntry};
use formats::{Format, List};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;

/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// `muster export`.
pub(crate) async fn export(session: &Session<'_>, args: &Export) -> Result<(), Failure> {
    let Some(format) = args.format.as_text() else {
        return export_document(session, &args.list).await;
    };
    let (which, at) = (EntriesQuery::default(), AtQuery::default());
    let wait = session.wait();
    let call = session.client().entries(&args.list, &which, &at, &wait);
    let answer = session.ask(call).await?;
    let no_raw = Vec::new();
    let raw = answer.raw.get("items").and_then(Value::as_array);
    let list = List {
        name: &args.list,
        entries: &answer.value,
        raw: raw.unwrap_or(&no_raw),
        zone: &session.zone,
    };
    let text = formats::write(format, list);
    // What other nodes hold may steer a terminal; a file shall have it as it is.
    if !std::io::stdout().is_terminal() {
        return session.output.raw(&text);
    }
    let harmless = if format == Format::Json {
        harmless_json
    } else {
        printable
    };
    let lines = text.lines().map(|line| harmless(line) + "\n");
    session.output.raw(&lines.collect::<String>())
}

async fn export_document(session: &Session<'_>, list: &str) -> Result<(), Failure> {
    if std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "a document is no text; it goes into a file: > FILE.automerge".to_owned(),
        ));
    }
    let wait = session.wait();
    let document = session.ask(session.client().document(list, &wait)).await?;
    session.output.bytes(&document)
}

async fn import_document(
    session: &Session<'_>,
    args: &Import,
    document: Vec<u8>,
) -> Result<(), Failure> {
    if args.dry_run {
        return Err(Failure::Usage(
            "what a document would change is not shown beforehand; muster undo takes it back"
                .to_owned(),
        ));
    }
    let client = session.patient(PATIENCE);
    let mut changes = Changes::patient(session, &client, &args.durability);
    let how = changes.how.clone();
    let call = client.merge(&args.list, document, &how);
    let answer = changes
        .make(call, |merged| merged.replicas.as_ref())
        .await?;
    if session.output.is_json() {
        session.output.json(&answer.raw)?;
    } else {
        let merged = &answer.value;
        let words = format!(
            "{} added, {} changed, {} deleted",
            merged.added, merged.changed, merged.deleted
        );
        note(session, &words);
    }
    changes.end()
}

/// `muster import`.
pub(crate) async fn import(session: &Session<'_>, args: &Import) -> Result<(), Failure> {
    let format = format(args)?;
    let bytes = contents(&args.file)?;
    let Some(format) = format.as_text() else {
        return import_document(session, args, bytes).await;
    };
    let read = formats::read(format, &bytes, &session.zone);
    for (what, times) in &read.passed_over {
        let words = format!(
            "passed over, since lists have no place for it: {} ({times})",
            printable(what)
        );
        note(session, &words);
    }
    let entries = read.items.into_iter().map(|item| (item.line, item.entry));
    let mut sending = Sending::new(session, &args.list, entries.collect());
    let judged = sending.judge().await?.check("imported", read.bad)?;
    sending.leave_out(&judged);
    let (present, deleted) = judged.known();
    if args.dry_run {
        for entry in sending.entries() {
            show(session, entry)?;
        }
    } else {
        let done = sending.add(&args.durability, |_| Ok(())).await;
        done.map_err(|broken| incomplete(broken, sending.entries().count()))?;
    }
    let added = sending.entries().count();
    report(session, args.dry_run, [added, present, deleted])
}

fn incomplete(broken: Broken, all: usize) -> Failure {
    let Broken { failure, added, .. } = broken;
    if added == all {
        return failure;
    }
    let words = format!(
        "{added} of {all} entries were imported, but then: {}; the same command imports the rest and doubles \
         nothing",
        failure.words()
    );
    Failure::with_code(failure.code(), words)
}

/// An entry that would come.
fn show(session: &Session<'_>, entry: &NewEntry) -> Result<(), Failure> {
    if session.output.is_json() {
        return session
            .output
            .json(&serde_json::to_value(entry).unwrap_or_default());
    }
    let (id, title) = (entry.id.as_deref(), entry.title.as_deref());
    session.output.line(&format!(
        "{} {} {}",
        printable(id.unwrap_or_default()),
        mark(entry.done == Some(true)),
        printable(title.unwrap_or_default())
    ))
}

fn report(session: &Session<'_>, is_dry: bool, counts: [usize; 3]) -> Result<(), Failure> {
    let [added, present, deleted] = counts;
    if session.output.is_json() {
        let told =
            json!({ "added": added, "present": present, "deleted": deleted, "dry_run": is_dry });
        return session.output.json(&told);
    }
    let would = if is_dry {
        "would be imported"
    } else {
        "imported"
    };
    let entries = |count| if count == 1 { "entry" } else { "entries" };
    let mut words = format!("{added} {} {would}", entries(added));
    if present > 0 {
        words += &format!("; {present} here already, left as they are");
    }
    if deleted > 0 {
        words += &format!("; {deleted} deleted here, left out");
    }
    note(session, &words);
    Ok(())
}

/// Says something beside the results.
fn note(session: &Session<'_>, words: &str) {
    if !session.output.is_json() {
        // Nobody is left to be told when standard error is closed.
        let _ = writeln!(std::io::stderr().lock(), "{words}");
    }
}

fn format(args: &Import) -> Result<FormatName, Failure> {
    let guessed = args.file.to_str().and_then(FormatName::of_file);
    args.format.or(guessed).ok_or_else(|| {
        let file = printable(&args.file.to_string_lossy());
        Failure::Usage(format!(
            "the name {file:?} does not tell the format; --format does: {}",
            FormatName::all()
        ))
    })
}

fn contents(file: &Path) -> Result<Vec<u8>, Failure> {
    let name = printable(&file.to_string_lossy());
    let failed = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            Failure::NotFound(format!("there is no file {name}"))
        } else {
            Failure::Failed(format!("{name} cannot be read: {error}"))
        }
    };
    let mut bytes = Vec::new();
    let read = |input: &mut dyn Read, bytes: &mut Vec<u8>| {
        input.take(MAX_FILE_BYTES + 1).read_to_end(bytes)
    };
    if file.as_os_str() == "-" {
        read(&mut std::io::stdin().lock(), &mut bytes)
    } else {
        File::open(file).and_then(|mut file| read(&mut file, &mut bytes))
    }
    .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Failure::Usage(format!(
            "{name} has more than {MAX_FILE_BYTES} bytes"
        )));
    }
    Ok(bytes)
}
