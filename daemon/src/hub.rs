//! Carries what happens to things to those who watch one of them.
//!
//! A hub hands each happening to the watchers of its subject alone, so that a slow watcher holds up
//! nobody and keeps no other subject's happenings in memory. The newest ones are kept for watchers
//! that come back.

use crate::once::Once;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;
use tokio::sync::Notify;

/// How many events are kept for watchers that come back, and how many one watcher may be behind.
pub(crate) const KEPT_EVENTS: usize = 10_000;

/// Something that happens to a subject.
pub(crate) trait Happening: Debug + Send + Sync + 'static {
    /// What it happens to.
    type Subject: Ord + Clone + Debug + Send + Sync;

    /// To which.
    fn subject(&self) -> &Self::Subject;

    /// How many events of a stream it makes at most.
    fn events(&self) -> usize;
}

impl<T: Happening> Happening for Arc<T> {
    type Subject = T::Subject;

    fn subject(&self) -> &T::Subject {
        T::subject(self)
    }

    fn events(&self) -> usize {
        T::events(self)
    }
}

impl<T: Happening> Happening for Once<T> {
    type Subject = T::Subject;

    fn subject(&self) -> &T::Subject {
        T::subject(self)
    }

    fn events(&self) -> usize {
        T::events(self)
    }
}

/// The hub. Clones share it.
#[derive(Debug)]
pub(crate) struct Hub<T: Happening> {
    state: Arc<Mutex<State<T>>>,
}

impl<T: Happening> Clone for Hub<T> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
        }
    }
}

impl<T: Happening> Default for Hub<T> {
    fn default() -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                kept: Backlog::default(),
                watchers: BTreeMap::new(),
                next: 0,
            })),
        }
    }
}

#[derive(Debug)]
struct State<T: Happening> {
    kept: Backlog<T>,
    watchers: BTreeMap<T::Subject, BTreeMap<u64, Arc<Queue<T>>>>,
    next: u64,
}

/// Happenings, with the number of events that they make.
#[derive(Debug)]
struct Backlog<T> {
    happenings: VecDeque<Arc<T>>,
    events: usize,
}

/// What a watcher has not read yet.
#[derive(Debug)]
struct Queue<T> {
    pending: Mutex<Pending<T>>,
    news: Notify,
}

#[derive(Debug)]
struct Pending<T> {
    backlog: Backlog<T>,
    lagged: bool,
}

/// What a watcher gets next.
#[derive(Debug)]
pub(crate) enum News<T> {
    /// Something happened.
    Happened(Arc<T>),
    /// The watcher was too slow, and happenings were dropped.
    Lagged,
}

/// Somebody who watches a subject, from its making until it is dropped.
#[derive(Debug)]
pub(crate) struct Watcher<T: Happening> {
    hub: Hub<T>,
    key: (T::Subject, u64),
    queue: Arc<Queue<T>>,
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self {
            happenings: VecDeque::new(),
            events: 0,
        }
    }
}

impl<T: Happening> Backlog<T> {
    fn push(&mut self, happening: Arc<T>) {
        self.events += happening.events();
        self.happenings.push_back(happening);
    }

    fn pop(&mut self) -> Option<Arc<T>> {
        let happening = self.happenings.pop_front()?;
        self.events -= happening.events();
        Some(happening)
    }
}

impl<T: Happening> Hub<T> {
    /// Watches a subject. What was delivered before this call is not news, what comes after it is.
    pub(crate) fn watch(&self, subject: T::Subject) -> Watcher<T> {
        self.state.lock().add(self, subject)
    }

    /// The same for a watcher that comes back: `missed` picks, from all that is kept, oldest first,
    /// what it has not seen. `None` if it cannot tell.
    pub(crate) fn resume(
        &self,
        subject: T::Subject,
        missed: impl FnOnce(&VecDeque<Arc<T>>) -> Option<Vec<Arc<T>>>,
    ) -> Option<(Watcher<T>, Vec<Arc<T>>)> {
        let mut state = self.state.lock();
        let missed = missed(&state.kept.happenings)?;
        Some((state.add(self, subject), missed))
    }

    /// Tells the watchers of its subject.
    pub(crate) fn deliver(&self, happening: Arc<T>) {
        self.state.lock().deliver(happening);
    }

    /// Nobody knows what was missed: those who watch must begin anew, and nobody can resume.
    pub(crate) fn lag(&self) {
        let mut state = self.state.lock();
        state.kept = Backlog::default();
        state
            .watchers
            .values()
            .flat_map(BTreeMap::values)
            .for_each(|queue| queue.lag());
    }

    /// How many watch.
    pub(crate) fn watchers(&self) -> usize {
        self.state.lock().watchers.values().map(BTreeMap::len).sum()
    }
}

impl<T: Happening> State<T> {
    fn deliver(&mut self, happening: Arc<T>) {
        self.watchers
            .get(happening.subject())
            .into_iter()
            .flat_map(BTreeMap::values)
            .for_each(|queue| queue.push(&happening));
        self.kept.push(happening);
        while self.kept.events > KEPT_EVENTS && self.kept.happenings.len() > 1 {
            self.kept.pop();
        }
    }

