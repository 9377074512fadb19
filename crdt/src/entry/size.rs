//! How much an edit writes: for who bounds what a user may write.

use super::kind::Kind;
use super::{Bulk, Decision, Edit, EntryPatch, Field, NewEntry, Visit};
use serde::Serialize;

/// What a new entry, or a change of one, takes beside its values: ids, keys and places, by estimate.
const OVERHEAD: usize = 100;

impl Edit {
    /// About how many bytes this adds to the history of its list, which all nodes keep. A deletion
    /// counts as nothing, so that whoever may not write more may still tidy up; what undoing writes
    /// again is known only once it is done.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Add(entries) => entries.iter().map(NewEntry::bytes).sum(),
            Self::AddAgain(again) => again.entries.iter().map(NewEntry::bytes).sum(),
            Self::Merge(differences) => {
                let added = differences.additions.iter().map(NewEntry::bytes);
                let changed = differences.patches.iter().map(|(_, patch)| patch.bytes());
                added.chain(changed).sum()
            }
            Self::Patch(_, patch) => patch.bytes(),
            Self::Resolve(_, Decision::Field(_, patch)) => patch.bytes(),
            Self::Resolve(..) | Self::Undo(_) | Self::Redo(_) => OVERHEAD,
            Self::Several(ids, Bulk::Patch { patch, tag, .. }) => {
                let tags = tag.iter().map(String::len).sum::<usize>();
                ids.len() * (patch.bytes() + tags)
            }
            Self::Delete(_) | Self::Several(_, Bulk::Delete) | Self::DeleteAll => 0,
        }
    }
}

impl NewEntry {
    fn bytes(&self) -> usize {
        let mut size = Size(OVERHEAD);
        self.each(&mut size);
        size.add(&self.tags);
        size.0
    }
}

impl EntryPatch {
    fn bytes(&self) -> usize {
        let mut size = Size(OVERHEAD);
        self.each(&mut size);
        size.add(&self.tags);
        size.0
    }
}

/// Counts the encoded bytes of values.
struct Size(usize);

impl Size {
    fn add(&mut self, value: &impl Serialize) {
        // Writing into a counter cannot fail.
        let _ = bincode::serde::encode_into_std_write(value, self, bincode::config::standard());
    }
}

impl std::io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Visit for Size {
    fn field<K: Kind>(&mut self, _: Field, _: &K, value: &K::Value) {
        self.add(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use names::EntryId;

    #[test]
    fn all_texts_count_and_deletions_do_not() {
        let text = "x".repeat(1_000);
        let entry = NewEntry {
            title: text.clone(),
            notes: text.clone(),
            assignee: Some(text.clone()),
            tags: vec![text.clone(), text.clone()],
            ..NewEntry::default()
        };
        let bytes = Edit::Add(vec![entry.clone(), entry]).bytes();
        assert!((10_000..10_500).contains(&bytes), "{bytes}");
        let patch = EntryPatch {
            notes: Some(text),
            ..EntryPatch::default()
        };
        let bytes = Edit::Patch(EntryId(1), patch.into()).bytes();
        assert!((1_000..1_200).contains(&bytes), "{bytes}");
        let several = |bulk| Edit::Several(vec![EntryId(1), EntryId(2)], bulk).bytes();
        let bulk = Bulk::Patch {
            patch: Box::default(),
            tag: vec!["x".repeat(64)],
            untag: Vec::new(),
        };
        assert!(several(bulk) > 128);
        assert_eq!(several(Bulk::Delete), 0);
        assert_eq!(
            Edit::DeleteAll.bytes() + Edit::Delete(EntryId(1)).bytes(),
            0
        );
    }
}
