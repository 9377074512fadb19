//! Rows of programs that knew an actor's last change by its number only are given its hash, too.
//!
//! That is done when the store is opened, before anybody reads. A list's rows are completed in one
//! write, its own row among them, by which the next start sees that nothing is left to do: so a
//! crash, or a full disk, leaves lists that are complete and lists that are not, and the next start
//! goes on.

use super::commit::Failure;
use super::db::{Db, Outlives, Space, View};
use super::read::Known;
use super::{keys, read, rows};
use crdt::vector::VersionVector;
use fjall::Slice;
use names::ListId;
use std::sync::Arc;
use std::time::Instant;

/// Lists that are completed in one write: some hundred bytes each.
const BATCH_LISTS: usize = 4_096;

type Write = ((Space, Vec<u8>), Option<Slice>);

/// Completes the rows of all lists that lack it, and what is known of them.
pub(super) fn complete(db: &Arc<Db>, known: &mut [Known]) -> Result<(), Failure> {
    let mut lacking: Vec<&mut Known> = known.iter_mut().filter(|known| known.lacks_marks).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let (begun, lists) = (Instant::now(), lacking.len());
    for some in lacking.chunks_mut(BATCH_LISTS) {
        let view = View::of(Arc::clone(db));
        let mut writes = Vec::new();
        for known in some {
            known.sums.content = complete_list(&view, known.list, &mut writes)?;
            known.lacks_marks = false;
        }
        db.commit(writes, Outlives::Host)?;
        db.relieve()?;
    }
    let took_ms = begun.elapsed().as_millis();
    tracing::info!(lists, %took_ms, "lists are known by the hashes of their changes from now on");
    Ok(())
}

/// Adds what completes the rows of a list; gives the sum of its vector.
fn complete_list(view: &View, list: ListId, writes: &mut Vec<Write>) -> Result<u64, Failure> {
    let mut vector = VersionVector::default();
    for row in view.scan_prefix(Space::Vectors, &list.0) {
        let (key, row) = row?;
        let Some(actor) = keys::actor_of(&key) else {
            continue;
        };
        // A row that is damaged is made anew with the list.
        let is_complete = rows::decode_vector(&row).is_ok_and(|(_, mark)| mark.is_some());
        let Some(tip) = view.last_change(list, actor)? else {
            continue;
        };
        if !is_complete {
            let row = rows::encode_vector(tip.id.seq, tip.mark)?;
            writes.push(((Space::Vectors, key.to_vec()), Some(Slice::from(row))));
        }
        vector.insert(tip);
    }
    let content = read::sums_of(view, list, &vector)?.content;
    if let Some(row) = view.get(Space::Lists, &list.0)? {
        let row = rows::with_content_sum(&row, content)?;
        writes.push(((Space::Lists, list.0.to_vec()), Some(Slice::from(row))));
    }
    Ok(content)
}
