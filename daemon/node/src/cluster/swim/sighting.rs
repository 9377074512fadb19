//! What SWIM knows of a node, and how that has changed.

use super::{Identity, State};
use names::NodeId;

/// What SWIM knows of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cluster) struct Seen {
    pub(in crate::cluster) identity: Identity,
    pub(in crate::cluster) state: State,
}

impl Seen {
    pub(in crate::cluster) fn is_active(self) -> bool {
        self.state != State::Down
    }
}

/// A difference in what SWIM knows of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cluster) struct Sighting {
    pub(in crate::cluster) node: NodeId,
    pub(in crate::cluster) before: Option<Seen>,
    pub(in crate::cluster) after: Option<Seen>,
}

impl Sighting {
    pub(in crate::cluster) fn came_up(&self) -> Option<Identity> {
        let up = self.after.filter(|seen| seen.is_active())?;
        (!self.before.is_some_and(Seen::is_active)).then_some(up.identity)
    }

    pub(in crate::cluster) fn is_suspect(&self) -> bool {
        self.after.is_some_and(|seen| seen.state == State::Suspect)
    }

    pub(in crate::cluster) fn went_down(&self) -> bool {
        self.before.is_some_and(Seen::is_active) && !self.after.is_some_and(Seen::is_active)
    }
}
