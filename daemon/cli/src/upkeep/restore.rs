//! `muster restore`: puts the lists of a backup back, in parts that the daemon takes one after the other.

use super::backup::check;
use crate::args::Restore;
use crate::failure::Failure;
use crate::session::Session;
use crate::table::Table;
use crate::text::printable;
use api::backup::RestoredList;
use archive::{About, ArchiveError, Kind, Reader, Writer};
use bytes::Bytes;
use serde_json::json;
use std::fs::File;
use std::io::{BufReader, Error, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

/// A part holds about so much at most.
const PART_BYTES: usize = 4 << 20;
const PART_BLOCKS: usize = 1_000;
/// How long the daemon may take for a part: on a long list each takes some seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Checks the file first, so that nothing is changed by one that is not whole.
pub(crate) async fn run(session: &Session<'_>, args: &Restore) -> Result<(), Failure> {
    check(&args.file)?;
    let client = session.patient(PATIENCE);
    let mut parts = Parts::open(&args.file, args.list.clone()).map_err(unreadable)?;
    let mut told = Told::default();
    while let Some(part) = parts.next_part().map_err(unreadable)? {
        let answer = session.make(client.restore(part)).await?;
        told.add(answer.value.lists);
        told.show_progress(session);
    }
    told.end_progress(session);
    told.tell(session, args.list.as_deref())
}

fn unreadable(error: ArchiveError) -> Failure {
    Failure::Failed(format!("the backup: {error}"))
}

/// A backup, as backups that are small.
struct Parts {
    reader: Reader<BufReader<File>>,
    about: About,
    /// Only this one.
    only: Option<String>,
    /// The list that the next block belongs to.
    list: Option<Vec<u8>>,
    is_over: bool,
}

impl Parts {
    fn open(file: &Path, only: Option<String>) -> Result<Self, ArchiveError> {
        let reader = Reader::new(BufReader::new(File::open(file)?))?;
        Ok(Self {
            about: reader.about().clone(),
            reader,
            only,
            list: None,
            is_over: false,
        })
    }

    /// The next part; `None` after the last one.
    fn next_part(&mut self) -> Result<Option<Bytes>, ArchiveError> {
        if self.is_over {
            return Ok(None);
        }
        let mut part = Writer::new(Vec::new(), &self.about)?;
        if let Some(list) = self.list.as_ref().filter(|list| self.is_wanted(list)) {
            part.put(Kind::List, list)?;
        }
        let (mut blocks, mut bytes) = (0, 0);
        while blocks < PART_BLOCKS && bytes < PART_BYTES {
            let Some(block) = self.reader.next_block()? else {
                self.is_over = true;
                break;
            };
            if block.kind == Kind::List {
                self.list = Some(block.content.clone());
            }
            let is_wanted = self.list.as_ref().is_none_or(|list| self.is_wanted(list));
            if is_wanted {
                part.put(block.kind, &block.content)?;
                blocks += 1;
                bytes += block.content.len();
            }
        }
        Ok(Some(part.finish().map(Bytes::from)?))
    }

    fn is_wanted(&self, list: &[u8]) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| only.as_bytes() == list)
    }
}

/// What became of the lists by now.
#[derive(Default)]
struct Told {
    lists: Vec<RestoredList>,
    parts: usize,
}

impl Told {
    fn add(&mut self, lists: Vec<RestoredList>) {
        self.parts += 1;
        for list in lists {
            match self.lists.last_mut().filter(|last| last.name == list.name) {
                Some(last) => {
                    last.restored += list.restored;
                    last.known += list.known;
                    last.refused += list.refused;
                }
                None => self.lists.push(list),
            }
        }
    }

    fn shows(&self, session: &Session<'_>) -> bool {
        session.output.is_for_people() && std::io::stderr().is_terminal() && self.parts > 1
    }

    fn show_progress(&self, session: &Session<'_>) {
        if self.shows(session) {
            let changes: u64 = self
                .lists
                .iter()
                .map(|list| list.restored + list.known)
                .sum();
            let words = format!("\r{} lists, {changes} changes", self.lists.len());
            // Nobody is left to be told when standard error is closed.
            let _: Result<(), Error> = std::io::stderr().lock().write_all(words.as_bytes());
        }
    }

    fn end_progress(&self, session: &Session<'_>) {
        if self.shows(session) {
            let _: Result<(), Error> = std::io::stderr().lock().write_all(b"\n");
        }
    }

    fn tell(&self, session: &Session<'_>, only: Option<&str>) -> Result<(), Failure> {
        let output = session.output;
        if let Some(only) = only.filter(|_| self.lists.is_empty()) {
            let words = format!("the backup has no list {}", printable(only));
            return Err(Failure::NotFound(words));
        }
        if output.is_json() {
            output.json(&json!({ "lists": self.lists }))?;
        } else {
            let mut table = Table::new(&["LIST", "RESTORED", "KNOWN", "REFUSED"]);
            for list in &self.lists {
                table.row([
                    list.name.as_str().into(),
                    list.restored.to_string().into(),
                    list.known.to_string().into(),
                    list.refused.to_string().into(),
                ]);
            }
            output.table(&table)?;
        }
        let refused: u64 = self.lists.iter().map(|list| list.refused).sum();
        if refused == 0 {
            return Ok(());
        }
        Err(Failure::Failed(format!(
            "{refused} changes were not taken: they are damaged, build on changes that are neither here nor in \
            the backup, or are by authors for whom no node has signed that this one trusts"
        )))
    }
}
