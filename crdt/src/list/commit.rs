//! Making one change of what an edit writes.

use super::document::{Document, RawChange};
use super::edit::{EditRefusal, Stamp};
use super::judge::MAX_AUTHOR_BYTES;
use super::outline::OpName;
use super::write::{Draft, Room, Stop};
use super::{MAX_CHANGE_BYTES, MAX_OPERATIONS};
use automerge::transaction::CommitOptions;
use automerge::{Automerge, Change, ObjId};
use bytes::Bytes;
use names::{ChangeHash, ChangeId, EntryId};
use std::collections::BTreeSet;

/// What a change's frame takes besides dependencies, message and actors, in bytes.
const FRAME_BYTES: usize = 512;

/// The maps of entries that a change has made.
type Maps = Vec<(ObjId, EntryId)>;

impl Document {
    /// Makes one change of what `write` writes; none if that is nothing. Leaves no trace if it is
    /// refused. The values of `life` that are `spared` stay visible beside what is written.
    pub(super) fn commit(
        &mut self,
        stamp: Stamp<'_>,
        spared: &BTreeSet<OpName>,
        write: impl FnOnce(&mut Draft<'_>) -> Result<(), Stop>,
    ) -> Result<Option<RawChange>, EditRefusal> {
        self.catch_up()?;
        let room = self.room(stamp)?;
        let made = if spared.is_empty() {
            transact(&mut self.doc, room, stamp, write)?
        } else {
            self.transact_beside(room, stamp, spared, write)?
        };
        let Some((made, change)) = made else {
            return Ok(None);
        };
        made.iter()
            .filter_map(|(map, id)| Some((OpName::of(map)?, *id)))
            .for_each(|(map, id)| self.index.add_map(map, id));
        self.take_own(&change, stamp).map(Some)
    }

    /// A transaction overwrites all that it sees. So the change is made in a copy of the document, and
    /// then written down without what it shall not overwrite, as if its writer had not seen that.
    fn transact_beside(
        &mut self,
        room: Room,
        stamp: Stamp<'_>,
        spared: &BTreeSet<OpName>,
        write: impl FnOnce(&mut Draft<'_>) -> Result<(), Stop>,
    ) -> Result<Option<(Maps, Change)>, EditRefusal> {
        let mut copy = self.doc.clone();
        let Some((made, change)) = transact(&mut copy, room, stamp, write)? else {
            return Ok(None);
        };
        let mut expanded = change.decode();
        for op in &mut expanded.operations {
            let overwritten = op.pred.iter().filter(|pred| {
                let name = OpName::of_legacy(pred);
                name.is_none_or(|name| !spared.contains(&name))
            });
            op.pred = overwritten.cloned().collect();
        }
        let change = Change::from(expanded);
        self.doc.apply_changes([change.clone()])?;
        Ok(Some((made, change)))
    }

    /// The room that a change has, less what its frame will take.
    pub(super) fn room(&self, stamp: Stamp<'_>) -> Result<Room, EditRefusal> {
        let message_bytes = stamp.message().len();
        if message_bytes > MAX_AUTHOR_BYTES {
            return Err(EditRefusal::TooLarge(format!(
                "its author has more than {MAX_AUTHOR_BYTES} \
                bytes"
            )));
        }
        let most = u64::try_from(MAX_OPERATIONS).unwrap_or(u64::MAX);
        if self.max_op.saturating_add(most) >= u64::from(u32::MAX) {
            return Err(EditRefusal::TooLarge(
                "the list's operations cannot be numbered any \
                more"
                    .to_owned(),
            ));
        }
        let (dependencies, actors) = (self.heads().len() + 1, self.vector.len());
        Ok(Room::new(
            FRAME_BYTES + message_bytes + 32 * dependencies + 17 * actors,
        ))
    }

    /// Makes a change that writes nothing, for what it says.
    pub(super) fn commit_empty(&mut self, stamp: Stamp<'_>) -> Result<RawChange, EditRefusal> {
        self.catch_up()?;
        self.room(stamp)?;
        self.doc.empty_commit(options(stamp));
        let change = last_change(&self.doc)?;
        self.take_own(&change, stamp)
    }

    /// Notes a change that was made here.
    fn take_own(&mut self, change: &Change, stamp: Stamp<'_>) -> Result<RawChange, EditRefusal> {
        let id = ChangeId {
            actor: self.actor,
            seq: change.seq(),
        };
        if change.raw_bytes().len() > MAX_CHANGE_BYTES || id.seq != self.vector.seq(id.actor) + 1 {
            return Err(EditRefusal::Broken(
                "the change that was made is not one that peers accept".to_owned(),
            ));
        }
        self.record(
            (id, ChangeHash(change.hash().0)),
            change.start_op().get(),
            change.max_op(),
            change.timestamp(),
            &stamp.message(),
            change.raw_bytes().len(),
        );
        Ok(RawChange {
            id,
            hash: ChangeHash(change.hash().0),
            bytes: Bytes::copy_from_slice(change.raw_bytes()),
        })
    }
}

/// Writes into a document in one transaction, and tells the maps that were made, and the change; `None` if nothing
/// was written.
fn transact(
    doc: &mut Automerge,
    room: Room,
    stamp: Stamp<'_>,
    write: impl FnOnce(&mut Draft<'_>) -> Result<(), Stop>,
) -> Result<Option<(Maps, Change)>, EditRefusal> {
    let made = {
        let mut draft = Draft::new(doc.transaction(), room);
        if let Err(stop) = write(&mut draft) {
            draft.transaction.rollback();
            return Err(stop.into());
        }
        let (change, _) = draft.transaction.commit_with(options(stamp));
        change.map(|_| draft.made)
    };
    let Some(made) = made else {
        return Ok(None);
    };
    Ok(Some((made, last_change(doc)?)))
}

fn options(stamp: Stamp<'_>) -> CommitOptions {
    CommitOptions::default()
        .with_time(stamp.seconds())
        .with_message(stamp.message())
}

fn last_change(doc: &Automerge) -> Result<Change, EditRefusal> {
    let broken = || EditRefusal::Broken("the change that was made is not there".to_owned());
    doc.get_last_local_change().ok_or_else(broken)
}
