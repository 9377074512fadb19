//! What waits to be sent on one channel of one connection, bounded by bytes.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// A first-in-first-out queue with one reader. Messages count until they are
/// [written](SendQueue::written), not only until they are taken.
#[derive(Debug)]
pub(crate) struct SendQueue {
    limit_bytes: usize,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Bytes>,
    bytes: usize,
    taken: usize,
    overflow: Overflow,
    ended: bool,
}

/// Whether messages were dropped since the queue was last empty, and whether that was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Overflow {
    #[default]
    No,
    Untold,
    Told,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    /// The first drop since the queue was last empty.
    Overflowed,
    Dropped,
}

impl SendQueue {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Queues a message, or drops it because there is no room or the queue has ended.
    pub(crate) fn push(&self, message: Bytes) -> Pushed {
        let mut state = self.state.lock();
        if state.ended {
            return Pushed::Dropped;
        }
        let cost = cost(&message);
        if state.bytes.saturating_add(cost) > self.limit_bytes {
            return state.drop_one();
        }
        state.bytes += cost;
        state.messages.push_back(message);
        drop(state);
        self.changed.notify_one();
        Pushed::Queued
    }

    /// Counts a message that could never be queued as dropped.
    pub(crate) fn refuse(&self) -> Pushed {
        self.state.lock().drop_one()
    }

    /// Takes the next messages, about `bytes` of them but at least one; `None` when the queue has
    /// ended and is empty.
    pub(crate) async fn take(&self, bytes: usize) -> Option<Vec<Bytes>> {
        loop {
            {
                let mut state = self.state.lock();
                if !state.messages.is_empty() {
                    return Some(state.take(bytes));
                }
                if state.ended {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Tells that what was taken has been written: its room is free.
    pub(crate) fn written(&self) {
        let mut state = self.state.lock();
        state.bytes = state.bytes.saturating_sub(state.taken);
        state.taken = 0;
        if state.bytes == 0 && state.messages.is_empty() {
            state.overflow = Overflow::No;
        }
    }

    /// Whether an overflow has yet to be told; it counts as told from now on.
    pub(crate) fn tell_overflow(&self) -> bool {
        let mut state = self.state.lock();
        let untold = state.overflow == Overflow::Untold;
        if untold {
            state.overflow = Overflow::Told;
        }
        untold
    }

    /// Takes no more messages; those in it are still sent.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_one();
    }

    /// Takes no more messages, and drops those in it.
    pub(crate) fn discard(&self) {
        let mut state = self.state.lock();
        *state = State {
            ended: true,
            ..State::default()
        };
    }

    /// What waits, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Whether nothing waits and nothing is being written.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.messages.is_empty() && state.bytes == 0
    }
}

impl State {
    fn take(&mut self, bytes: usize) -> Vec<Bytes> {
        let mut taken = Vec::new();
        let mut sum = 0;
        while let Some(message) = self.messages.pop_front() {
            sum += cost(&message);
            taken.push(message);
            if sum >= bytes {
                break;
            }
        }
        self.taken += sum;
        taken
    }

    fn drop_one(&mut self) -> Pushed {
        if self.overflow == Overflow::No {
            self.overflow = Overflow::Untold;
            return Pushed::Overflowed;
        }
        Pushed::Dropped
    }
}

/// What a message takes of the limit, in bytes: even an empty one has to be kept somewhere.
fn cost(message: &Bytes) -> usize {
    message.len().saturating_add(OVERHEAD_BYTES)
}

/// What is kept beside a message's bytes, about.
const OVERHEAD_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(len: usize) -> Bytes {
        vec![7; len].into()
    }

    #[tokio::test]
    async fn an_overflow_is_told_once_until_the_queue_is_empty() {
        let queue = SendQueue::new(100 + OVERHEAD_BYTES);
        assert_eq!(queue.push(message(60)), Pushed::Queued);
        assert_eq!(queue.push(message(60)), Pushed::Overflowed);
        assert_eq!(queue.push(message(60)), Pushed::Dropped);
        assert!(queue.tell_overflow() && !queue.tell_overflow());
        assert_eq!(queue.take(1).await.unwrap().len(), 1);
        assert_eq!(
            queue.push(message(60)),
            Pushed::Dropped,
            "what is being written still takes \
            room"
        );
        queue.written();
        assert_eq!(queue.push(message(100)), Pushed::Queued);
        assert_eq!(queue.push(message(1)), Pushed::Overflowed);
    }

    #[tokio::test]
    async fn an_ended_queue_gives_what_it_has() {
        let queue = SendQueue::new(100);
        assert_eq!(queue.push(message(1)), Pushed::Queued);
        queue.end();
        assert_eq!(queue.push(message(1)), Pushed::Dropped);
        assert_eq!(queue.take(10).await.unwrap(), [message(1)]);
        assert_eq!(queue.take(10).await, None);
    }
}
