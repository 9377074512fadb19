//! Putting a backup back: as a merge, in which each change is judged as one of a peer.

use crate::machines::AskError;
use crate::service::Service;
use archive::{ArchiveError, Kind, Reader};
use bytes::Bytes;
use crdt::entry::Author;
use crdt::list;
use names::{ChangeHash, ChangeId, ListId, ListName};
use node::lists::Refusal;
use node::lists::ask::{Learn, Restore};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use store::ReadError;

/// So many changes are offered together: fewer than may be held back for a list.
const OFFERED: usize = 1_000;
/// The lists have taken what they can when nothing has changed for so long, and how often that is looked at.
const SETTLE: Duration = Duration::from_secs(2);
const LOOK_EACH: Duration = Duration::from_millis(5);

/// Why a backup was not put back.
#[derive(Debug)]
pub(crate) enum RestoreError {
    /// It is none, or not whole. Nothing was changed.
    Archive(ArchiveError),
    /// A list in it has no name that a list can have. Nothing was changed.
    Name(String),
    /// A machine has refused. What came before is restored.
    Refused(AskError<Refusal>),
    /// The store cannot be read. What came before is restored.
    Read(ReadError),
}

impl From<ArchiveError> for RestoreError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl From<AskError<Refusal>> for RestoreError {
    fn from(error: AskError<Refusal>) -> Self {
        Self::Refused(error)
    }
}

impl From<ReadError> for RestoreError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// What a backup has.
#[derive(Debug, Default)]
struct Contents {
    salts: Vec<Bytes>,
    lists: Vec<OfList>,
}

/// What a backup has of a list.
#[derive(Debug)]
struct OfList {
    name: ListName,
    changes: Vec<Bytes>,
    left_out: Vec<Bytes>,
    /// Rows that are no changes.
    odd: u64,
}

/// What became of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    pub(crate) name: ListName,
    pub(crate) restored: u64,
    pub(crate) known: u64,
    pub(crate) refused: u64,
}

/// Puts back a backup that is in memory, and waits until what can be taken of it is on the disk.
pub(crate) async fn restore(
    service: &Service,
    bytes: &[u8],
) -> Result<Vec<Restored>, RestoreError> {
    let contents = read(bytes)?;
    if !contents.salts.is_empty() {
        let salts = contents.salts;
        service.ask_all(Learn { salts }).await?;
    }
    let mut offered = Vec::new();
    for list in contents.lists {
        offered.push(offer_list(service, list).await?);
    }
    let mut restored = Vec::new();
    for list in offered {
        restored.push(list.outcome(service).await?);
    }
    Ok(restored)
}

/// A list of which the last part has been offered.
struct Offered {
    name: ListName,
    total: u64,
    known: u64,
    refused: u64,
    /// What may still come.
    left: Vec<(ChangeId, ChangeHash)>,
    /// When it was offered.
    since: Instant,
}

