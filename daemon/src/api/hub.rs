//! Carries changes of lists to those who watch them.
//!
//! One receiver for the whole API takes the changes off the service's channel at once and hands each to the watchers of
//! its list, so that a slow watcher holds up nobody and keeps no other list's changes in memory. The newest changes are
//! kept for watchers that come back.

use crdt::id::ListId;
use node::lists::Change;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// How many events are kept for watchers that come back, and how many one watcher may be behind.
const KEPT_EVENTS: usize = 10_000;

/// The hub. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    changes: Receiver<Arc<Change>>,
    kept: Backlog,
    watchers: BTreeMap<(ListId, u64), Arc<Queue>>,
    next: u64,
}

/// Changes, with the number of events that they make.
#[derive(Debug, Default)]
struct Backlog {
    changes: VecDeque<Arc<Change>>,
    events: usize,
}

/// What a watcher has not read yet.
#[derive(Debug, Default)]
struct Queue {
    pending: Mutex<Pending>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    backlog: Backlog,
    lagged: bool,
}

/// What a watcher gets next.
#[derive(Debug)]
pub(crate) enum News {
    /// The list changed.
    Change(Arc<Change>),
    /// The watcher was too slow, and changes were dropped.
    Lagged,
}

/// Somebody who watches a list, from its making until it is dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    hub: Hub,
    key: (ListId, u64),
    queue: Arc<Queue>,
}

