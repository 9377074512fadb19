//! Room for bodies that are larger than ordinary ones: they are in memory whole.

use crate::http::connections::who::Owner;
use crate::http::problem::{Kind, Problem};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many there may be at once; of one user, one.
const MAX_AT_ONCE: usize = 4;

/// Whose larger bodies are in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct LargeBodies(Arc<Mutex<BTreeSet<Owner>>>);

/// Room for one, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    bodies: LargeBodies,
    owner: Owner,
}

impl LargeBodies {
    /// Takes room for a body of that user.
    pub(crate) fn take(&self, owner: Owner) -> Result<Room, Problem> {
        let mut owners = self.0.lock();
        if owners.len() >= MAX_AT_ONCE || !owners.insert(owner) {
            let detail = format!(
                "a body this large is read only once at a time of one user, and {MAX_AT_ONCE} times in all"
            );
            return Err(Problem::new(Kind::Busy, detail).retry_after(1));
        }
        Ok(Room {
            bodies: self.clone(),
            owner,
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.bodies.0.lock().remove(&self.owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_has_room_for_one_and_all_together_for_four() {
        let bodies = LargeBodies::default();
        let first = bodies.take(Owner::User(1)).unwrap();
        assert_eq!(bodies.take(Owner::User(1)).unwrap_err().status(), 503);
        let others: Vec<Room> = (2..5)
            .map(|uid| bodies.take(Owner::User(uid)).unwrap())
            .collect();
        assert!(bodies.take(Owner::User(9)).is_err());
        drop(first);
        assert!(bodies.take(Owner::User(9)).is_ok());
        drop(others);
    }
}
