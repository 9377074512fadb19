//! How much may be registered on this node: what one process and one user may take, and what the
//! whole node has.
//!
//! A process costs a file descriptor, a name and what is said of its process cost memory on every
//! node. So processes are bounded by what this node can watch, names and the bytes of all
//! registrations by what replicas of its log accept. A last part of each is for root's processes
//! alone, so that users cannot shut it out.

use super::{Bound, Refusal};
use crdt::registry::Log;

/// The most names of one process.
const NAMES_PER_PROCESS: usize = 64;
/// This part of all is kept for root.
const RESERVE_PART: usize = 8;
/// And at most so much.
const MAX_RESERVE: usize = 1_024;
const ROOT: u32 = 0;

/// The bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    processes: usize,
    names_per_uid: usize,
}

/// What is there already, as far as it bears on one more name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    /// Names of the process.
    pub(super) of_process: usize,
    /// Names of its user.
    pub(super) of_user: usize,
    /// Names on this node.
    pub(super) names: usize,
    /// Processes on this node.
    pub(super) processes: usize,
}

impl Room {
    pub(super) fn new(processes: usize, names_per_uid: usize) -> Self {
        Self {
            processes,
            names_per_uid,
        }
    }

    /// Whether there is room for another name of that process of that user.
    pub(super) fn admit(self, (pid, uid): (u32, u32), taken: Taken) -> Result<(), Refusal> {
        let is_root = uid == ROOT;
        let of_user = if is_root {
            usize::MAX
        } else {
            self.names_per_uid
        };
        let for_him = |all: usize| {
            let reserve = (all / RESERVE_PART).min(MAX_RESERVE);
            if is_root { all } else { all - reserve }
        };
        // A process that has a name already is watched already.
        let processes = if taken.of_process > 0 {
            usize::MAX
        } else {
            for_him(self.processes)
        };
        let bounds = [
            (
                Bound::OfProcess { pid },
                taken.of_process,
                NAMES_PER_PROCESS,
            ),
            (Bound::OfUser { uid }, taken.of_user, of_user),
            (Bound::Processes, taken.processes, processes),
            (Bound::Names, taken.names, for_him(Log::MAX_LIVE)),
        ];
        match bounds.into_iter().find(|(_, have, limit)| have >= limit) {
            Some((bound, have, limit)) => Err(Refusal::TooMany { bound, have, limit }),
            None => Ok(()),
        }
    }
}

/// Whether the node's log, which takes so many bytes, may grow for a user.
pub(super) fn admit_bytes(uid: u32, have: usize) -> Result<(), Refusal> {
    let all = Log::MAX_OWN_BYTES;
    let limit = if uid == ROOT {
        all
    } else {
        all - all / RESERVE_PART
    };
    if have < limit {
        return Ok(());
    }
    let bound = Bound::Bytes;
    Err(Refusal::TooMany { bound, have, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: (u32, u32) = (7, 1000);
    const ROOTS: (u32, u32) = (7, 0);

    fn refused(whose: (u32, u32), taken: Taken) -> Option<(Bound, usize)> {
        match Room::new(80, 1_000).admit(whose, taken) {
            Err(Refusal::TooMany { bound, have, limit }) => {
                assert!(have >= limit);
                Some((bound, limit))
            }
            other => {
                assert_eq!(other, Ok(()));
                None
            }
        }
    }

    #[test]
    fn one_process_and_one_user_have_so_many_names_and_root_as_many_as_there_is_room_for() {
        let of_process = |of_process| Taken {
            of_process,
            ..Taken::default()
        };
        let of_user = |of_user| Taken {
            of_user,
            ..Taken::default()
        };
        for whose in [USER, ROOTS] {
            assert_eq!(refused(whose, of_process(63)), None);
            let too_many = (Bound::OfProcess { pid: 7 }, 64);
            assert_eq!(refused(whose, of_process(64)), Some(too_many));
        }
        assert_eq!(refused(USER, of_user(999)), None);
        let too_many = (Bound::OfUser { uid: 1000 }, 1_000);
        assert_eq!(refused(USER, of_user(1_000)), Some(too_many));
        assert_eq!(refused(ROOTS, of_user(1_000)), None);
    }

    #[test]
    fn what_users_cannot_take_root_still_can() {
        let processes = |processes| Taken {
            processes,
            ..Taken::default()
        };
        let names = |names| Taken {
            names,
            ..Taken::default()
        };
        assert_eq!(refused(USER, processes(69)), None);
        let full = (Bound::Processes, 70);
        assert_eq!(refused(USER, processes(70)), Some(full));
        assert_eq!(refused(ROOTS, processes(79)), None);
        let full = (Bound::Processes, 80);
        assert_eq!(refused(ROOTS, processes(80)), Some(full));
        let most = Log::MAX_LIVE;
        assert_eq!(refused(USER, names(most - 1_025)), None);
        let full = (Bound::Names, most - 1_024);
        assert_eq!(refused(USER, names(most - 1_024)), Some(full));
        assert_eq!(refused(ROOTS, names(most - 1)), None);
        assert_eq!(refused(ROOTS, names(most)), Some((Bound::Names, most)));
    }

    #[test]
    fn the_last_bytes_are_for_root() {
        let most = Log::MAX_OWN_BYTES;
        assert_eq!(admit_bytes(1000, most / 8 * 7 - 1), Ok(()));
        let refused = admit_bytes(1000, most / 8 * 7);
        assert!(matches!(
            refused,
            Err(Refusal::TooMany {
                bound: Bound::Bytes,
                ..
            })
        ));
        assert_eq!(admit_bytes(0, most - 1), Ok(()));
        assert!(admit_bytes(0, most).is_err());
    }

    #[test]
    fn another_name_of_a_process_needs_no_file() {
        let taken = Taken {
            of_process: 1,
            processes: 80,
            ..Taken::default()
        };
        assert_eq!(refused(USER, taken), None);
    }
}
