//! What is known of damage of the disk, for those who tell people.

use parking_lot::Mutex;
use std::sync::Arc;
use store::Damage;

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
pub(crate) struct Damages(Arc<Mutex<Arc<[Known]>>>);

impl Damages {
    /// As it was looked at last.
    pub(crate) fn known(&self) -> Arc<[Known]> {
        self.0.lock().clone()
    }

    pub(crate) fn set(&self, damages: &[Damage]) {
        *self.0.lock() = damages.iter().map(Known::of).collect();
    }
}
