//! Carries changes of lists to those who watch them.
//!
//! One receiver for the whole API takes the changes off the service's channel at once and hands
//! them to a [`Hub`].

use crate::hub::{Happening, Hub, Watcher};
use crate::once::Once;
use names::ListId;
use node::lists::Change;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

impl Happening for Change {
    type Subject = ListId;

    fn subject(&self) -> &ListId {
        &self.list
    }

    fn events(&self) -> usize {
        self.entries.len() + 1
    }
}

/// A change as streams tell of it.
pub(crate) type Told = Once<Arc<Change>>;

/// The hub of all lists. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct ListHub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    changes: Mutex<Receiver<Arc<Change>>>,
    hub: Hub<Told>,
}

impl ListHub {
    /// A hub that follows two receivers of the same channel, in a task of its own until the hub is
    /// dropped.
    pub(crate) fn start(changes: Receiver<Arc<Change>>, bell: Receiver<Arc<Change>>) -> Self {
        let shared = Arc::new(Shared {
            changes: Mutex::new(changes),
            hub: Hub::default(),
        });
        tokio::spawn(pump(bell, Arc::downgrade(&shared)));
        Self { shared }
    }

    /// Watches a list. What was announced before this call is not news, what comes after it is.
    pub(crate) fn watch(&self, list: ListId) -> Watcher<Told> {
        self.shared.after_what_came(|hub| hub.watch(list))
    }

    /// Watches a list from where its tag was `tag`: also gives what has happened since, oldest
    /// first, beginning with the change that made it so. `None` if that is not known any more.
    pub(crate) fn resume(&self, list: ListId, tag: u64) -> Option<(Watcher<Told>, Vec<Arc<Told>>)> {
        self.shared.after_what_came(|hub| {
            hub.resume(list, |kept| {
                let of_list = || kept.iter().filter(|change| change.list == list);
                let seen = of_list().position(|change| change.row.tag() == tag)?;
                Some(of_list().skip(seen).cloned().collect())
            })
        })
    }
}

/// Drains the channel whenever something is in it, so that it never overflows.
async fn pump(mut bell: Receiver<Arc<Change>>, shared: Weak<Shared>) {
    loop {
        match bell.recv().await {
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
        match shared.upgrade() {
            Some(shared) => shared.after_what_came(|_| ()),
            None => return,
        }
    }
}

impl Shared {
    /// Delivers what is in the channel, then does this before anything else is delivered.
    fn after_what_came<R>(&self, then: impl FnOnce(&Hub<Told>) -> R) -> R {
        let mut changes = self.changes.lock();
        loop {
            match changes.try_recv() {
                Ok(change) => self.hub.deliver(Arc::new(Once::new(change))),
                Err(TryRecvError::Lagged(_)) => self.hub.lag(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return then(&self.hub),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::News;
    use crdt::list::heads_tag;
    use futures_util::FutureExt;
    use names::{ChangeHash, EntryId, ListName};
    use node::lists::ListRow;
    use node::time::Wall;
    use tokio::sync::broadcast;

    fn head(n: u8) -> ChangeHash {
        ChangeHash([n; 32])
    }

    fn tag(n: u8) -> u64 {
        heads_tag(&[head(n)])
    }

    fn change(name: &str, n: u8) -> Arc<Change> {
        let name = ListName::new(name).unwrap();
        let row = ListRow {
            name: name.clone(),
            total: 1,
            open: 1,
            modified_at: 0,
            heads: vec![head(n)],
            sums: crdt::vector::Sums::default(),
            has_unknown_keys: false,
        };
        Arc::new(Change {
            list: ListId::of(&name),
            name,
            at: Wall(0),
            total_before: 1,
            row,
            entries: vec![(EntryId(1), None, true)],
            remote: None,
        })
    }

    fn id(name: &str) -> ListId {
        ListId::of(&ListName::new(name).unwrap())
    }

    fn hub() -> (ListHub, broadcast::Sender<Arc<Change>>) {
        let sender = broadcast::channel(16).0;
        (
            ListHub::start(sender.subscribe(), sender.subscribe()),
            sender,
        )
    }

    #[tokio::test]
    async fn what_was_announced_before_is_no_news() {
        let (hub, sender) = hub();
        sender.send(change("a", 1)).unwrap();
        let watcher = hub.watch(id("a"));
        sender.send(change("a", 2)).unwrap();
        let News::Happened(change) = watcher.next().await else {
            panic!()
        };
        assert_eq!(change.row.tag(), tag(2));
    }

    #[tokio::test]
    async fn a_watcher_that_comes_back_misses_nothing() {
        let (hub, sender) = hub();
        for n in 1..=3 {
            sender.send(change("a", n)).unwrap();
            sender.send(change("b", n + 10)).unwrap();
        }
        let (watcher, missed) = hub.resume(id("a"), tag(2)).unwrap();
        assert_eq!(
            missed
                .iter()
                .map(|change| change.row.tag())
                .collect::<Vec<_>>(),
            [tag(2), tag(3)]
        );
        assert!(watcher.next().now_or_never().is_none());
        assert!(hub.resume(id("a"), tag(7)).is_none() && hub.resume(id("b"), tag(2)).is_none());
    }

    #[tokio::test]
    async fn after_an_overflow_everybody_begins_anew() {
        let (hub, sender) = hub();
        let watcher = hub.watch(id("b"));
        for n in 0..40 {
            sender.send(change("a", n)).unwrap();
        }
        assert!(hub.resume(id("a"), tag(1)).is_none());
        assert!(matches!(watcher.next().now_or_never(), Some(News::Lagged)));
    }
}
