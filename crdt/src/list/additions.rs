//! What a change adds, told without the changes before it: for a list that has lost those.

use super::anew::whole;
use super::{Document, genesis, judge};
use crate::entry::Additions;
use automerge::Change;
use bytes::Bytes;
use names::{Actor, ListName};

/// What a raw change adds; `None` if it does anything else, or is none that a list takes.
pub fn additions(bytes: Bytes) -> Option<Additions> {
    let change = judge(bytes).ok()?;
    if !change.outline.only_adds() {
        return None;
    }
    let (by, at_ms) = (change.author(), change.at_ms());
    // The same as the first change of its actor in an empty list.
    let mut expanded = change.decoded().ok()?.decode();
    expanded.deps = vec![automerge::ChangeHash(genesis::HASH.0)];
    expanded.seq = 1;
    let first = Change::from(expanded);
    let first = judge(Bytes::copy_from_slice(first.raw_bytes())).ok()?;
    let name = ListName::new("additions").ok()?;
    let mut document = Document::new(name, Actor([0xff; 16]));
    document.apply(vec![first]).ok()?;
    let entries = document.entries();
    let entries = entries.iter().map(|entry| whole(entry, None)).collect();
    Some(Additions { by, at_ms, entries })
}
