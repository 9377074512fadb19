//! What is known of damage of the disk.

use parking_lot::Mutex;
use std::sync::Arc;
use store::{Damage, ReadError, Salvaged, Store};

/// A damaged journal, and what became of what was intact behind the damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) file: String,
    pub(crate) intact: usize,
    pub(crate) anew: usize,
    pub(crate) missing: usize,
}

impl Known {
    fn of(damage: &Damage) -> Self {
        Self {
            file: damage.file.display().to_string(),
            intact: damage.intact,
            anew: damage.anew,
            missing: damage.missing.len(),
        }
    }

    /// What there is to say of it, in words.
    pub(crate) fn words(&self) -> String {
        format!(
            "a journal of the store was damaged, and is kept as {}: {} changes of lists are intact behind the \
             damage, of which {} are in their lists again, {} were added anew, and {} are in no list",
            self.file,
            self.intact,
            self.restored(),
            self.anew,
            self.missing
        )
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        if self.missing > 0 {
            "what is missing builds on a change that is lost here: it comes by itself from a member that has \
             that one; if none has, muster repair --reissue adds its entries anew. Look at the disk (dmesg), \
             then muster repair --acknowledge"
        } else {
            "look at the disk (dmesg) before it loses more, then muster repair --acknowledge"
        }
    }

    /// How many changes are in their lists again.
    pub(crate) fn restored(&self) -> usize {
        self.intact
            .saturating_sub(self.anew)
            .saturating_sub(self.missing)
    }
}

/// What is known of damage. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damages(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// As the journals were read, less what the store has got since; `None` before. Held while the disk is read.
    damages: Mutex<Option<Vec<Damage>>>,
    /// For those who cannot wait for the disk.
    known: Mutex<Arc<[Known]>>,
}

impl Shared {
    fn tell(&self, damages: &[Damage]) {
        *self.known.lock() = damages.iter().map(Known::of).collect();
    }
}

impl Damages {
    /// As it was looked at last.
    pub(crate) fn known(&self) -> Arc<[Known]> {
        Arc::clone(&self.0.known.lock())
    }

    /// Looks at what is missing now, and gives it. The journals are read at the first look only. Blocks.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub(crate) fn look(&self, store: &Store) -> Result<Vec<Salvaged>, ReadError> {
        let mut damages = self.0.damages.lock();
        let damages = match &mut *damages {
            Some(damages) => {
                store.compare_damages(damages)?;
                damages
            }
            unread @ None => unread.insert(store.damages()?),
        };
        self.0.tell(damages);
        let missing = damages.iter().flat_map(|damage| &damage.missing);
        Ok(missing.cloned().collect())
    }

    /// Somebody has seen it, and is told no more. Gives how many journals there were. Blocks.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn acknowledge(&self, store: &Store) -> std::io::Result<usize> {
        let mut damages = self.0.damages.lock();
        let journals = store.acknowledge_damage()?;
        self.0.tell(damages.insert(Vec::new()));
        Ok(journals)
    }

    /// The entries of a change were added anew: those that are deleted since then stay deleted. Blocks.
    pub(crate) fn added_anew(&self, change: &Salvaged) {
        let mut damages = self.0.damages.lock();
        for damage in damages.iter_mut().flatten() {
            let before = damage.missing.len();
            damage.missing.retain(|missing| missing != change);
            damage.anew += before - damage.missing.len();
        }
    }
}
