//! A node's committed view is what its committed documents say, at any moment.

use crate::disk::Image;
use crate::world::World;
use bytes::Bytes;
use crdt::entry::Entry;
use crdt::list::{Document, in_order};
use crdt::vector::Sums;
use names::{Actor, ListId};
use node::lists::ListRow;
use std::collections::BTreeMap;

/// Compares the view of one host with its documents.
pub fn check(world: &World, host: usize) -> Vec<String> {
    let image = &world.hosts[host].disk.image;
    let mut found: Vec<String> = image
        .quarantined
        .iter()
        .map(|(list, why)| format!("host {host} quarantined {list}: {why}"))
        .collect();
    for (list, sums) in image.known() {
        if sums != Sums::default() {
            found.extend(
                check_list(image, list)
                    .err()
                    .map(|text| format!("host {host}: {text}")),
            );
        }
    }
    found
}

fn check_list(image: &Image, list: ListId) -> Result<(), String> {
    let row = image.lists.get(&list).ok_or_else(|| {
        format!(
            "changes of {list}, but no line for \
        it"
        )
    })?;
    let document = load(image, list, row, None)?;
    let (shown, meant) = (
        by_id(image.entries_of(list).map(|entry| entry.as_ref().clone())),
        by_id(document.entries()),
    );
    if shown != meant {
        let id = shown
            .keys()
            .chain(meant.keys())
            .find(|id| shown.get(id) != meant.get(id));
        let (shown, meant) = (
            id.and_then(|id| shown.get(id)),
            id.and_then(|id| meant.get(id)),
        );
        return Err(format!(
            "{:?} shows {shown:?}, its document says {meant:?}",
            row.name
        ));
    }
    let line = ListRow::of(&document);
    if *row != line {
        return Err(format!(
            "{:?} has the line {row:?}, its document says {line:?}",
            row.name
        ));
    }
    check_snapshot(image, list, row)
}

/// A snapshot with the changes that it does not cover makes the same document.
fn check_snapshot(image: &Image, list: ListId, row: &ListRow) -> Result<(), String> {
    if !image.snapshots.contains_key(&list) {
        return Ok(());
    }
    let document = load(
        image,
        list,
        row,
        image.snapshots.get(&list).map(|(_, bytes)| bytes),
    )?;
    let line = ListRow::of(&document);
    if line == *row {
        Ok(())
    } else {
        Err(format!(
            "{:?} by its snapshot is {line:?}, not \
        {row:?}",
            row.name
        ))
    }
}

fn load(
    image: &Image,
    list: ListId,
    row: &ListRow,
    snapshot: Option<&Bytes>,
) -> Result<Document, String> {
    let changes = in_order(image.changes_of(list).cloned(), |bytes| bytes);
    let snapshot = snapshot.map(|bytes| bytes.as_ref());
    let mut document = Document::load(row.name.clone(), Actor([0xee; 16]), snapshot, &changes)
        .map_err(|error| format!("{:?} does not load: {error}", row.name))?;
    let left_out = image.left_out.iter().filter(|((of, _), _)| *of == list);
    document.leave_out(left_out.map(|(_, one)| one.ruling()));
    Ok(document)
}

fn by_id(entries: impl IntoIterator<Item = Entry>) -> BTreeMap<names::EntryId, Entry> {
    entries.into_iter().map(|entry| (entry.id, entry)).collect()
}