/// How many events a change makes at most.
fn events(change: &Change) -> usize {
    change.entries.len() + 1
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Backlog {
    fn push(&mut self, change: Arc<Change>) {
        self.events += events(&change);
        self.changes.push_back(change);
    }

    fn pop(&mut self) -> Option<Arc<Change>> {
        let change = self.changes.pop_front()?;
        self.events -= events(&change);
        Some(change)
    }
}

impl Hub {
    /// A hub that follows two receivers of the same channel, in a task of its own until the hub is dropped.
    pub(crate) fn start(changes: Receiver<Arc<Change>>, bell: Receiver<Arc<Change>>) -> Self {
        let state = State { changes, kept: Backlog::default(), watchers: BTreeMap::new(), next: 0 };
        let hub = Self { state: Arc::new(Mutex::new(state)) };
        tokio::spawn(pump(bell, Arc::downgrade(&hub.state)));
        hub
    }

    /// Watches a list. What was announced before this call is not news, what comes after it is.
    pub(crate) fn watch(&self, list: ListId) -> Watcher {
        let mut state = lock(&self.state);
        state.drain();
        state.add(self, list)
    }

    /// Watches a list from where its tag was `tag`: also gives what has happened since, oldest first. `None` if that is not
    /// known any more.
    pub(crate) fn resume(&self, list: ListId, tag: u64) -> Option<(Watcher, Vec<Arc<Change>>)> {
        let mut state = lock(&self.state);
        state.drain();
        let of_list = || state.kept.changes.iter().filter(|change| change.list == list);
        let seen = of_list().position(|change| change.row.tag() == tag)?;
        let missed = of_list().skip(seen).cloned().collect();
        Some((state.add(self, list), missed))
    }
}

/// Drains the channel whenever something is in it, so that it never overflows.
async fn pump(mut bell: Receiver<Arc<Change>>, state: Weak<Mutex<State>>) {
    loop {
        match bell.recv().await {
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
        match state.upgrade() {
            Some(state) => lock(&state).drain(),
            None => return,
        }
    }
}

impl State {
    fn drain(&mut self) {
        loop {
            match self.changes.try_recv() {
                Ok(change) => self.deliver(change),
                Err(TryRecvError::Lagged(_)) => {
                    // Nobody knows what was missed: those who watch must begin anew, and nobody can resume.
                    self.kept = Backlog::default();
                    self.watchers.values().for_each(|queue| queue.lag());
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn deliver(&mut self, change: Arc<Change>) {
        let of_list = (change.list, 0)..=(change.list, u64::MAX);
        self.watchers.range(of_list).for_each(|(_, queue)| queue.push(&change));
        self.kept.push(change);
        while self.kept.events > KEPT_EVENTS && self.kept.changes.len() > 1 {
            self.kept.pop();
        }
    }

    fn add(&mut self, hub: &Hub, list: ListId) -> Watcher {
        let key = (list, self.next);
        self.next += 1;
        let queue = Arc::new(Queue::default());
        self.watchers.insert(key, Arc::clone(&queue));
        Watcher { hub: hub.clone(), key, queue }
    }
}

impl Queue {
    fn push(&self, change: &Arc<Change>) {
        let mut pending = lock(&self.pending);
        // One change alone may be larger than the bound.
        let has_room = pending.backlog.changes.is_empty() || pending.backlog.events + events(change) <= KEPT_EVENTS;
        match (pending.lagged, has_room) {
            (false, true) => pending.backlog.push(Arc::clone(change)),
            (false, false) => *pending = Pending { backlog: Backlog::default(), lagged: true },
            (true, _) => {}
        }
        drop(pending);
        self.news.notify_one();
    }

    fn lag(&self) {
        *lock(&self.pending) = Pending { backlog: Backlog::default(), lagged: true };
        self.news.notify_one();
    }

    fn pop(&self) -> Option<News> {
        let mut pending = lock(&self.pending);
        if pending.lagged { Some(News::Lagged) } else { pending.backlog.pop().map(News::Change) }
    }
}

impl Watcher {
    /// Waits for the next change. May be dropped while it waits.
    pub(crate) async fn next(&self) -> News {
        loop {
            if let Some(news) = self.queue.pop() {
                return news;
            }
            self.queue.news.notified().await;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        lock(&self.hub.state).watchers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::id::EntryId;
    use crdt::name::ListName;
    use futures_util::FutureExt;
    use node::lists::ListRow;
    use node::time::Wall;
    use tokio::sync::broadcast;

    fn change(name: &str, tag: u64, entries: usize) -> Arc<Change> {
        let name = ListName::new(name).unwrap();
        let row = ListRow { name: name.clone(), total: 1, open: 1, modified_at: 0, heads: vec![], sum: tag };
        let entries = vec![(EntryId(1), None, true); entries];
        Arc::new(Change { list: ListId::of(&name), name, at: Wall(0), total_before: 1, row, entries })
    }

    fn id(name: &str) -> ListId {
        ListId::of(&ListName::new(name).unwrap())
    }

    fn hub() -> (Hub, broadcast::Sender<Arc<Change>>) {
        let sender = broadcast::channel(16).0;
        (Hub::start(sender.subscribe(), sender.subscribe()), sender)
    }

    fn tags(watcher: &Watcher) -> Vec<Option<u64>> {
        let next = || watcher.next().now_or_never();
        std::iter::from_fn(next)
            .map(|news| match news {
                News::Change(change) => Some(change.row.tag()),
                News::Lagged => None,
            })
            .take(5)
            .collect()
    }

    #[tokio::test]
    async fn a_watcher_gets_what_happens_to_its_list_after_it_came() {
        let (hub, sender) = hub();
        sender.send(change("a", 1, 1)).unwrap();
        let watcher = hub.watch(id("a"));
        sender.send(change("a", 2, 1)).unwrap();
        sender.send(change("b", 9, 1)).unwrap();
        sender.send(change("a", 3, 1)).unwrap();
        lock(&hub.state).drain();
        assert_eq!(tags(&watcher), [Some(2), Some(3)]);
    }

    #[tokio::test]
    async fn the_pump_delivers_by_itself() {
        let (hub, sender) = hub();
        let watcher = hub.watch(id("a"));
        sender.send(change("a", 2, 1)).unwrap();
        let News::Change(change) = watcher.next().await else { panic!() };
        assert_eq!(change.row.tag(), 2);
    }

    #[tokio::test]
    async fn a_watcher_that_comes_back_misses_nothing() {
        let (hub, sender) = hub();
        for tag in 1..=3 {
            sender.send(change("a", tag, 1)).unwrap();
            sender.send(change("b", tag + 10, 1)).unwrap();
        }
        let (watcher, missed) = hub.resume(id("a"), 2).unwrap();
        assert_eq!(missed.iter().map(|change| change.row.tag()).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(tags(&watcher), []);
        assert!(hub.resume(id("a"), 7).is_none() && hub.resume(id("b"), 2).is_none());
    }

    #[tokio::test]
    async fn a_slow_watcher_is_told_and_holds_nothing() {
        let (hub, sender) = hub();
        let watcher = hub.watch(id("a"));
        for tag in 0..11 {
            sender.send(change("a", tag, 1000)).unwrap();
            lock(&hub.state).drain();
        }
        assert_eq!(tags(&watcher)[..1], [None]);
        assert!(lock(&hub.state).kept.events <= KEPT_EVENTS);
    }

    #[tokio::test]
    async fn a_change_larger_than_the_bound_still_arrives() {
        let (hub, sender) = hub();
        let watcher = hub.watch(id("a"));
        sender.send(change("a", 5, 2 * KEPT_EVENTS)).unwrap();
        lock(&hub.state).drain();
        assert_eq!(tags(&watcher), [Some(5)]);
    }

    #[tokio::test]
    async fn after_an_overflow_everybody_begins_anew() {
        let (hub, sender) = hub();
        let watcher = hub.watch(id("b"));
        for tag in 0..40 {
            sender.send(change("a", tag, 1)).unwrap();
        }
        assert!(hub.resume(id("a"), 1).is_none());
        assert_eq!(tags(&watcher)[..1], [None]);
    }

    #[tokio::test]
    async fn a_watcher_that_is_gone_is_forgotten() {
        let (hub, _sender) = hub();
        drop(hub.watch(id("a")));
        assert!(lock(&hub.state).watchers.is_empty());
    }
}
