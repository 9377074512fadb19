//! Lists in quarantine: what is wrong with them, and taking them from other members.
//!
//! A list that is replaced is written into a backup first, in `replaced/` of the data directory, so that no byte
//! of it is lost: `muster restore` puts back from there what the other members did not have.

use crate::host::wall_ms;
use crate::machines::AskError;
use crate::service::Service;
use archive::{About, Draft, Existing, Writer};
use crdt::entry::Author;
use crdt::vector::{Tip, VersionVector};
use names::{ListId, ListName, NodeId};
use node::lists::ask::{Holders, Replace};
use node::lists::{Examined, Holder, Refusal, Source, examine};
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use store::{Backup, BackupError, Quarantined, ReadError, Reader};

/// How long members may take to say what they have.
const ASKING: Duration = Duration::from_secs(5);
/// How often it is looked whether a list has come.
const LOOK_EACH: Duration = Duration::from_millis(50);

/// Why a list was not replaced.
#[derive(Debug)]
pub(crate) enum ReplaceError {
    /// It is not in quarantine.
    NotQuarantined,
    /// No connected member has it.
    NoHolder,
    /// So many changes are on this node only.
    Unconfirmed(u64),
    /// The disk does not give all rows of it: nothing can be put in their place.
    Damaged,
    /// The machine, or the disk behind it, has refused.
    Refused(AskError<Refusal>),
    /// What is here could not be put aside.
    Backup(BackupError),
}

impl From<ReadError> for ReplaceError {
    fn from(error: ReadError) -> Self {
        Self::Backup(error.into())
    }
}

impl From<std::io::Error> for ReplaceError {
    fn from(error: std::io::Error) -> Self {
        Self::Backup(error.into())
    }
}

impl From<BackupError> for ReplaceError {
    fn from(error: BackupError) -> Self {
        Self::Backup(error)
    }
}

impl From<AskError<Refusal>> for ReplaceError {
    fn from(error: AskError<Refusal>) -> Self {
        Self::Refused(error)
    }
}

/// A list that was replaced.
#[derive(Debug)]
pub(crate) struct Replaced {
    pub(crate) file: PathBuf,
    /// How many changes are in the file.
    pub(crate) changes: u64,
    /// How many of them nobody else had.
    pub(crate) unconfirmed: u64,
    pub(crate) from: Vec<NodeId>,
    /// Whether all that those have is here.
    pub(crate) is_complete: bool,
}

/// What there is to say about a list in quarantine.
#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) row: Quarantined,
    pub(crate) examined: Examined,
    pub(crate) holders: Vec<Holder>,
    pub(crate) unconfirmed: u64,
}

/// How many changes of a list are on the disk, by its vector.
pub(crate) fn changes(reader: &Reader, list: ListId) -> Result<u64, ReadError> {
    let vector = reader.vector(list);
    let vector = vector.map_err(|error| ReadError::Failed(error.reason))?;
    Ok(length(&vector))
}

/// How many changes a vector names.
pub(crate) fn length(vector: &VersionVector) -> u64 {
    vector
        .iter()
        .fold(0, |sum: u64, tip| sum.saturating_add(tip.id.seq))
}

/// Looks at all that is here of a list, and asks the members what they have. `None` if the list is not in
/// quarantine.
pub(crate) async fn details(
    service: &Service,
    name: &ListName,
) -> Result<Option<Details>, ReplaceError> {
    let list = ListId::of(name);
    let Some(row) = service.reader().quarantine(list)? else {
        return Ok(None);
    };
    let holders = holders(service, name).await?;
    let reader = service.reader().clone();
    let read = tokio::task::spawn_blocking(move || {
        let ours = reader.vector(list)?;
        Ok((examine(list, &reader)?, ours))
    });
    let read = read
        .await
        .map_err(|error| ReadError::Failed(error.to_string()))?;
    let (examined, ours) =
        read.map_err(|error: node::lists::SourceError| ReadError::Failed(error.reason))?;
    Ok(Some(Details {
        row,
        examined,
        unconfirmed: unconfirmed(&ours, &holders),
        holders,
    }))
}

/// The connected members that have something of a list.
async fn holders(service: &Service, name: &ListName) -> Result<Vec<Holder>, AskError<Refusal>> {
    let question = Holders {
        list: name.clone(),
        timeout: ASKING,
    };
    let nobody = Author(String::new());
    let mut holders = service
        .ask_owner(ListId::of(name), nobody, question)
        .await?;
    holders.retain(|holder| !holder.vector.is_empty());
    Ok(holders)
}

/// How many changes none of those has.
fn unconfirmed(ours: &VersionVector, holders: &[Holder]) -> u64 {
    let lacking = ours.iter().map(|tip| {
        let had = holders.iter().map(|holder| had(&holder.vector, tip)).max();
        tip.id.seq.saturating_sub(had.unwrap_or(0))
    });
    lacking.fold(0, u64::saturating_add)
}

