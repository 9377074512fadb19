//! What is known of one registration, and why it may end.

use crdt::registry::Reason;
use node::registry::{Lifetime, OnConflict, Registration, SessionId};
use node::time::Instant;
use std::collections::BTreeSet;

/// Whether a registration is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A node said so, and nothing has put it in doubt since.
    Held,
    /// Nobody can know.
    Doubtful,
    /// It is not.
    Gone,
}

/// Why a registration may be seen to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its process ended so.
    Process(Reason),
    /// It was taken back, or its connection closed.
    TakenBack,
    /// Its node left, or was forgotten.
    Left,
    /// Its host's disk lost it.
    Lost,
}

/// What is known of one registration.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What it was last registered with.
    pub registration: Registration,
    /// Whether it was ever asked to be ended when it loses its name.
    pub(super) ever_ends_when_lost: bool,
    /// Whether it may be as another request of it asked: its host's disk was replaced by an older one
    /// since it was last registered, or nobody can know whether a later request was carried out.
    pub(super) is_setting_unsure: bool,
    /// Its claim, when its node last said that it is there: another one is another registration.
    pub claim: Option<u64>,
    /// Whether its entry says that, as far as groups and metadata go.
    pub is_plain: bool,
    /// Why and when it may have ended, once for each time.
    pub ends: Vec<(Instant, Cause)>,
    /// How it was said to end.
    pub reports: BTreeSet<Reason>,
    pub(super) standing: Standing,
    /// When a doubt ends: it is gone then.
    pub(super) doubted_until: Option<Instant>,
}

impl Fact {
    /// Whether it is there.
    pub fn standing(&self, now: Instant) -> Standing {
        if self.doubted_until.is_some_and(|until| until <= now) {
            Standing::Gone
        } else {
            self.standing
        }
    }

    /// Whether its process may be signalled when it loses its name.
    pub fn may_end_when_lost(&self) -> bool {
        self.registration.on_conflict == OnConflict::Terminate
            || self.is_setting_unsure && self.ever_ends_when_lost
    }

    pub(super) fn stand(&mut self, standing: Standing) {
        (self.standing, self.doubted_until) = (standing, None);
    }

    pub(super) fn session(&self) -> Option<SessionId> {
        match self.registration.lifetime {
            Lifetime::Connection(session) => Some(session),
            Lifetime::Process => None,
        }
    }
}
