//! `muster backup`: all lists of the node in one file, and whether such a file is whole.

use crate::args::Backup;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::text::printable;
use api::time::Millis;
use archive::{ArchiveError, Draft, Existing, Kind, Reader, Totals};
use serde_json::json;
use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Write};
use std::path::Path;

/// Writes the file under another name, reads it back, and gives it its name when it is whole.
pub(crate) async fn make(session: &Session<'_>, args: &Backup) -> Result<(), Failure> {
    let existing = if args.force {
        Existing::Replace
    } else {
        Existing::Refuse
    };
    let unwritten = |error: Error| unwritten(&args.file, &error);
    let mut draft = Draft::create(&args.file, existing).map_err(unwritten)?;
    let mut pieces = session.ask(session.client().backup()).await?;
    while let Some(piece) = session.ask(pieces.next()).await? {
        draft.write_all(&piece).map_err(unwritten)?;
    }
    let written = draft.read_back().map_err(unwritten)?;
    let found = Found::read(written).map_err(|error| {
        let words = format!("what the daemon sent is not whole: {error}");
        Failure::Failed(words)
    })?;
    draft.keep().map_err(unwritten)?;
    found.tell(&args.file, session.output)
}

/// Reads a file to its end.
pub(crate) fn verify(args: &Backup, output: &Output) -> Result<(), Failure> {
    check(&args.file)?.tell(&args.file, output)
}

/// What is in a file that is whole.
pub(super) fn check(file: &Path) -> Result<Found, Failure> {
    let name = printable(&file.display().to_string());
    let opened = File::open(file);
    let opened = opened.map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            Failure::NotFound(format!("there is no file {name}"))
        } else {
            Failure::Failed(format!("{name} cannot be read: {error}"))
        }
    })?;
    Found::read(opened).map_err(|error| Failure::Failed(format!("{name}: {error}")))
}

fn unwritten(file: &Path, error: &Error) -> Failure {
    let words = format!(
        "{} was not written: {error}",
        printable(&file.display().to_string())
    );
    if error.kind() == ErrorKind::AlreadyExists {
        Failure::Conflict(format!("{words} (--force replaces it)"))
    } else {
        Failure::Failed(words)
    }
}

/// What is in a backup.
#[derive(Debug)]
pub(super) struct Found {
    node: String,
    made_at: Millis,
    totals: Totals,
    /// What the disk did not give when it was made: the list and the reason.
    lacking: Vec<(String, String)>,
}

impl Found {
    fn read(file: impl Read) -> Result<Self, ArchiveError> {
        let mut reader = Reader::new(BufReader::new(file))?;
        let (mut list, mut lacking) = (String::new(), Vec::new());
        while let Some(block) = reader.next_block()? {
            let words = || String::from_utf8_lossy(&block.content).into_owned();
            match block.kind {
                Kind::List => list = words(),
                Kind::Lacking => lacking.push((list.clone(), words())),
                Kind::About
                | Kind::Salt
                | Kind::Change
                | Kind::LeftOut
                | Kind::Aside
                | Kind::Odd
                | Kind::End => {}
            }
        }
        Ok(Self {
            node: reader.about().node.clone(),
            made_at: Millis(reader.about().made_at_ms),
            totals: reader.totals(),
            lacking,
        })
    }

    /// Tells it. Fails where the backup could not get all of a list.
    fn tell(&self, file: &Path, output: &Output) -> Result<(), Failure> {
        let file = file.display().to_string();
        let Totals { lists, changes } = self.totals;
        if output.is_json() {
            let lacking = self.lacking.iter();
            let lacking: Vec<_> = lacking
                .map(|(list, reason)| json!({ "list": list, "reason": reason }))
                .collect();
            output.json(&json!({
                "file": file, "node": self.node, "made_at": self.made_at.to_string(),
                "lists": lists, "changes": changes, "lacking": lacking,
            }))?;
        } else {
            output.line(&format!(
                "{} is whole: {lists} lists with {changes} changes, of {} at {}",
                printable(&file),
                printable(&self.node),
                self.made_at
            ))?;
        }
        if self.lacking.is_empty() {
            return Ok(());
        }
        let lists = self.lacking.iter();
        let lists: Vec<String> = lists
            .map(|(list, reason)| format!("{} ({})", printable(list), printable(reason)))
            .collect();
        Err(Failure::Failed(format!(
            "the disk of the node did not give all of these lists: {}; muster verify says what to do",
            lists.join(", ")
        )))
    }
}