/// How many of an actor's changes, of which `tip` is the last one, are in that vector.
fn had(theirs: &VersionVector, tip: Tip) -> u64 {
    match theirs.tip(tip.id.actor) {
        None => 0,
        Some(last) if last.is_unlike(&tip) => tip.id.seq.saturating_sub(1),
        Some(last) => last.id.seq.min(tip.id.seq),
    }
}

/// Puts what is here of a list aside and takes the list from the members that have it. Waits about so long for
/// it to come.
pub(crate) async fn replace(
    service: &Service,
    name: &ListName,
    is_forced: bool,
    patience: Duration,
) -> Result<Replaced, ReplaceError> {
    let list = ListId::of(name);
    if service.reader().quarantine(list)?.is_none() {
        return Err(ReplaceError::NotQuarantined);
    }
    let holders = holders(service, name).await?;
    if holders.is_empty() {
        return Err(ReplaceError::NoHolder);
    }
    let ours = service.reader().vector(list);
    let ours = ours.map_err(|error| ReadError::Failed(error.reason))?;
    let unconfirmed = unconfirmed(&ours, &holders);
    if unconfirmed > 0 && !is_forced {
        return Err(ReplaceError::Unconfirmed(unconfirmed));
    }
    let (file, changes) = put_aside(service, name).await?;
    tracing::warn!(%list, file = %file.display(), changes, unconfirmed,
        "a list in quarantine was put aside, to be taken from other members");
    let nobody = Author(String::new());
    let question = Replace { list: name.clone() };
    service.ask_owner(list, nobody, question).await?;
    let is_complete = has_come(service, list, &holders, patience).await;
    Ok(Replaced {
        file,
        changes,
        unconfirmed,
        from: holders.iter().map(|holder| holder.peer).collect(),
        is_complete,
    })
}

/// Waits until all that those have of a list is here.
async fn has_come(service: &Service, list: ListId, holders: &[Holder], patience: Duration) -> bool {
    let begun = Instant::now();
    loop {
        let here = service.reader().vector(list);
        if here.is_ok_and(|here| holders.iter().all(|holder| here.covers(&holder.vector))) {
            return true;
        }
        if begun.elapsed() >= patience {
            return false;
        }
        tokio::time::sleep(LOOK_EACH).await;
    }
}

/// Writes all that is here of a list into a file. Gives the file, and how many changes are in it.
async fn put_aside(service: &Service, name: &ListName) -> Result<(PathBuf, u64), ReplaceError> {
    let dir = service.config().await.data_dir.join("replaced");
    let about = about(service);
    let file = dir.join(format!("{}-{}.backup", ListId::of(name), about.made_at_ms));
    let (reader, name) = (service.reader().clone(), name.clone());
    let written = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&dir)?;
        let draft = Draft::create(&file, Existing::Refuse)?;
        let mut writer = Writer::new(BufWriter::new(draft), &about)?;
        let mut backup = Backup::begin(&reader, &mut writer)?;
        let changes = backup.list(&name)?;
        if backup.is_lacking() {
            return Err(ReplaceError::Damaged);
        }
        let draft = writer.finish()?.into_inner();
        draft.map_err(std::io::IntoInnerError::into_error)?.keep()?;
        Ok((file, changes))
    });
    written
        .await
        .unwrap_or_else(|error| Err(ReadError::Failed(error.to_string()).into()))
}

/// What a backup of this node says of itself.
pub(crate) fn about(service: &Service) -> About {
    let info = service.info();
    About {
        node: info.name.to_string(),
        cluster: info
            .cluster
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        made_at_ms: wall_ms(),
        program: info.version.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::vector::Mark;
    use names::{Actor, ChangeId};

    fn vector(of: &[(u8, u64, u8)]) -> VersionVector {
        let tip = |&(actor, seq, mark): &(u8, u64, u8)| Tip {
            id: ChangeId {
                actor: Actor([actor; 16]),
                seq,
            },
            mark: Some(Mark([mark; 16])),
        };
        of.iter().map(tip).collect()
    }

    fn holder(of: &[(u8, u64, u8)]) -> Holder {
        Holder {
            peer: NodeId([1; 16]),
            vector: vector(of),
        }
    }

    #[test]
    fn what_nobody_else_has_is_counted() {
        let ours = vector(&[(1, 5, 0), (2, 3, 0)]);
        assert_eq!(unconfirmed(&ours, &[]), 8);
        let partly = holder(&[(1, 4, 0)]);
        assert_eq!(unconfirmed(&ours, std::slice::from_ref(&partly)), 4);
        let rest = holder(&[(1, 9, 0), (2, 3, 0)]);
        assert_eq!(unconfirmed(&ours, &[partly, rest]), 0);
        let another_branch = holder(&[(1, 5, 7), (2, 3, 0)]);
        assert_eq!(unconfirmed(&ours, &[another_branch]), 1);
    }
}
