//! Which changes of a list are here.

use super::{ReadError, Reader};
use crate::db::Space;
use crate::keys;
use crdt::list::hash_of;
use names::{ChangeHash, ChangeId, ListId};

impl Reader {
    /// Which of these changes are not here: neither in their list nor aside.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn missing(
        &self,
        list: ListId,
        changes: impl IntoIterator<Item = (ChangeId, ChangeHash)>,
    ) -> Result<Vec<(ChangeId, ChangeHash)>, ReadError> {
        let view = self.view()?;
        let mut missing = Vec::new();
        for (id, hash) in changes {
            let here = view.get(Space::Changes, &keys::change(list, id))?;
            let is_here = here.is_some_and(|bytes| hash_of(&bytes) == hash);
            if !is_here
                && view
                    .get(Space::Aside, &keys::aside(list, id, hash))?
                    .is_none()
            {
                missing.push((id, hash));
            }
        }
        Ok(missing)
    }
}