impl Offered {
    /// Waits until it is known what became of the list.
    async fn outcome(self, service: &Service) -> Result<Restored, ReadError> {
        let Self {
            name,
            total,
            known,
            refused,
            left,
            since,
        } = self;
        let left = settled(service, ListId::of(&name), left, since).await?;
        let refused = refused.saturating_add(count(left.len()));
        Ok(Restored {
            name,
            restored: total.saturating_sub(known).saturating_sub(refused),
            known,
            refused,
        })
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Reads all of it before anything is changed.
fn read(bytes: &[u8]) -> Result<Contents, RestoreError> {
    let mut reader = Reader::new(bytes)?;
    let mut contents = Contents::default();
    while let Some(block) = reader.next_block()? {
        let content = Bytes::from(block.content);
        let list = contents.lists.last_mut();
        match (block.kind, list) {
            (Kind::Salt, _) => contents.salts.push(content),
            (Kind::List, _) => contents.lists.push(OfList {
                name: name(&content)?,
                changes: Vec::new(),
                left_out: Vec::new(),
                odd: 0,
            }),
            (Kind::Change, Some(list)) => list.changes.push(content),
            (Kind::LeftOut, Some(list)) => list.left_out.push(content),
            (Kind::Odd, Some(list)) => list.odd += 1,
            // What is aside is in no list, and what is lacking is nowhere.
            (Kind::Aside | Kind::Lacking | Kind::About | Kind::End, _) => {}
            // No writer puts anything of a list before the list.
            (Kind::Change | Kind::LeftOut | Kind::Odd, None) => {}
        }
    }
    Ok(contents)
}

fn name(bytes: &[u8]) -> Result<ListName, RestoreError> {
    let text = String::from_utf8_lossy(bytes);
    ListName::new(&text).map_err(|error| RestoreError::Name(error.to_string()))
}

/// Offers what a list lacks, and waits for all but the last of it.
async fn offer_list(service: &Service, of: OfList) -> Result<Offered, RestoreError> {
    let OfList {
        name,
        changes,
        left_out,
        odd,
    } = of;
    let list = ListId::of(&name);
    let total = count(changes.len()).saturating_add(odd);
    let (wanted, sound) = lacking(service, list, changes)?;
    let mut refused = total.saturating_sub(sound);
    let known = sound.saturating_sub(count(wanted.len()));
    let mut left = Vec::new();
    for (at, part) in wanted.chunks(OFFERED).enumerate() {
        let before = std::mem::take(&mut left);
        refused += count(settled(service, list, before, Instant::now()).await?.len());
        let is_last = (at + 1) * OFFERED >= wanted.len();
        let left_out = left_out.iter().filter(|_| is_last).cloned().collect();
        let changes = part.iter().map(|(_, bytes)| bytes.clone()).collect();
        offer(service, &name, changes, left_out).await?;
        left = part.iter().map(|(id, _)| *id).collect();
    }
    if wanted.is_empty() && !left_out.is_empty() {
        offer(service, &name, Vec::new(), left_out).await?;
    }
    Ok(Offered {
        name,
        total,
        known,
        refused,
        left,
        since: Instant::now(),
    })
}

type Wanted = ((ChangeId, ChangeHash), Bytes);

/// Those of the changes that are not here, and how many of all are changes at all.
fn lacking(
    service: &Service,
    list: ListId,
    changes: Vec<Bytes>,
) -> Result<(Vec<Wanted>, u64), ReadError> {
    let known = |bytes: Bytes| {
        let head = list::head_of(&bytes)?;
        Some(((head.id, list::hash_of(&bytes)), bytes))
    };
    let heads: Vec<Wanted> = changes.into_iter().filter_map(known).collect();
    let ids = heads.iter().map(|(id, _)| *id);
    let missing: BTreeSet<_> = service.reader().missing(list, ids)?.into_iter().collect();
    let sound = u64::try_from(heads.len()).unwrap_or(u64::MAX);
    let wanted = heads.into_iter().filter(|(id, _)| missing.contains(id));
    Ok((wanted.collect(), sound))
}

async fn offer(
    service: &Service,
    name: &ListName,
    changes: Vec<Bytes>,
    left_out: Vec<Bytes>,
) -> Result<(), AskError<Refusal>> {
    let question = Restore {
        list: name.clone(),
        changes,
        left_out,
    };
    let nobody = Author(String::new());
    service.ask_owner(ListId::of(name), nobody, question).await
}

/// Waits until all of them are here, or no more of them have come for a while. Gives those that are not.
async fn settled(
    service: &Service,
    list: ListId,
    mut left: Vec<(ChangeId, ChangeHash)>,
    since: Instant,
) -> Result<Vec<(ChangeId, ChangeHash)>, ReadError> {
    let mut moved = since;
    loop {
        let before = left.len();
        left = service.reader().missing(list, left)?;
        if left.len() < before {
            moved = Instant::now();
        }
        if left.is_empty() || moved.elapsed() >= SETTLE {
            return Ok(left);
        }
        tokio::time::sleep(LOOK_EACH).await;
    }
}
