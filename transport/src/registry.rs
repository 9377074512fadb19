//! The connections that stand.

use crate::connection::Link;
use std::collections::BTreeMap;
use std::sync::Arc;

/// By connection number; numbers are never used again.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    last: u64,
    links: BTreeMap<u64, Arc<Link>>,
}

/// A new connection, and what it means for the others to the same peer.
#[derive(Debug)]
pub(crate) struct Inserted {
    pub(crate) link: Arc<Link>,
    /// Duplicates: what this node shall close, in favour of what.
    pub(crate) superseded: Vec<(Arc<Link>, Arc<Link>)>,
    /// The oldest ones, beyond the limit per peer.
    pub(crate) surplus: Vec<Arc<Link>>,
}

impl Registry {
    /// Adds the connection that `make` makes of its number.
    pub(crate) fn insert(
        &mut self,
        max_per_peer: usize,
        make: impl FnOnce(u64) -> Link,
    ) -> Inserted {
        self.last += 1;
        let link = Arc::new(make(self.last));
        let others: Vec<_> = self
            .links
            .values()
            .filter(|other| other.peer.id == link.peer.id)
            .cloned()
            .collect();
        let surplus = others
            .iter()
            .take((others.len() + 1).saturating_sub(max_per_peer))
            .cloned()
            .collect();
        let superseded = others
            .iter()
            .filter_map(|other| superseded(&link, other).or_else(|| superseded(other, &link)))
            .collect();
        self.links.insert(self.last, link.clone());
        Inserted {
            link,
            superseded,
            surplus,
        }
    }

    pub(crate) fn get(&self, conn: u64) -> Option<Arc<Link>> {
        self.links.get(&conn).cloned()
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, conn: u64) -> bool {
        self.links.remove(&conn).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Link>> {
        self.links.values().cloned().collect()
    }
}

/// Of two connections to one peer: the one that this node dialled although the peer, with the
/// smaller id, dialled the other.
fn superseded(one: &Arc<Link>, other: &Arc<Link>) -> Option<(Arc<Link>, Arc<Link>)> {
    let loses = !one.preferred && one.dial.is_some() && other.preferred;
    loses.then(|| (one.clone(), other.clone()))
}
