//! The way into a machine for other threads, and the way back for its replies.

use node::cluster::{self, Cluster};
use node::lists::{self, Lists};
use node::machine::{Ask, Machine};
use node::wire::RequestId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A machine that clients ask.
pub(crate) trait Asked: Machine<Stats: Copy + Default> {
    /// What is asked, and by whom if that matters.
    type Question: Send + 'static;
    /// The answer of one that was carried out.
    type Reply: Send + 'static;
    /// Why one was not.
    type Refusal: Send + 'static;
    /// What comes along with an input for the driver of the machine.
    type Attachment: Send + 'static;

    /// The input by which the machine is asked.
    fn request(id: RequestId, question: Self::Question) -> Self::Input;
}

impl Asked for Cluster {
    type Question = cluster::Command;
    type Reply = cluster::Reply;
    type Refusal = cluster::Refusal;
    type Attachment = ();

    fn request(id: RequestId, command: Self::Question) -> Self::Input {
        cluster::Input::Request { id, command }
    }
}

impl Asked for Lists {
    type Question = (crdt::entry::Author, lists::Command);
    type Reply = lists::Reply;
    type Refusal = lists::Refusal;
    type Attachment = super::lists::Attachment;

    fn request(id: RequestId, (by, command): Self::Question) -> Self::Input {
        lists::Input::Request { id, by, command }
    }
}

/// The outcome of a question.
pub(crate) type Outcome<M> = Result<<M as Asked>::Reply, <M as Asked>::Refusal>;

/// Something to be called on the machine's thread.
type Call = Box<dyn FnOnce() + Send>;

/// What other threads send to a machine.
pub(super) enum Letter<M: Asked> {
    /// Something that happened.
    Input(M::Input, M::Attachment),
    /// A question, and the way back for its outcome.
    Question(M::Question, oneshot::Sender<Outcome<M>>),
    /// Proves to whoever waits for it that the machine's thread goes on.
    Call(Call),
}

/// The way into one machine for other threads. Clones share it.
pub(crate) struct Mailbox<M: Asked> {
    post: Arc<dyn Fn(Letter<M>) + Send + Sync>,
    stats: Arc<Mutex<M::Stats>>,
}

impl<M: Asked> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self {
            post: Arc::clone(&self.post),
            stats: Arc::clone(&self.stats),
        }
    }
}

impl<M: Asked> Mailbox<M> {
    /// A mailbox that hands its letters to `post`; that may drop them once the machine has ended.
    pub(super) fn new(post: impl Fn(Letter<M>) + Send + Sync + 'static) -> Self {
        Self {
            post: Arc::new(post),
            stats: Arc::default(),
        }
    }

    /// Tells the machine that something happened.
    pub(super) fn input(&self, input: M::Input, attachment: M::Attachment) {
        (self.post)(Letter::Input(input, attachment));
    }

    /// Asks the machine. If it has ended, or ends before it has answered, the sender of the outcome
    /// is dropped.
    pub(crate) fn ask(&self, question: M::Question) -> oneshot::Receiver<Outcome<M>> {
        let (reply, outcome) = oneshot::channel();
        (self.post)(Letter::Question(question, reply));
        outcome
    }

    /// Calls that on the machine's thread, when it comes to it.
    pub(crate) fn call(&self, call: Call) {
        (self.post)(Letter::Call(call));
    }

    /// The machine's numbers, as of when it last had nothing to do.
    pub(crate) fn stats(&self) -> M::Stats {
        *self.stats.lock()
    }

    /// Shows the machine's numbers to the other threads.
    pub(super) fn publish(&self, stats: M::Stats) {
        *self.stats.lock() = stats;
    }
}

/// The clients that wait for a machine's reply.
pub(super) struct Waiting<M: Asked> {
    clients: BTreeMap<RequestId, oneshot::Sender<Outcome<M>>>,
    asked: u64,
}

impl<M: Asked> Default for Waiting<M> {
    fn default() -> Self {
        Self {
            clients: BTreeMap::new(),
            asked: 0,
        }
    }
}

impl<M: Asked> Waiting<M> {
    /// Lets a client wait: what the machine is to be told.
    pub(super) fn add(
        &mut self,
        question: M::Question,
        reply: oneshot::Sender<Outcome<M>>,
    ) -> M::Input {
        self.asked += 1;
        let id = RequestId(self.asked);
        self.clients.insert(id, reply);
        M::request(id, question)
    }

    /// The machine has replied.
    pub(super) fn reply(&mut self, id: RequestId, outcome: Outcome<M>) {
        if let Some(client) = self.clients.remove(&id) {
            // The client may have gone away.
            let _ = client.send(outcome);
        }
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError<R> {
    /// The machine refused.
    #[error(transparent)]
    Refused(#[from] R),
    /// The machine replied to another question: an error of this program.
    #[error("the reply belongs to another question")]
    Mismatch,
}

/// Waits for the answer to a question of type `A`; `gone` is the refusal of a machine that has
/// ended.
pub(crate) async fn answer<A: Ask, R>(
    outcome: oneshot::Receiver<Result<A::Reply, R>>,
    gone: R,
) -> Result<A::Answer, AskError<R>> {
    let reply = outcome
        .await
        .unwrap_or(Err(gone))
        .map_err(AskError::Refused)?;
    A::answer(reply).ok_or(AskError::Mismatch)
}