    fn add(&mut self, hub: &Hub<T>, subject: T::Subject) -> Watcher<T> {
        let number = self.next;
        self.next += 1;
        let pending = Mutex::new(Pending {
            backlog: Backlog::default(),
            lagged: false,
        });
        let queue = Arc::new(Queue {
            pending,
            news: Notify::new(),
        });
        self.watchers
            .entry(subject.clone())
            .or_default()
            .insert(number, Arc::clone(&queue));
        Watcher {
            hub: hub.clone(),
            key: (subject, number),
            queue,
        }
    }

    fn remove(&mut self, (subject, number): &(T::Subject, u64)) {
        let Some(watchers) = self.watchers.get_mut(subject) else {
            return;
        };
        watchers.remove(number);
        if watchers.is_empty() {
            self.watchers.remove(subject);
        }
    }
}

impl<T: Happening> Queue<T> {
    fn push(&self, happening: &Arc<T>) {
        let mut pending = self.pending.lock();
        // One happening alone may be larger than the bound.
        let has_room = pending.backlog.happenings.is_empty()
            || pending.backlog.events + happening.events() <= KEPT_EVENTS;
        match (pending.lagged, has_room) {
            (false, true) => pending.backlog.push(Arc::clone(happening)),
            (false, false) => {
                *pending = Pending {
                    backlog: Backlog::default(),
                    lagged: true,
                }
            }
            (true, _) => {}
        }
        drop(pending);
        self.news.notify_one();
    }

    fn lag(&self) {
        *self.pending.lock() = Pending {
            backlog: Backlog::default(),
            lagged: true,
        };
        self.news.notify_one();
    }

    fn pop(&self) -> Option<News<T>> {
        let mut pending = self.pending.lock();
        if pending.lagged {
            Some(News::Lagged)
        } else {
            pending.backlog.pop().map(News::Happened)
        }
    }
}

impl<T: Happening> Watcher<T> {
    /// Waits for the next happening. May be dropped while it waits.
    pub(crate) async fn next(&self) -> News<T> {
        loop {
            if let Some(news) = self.queue.pop() {
                return news;
            }
            self.queue.news.notified().await;
        }
    }
}

impl<T: Happening> Drop for Watcher<T> {
    fn drop(&mut self) {
        self.hub.state.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    /// The subject, a number, and how many events it makes.
    #[derive(Debug)]
    struct Sample(char, u64, usize);

    impl Happening for Sample {
        type Subject = char;

        fn subject(&self) -> &char {
            &self.0
        }

        fn events(&self) -> usize {
            self.2
        }
    }

    fn deliver(
        hub: &Hub<Sample>,
        subject: char,
        numbers: impl IntoIterator<Item = u64>,
        events: usize,
    ) {
        numbers
            .into_iter()
            .for_each(|number| hub.deliver(Arc::new(Sample(subject, number, events))));
    }

    fn numbers(watcher: &Watcher<Sample>) -> Vec<Option<u64>> {
        let next = || watcher.next().now_or_never();
        let number = |news: News<Sample>| match news {
            News::Happened(sample) => Some(sample.1),
            News::Lagged => None,
        };
        std::iter::from_fn(next).map(number).take(5).collect()
    }

    #[test]
    fn a_watcher_gets_what_happens_to_its_subject_after_it_came() {
        let hub = Hub::default();
        deliver(&hub, 'a', [1], 1);
        let watcher = hub.watch('a');
        deliver(&hub, 'a', [2], 1);
        deliver(&hub, 'b', [9], 1);
        deliver(&hub, 'a', [3], 1);
        assert_eq!(numbers(&watcher), [Some(2), Some(3)]);
    }

    #[test]
    fn a_watcher_that_comes_back_picks_what_it_missed() {
        let hub = Hub::default();
        deliver(&hub, 'a', 1..=3, 1);
        let (watcher, missed) = hub
            .resume('a', |kept| Some(kept.iter().skip(1).cloned().collect()))
            .unwrap();
        assert_eq!(
            missed.iter().map(|sample| sample.1).collect::<Vec<_>>(),
            [2, 3]
        );
        assert_eq!(numbers(&watcher), []);
        assert!(hub.resume('a', |_| None).is_none());
    }

    #[test]
    fn a_slow_watcher_is_told_and_holds_nothing() {
        let hub = Hub::default();
        let watcher = hub.watch('a');
        deliver(&hub, 'a', 0..11, 1000);
        assert_eq!(numbers(&watcher)[..1], [None]);
        assert!(hub.state.lock().kept.events <= KEPT_EVENTS);
    }

    #[test]
    fn a_happening_larger_than_the_bound_still_arrives() {
        let hub = Hub::default();
        let watcher = hub.watch('a');
        deliver(&hub, 'a', [5], 2 * KEPT_EVENTS);
        assert_eq!(numbers(&watcher), [Some(5)]);
    }

    #[test]
    fn after_a_gap_everybody_begins_anew() {
        let hub = Hub::default();
        let watcher = hub.watch('b');
        deliver(&hub, 'a', 0..3, 1);
        hub.lag();
        assert_eq!(numbers(&watcher)[..1], [None]);
        assert!(hub.state.lock().kept.happenings.is_empty());
    }

    #[test]
    fn a_watcher_that_is_gone_is_forgotten() {
        let hub: Hub<Sample> = Hub::default();
        drop(hub.watch('a'));
        assert!(hub.state.lock().watchers.is_empty());
    }
}
