//! One connection: what it is doing, and whose turn it is.

use super::Shared;
use crate::http::connections::who::Caller;
use crate::http::problem::{Kind, Problem};
use crate::metrics;
use crate::reload::Limits;
use axum::http::Extensions;
use parking_lot::{Mutex, MutexGuard};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// No request is in work: idle, or its head is arriving, or an answer is being read.
    Head,
    /// A request's body is arriving.
    Body,
    /// An endless answer is being sent.
    Streaming,
    /// A request is in work.
    Working,
}

impl Phase {
    fn of(byte: u8) -> Self {
        [Self::Head, Self::Body, Self::Streaming]
            .into_iter()
            .find(|phase| *phase as u8 == byte)
            .unwrap_or(Self::Working)
    }
}

/// One connection, as its requests and the gate see it.
#[derive(Debug)]
pub(crate) struct Conn {
    number: u64,
    /// The far end.
    peer: Caller,
    /// On whose behalf its requests are: the far end itself, or by TCP whoever made the token of
    /// the last one.
    caller: Mutex<Caller>,
    shared: Arc<Shared>,
    phase: AtomicU8,
    /// When bytes last went through it, in milliseconds since the gate's start.
    pub(super) moved_ms: AtomicU64,
    /// When the head that is arriving began, likewise; `IDLE` between requests.
    head_ms: AtomicU64,
    /// Since when the client leaves what is written to it unread, likewise; `IDLE` while it reads.
    /// What it sends meanwhile does not count.
    unread_ms: AtomicU64,
    /// Whether it is to end without an answer to what is in work.
    cut: AtomicBool,
    close: Notify,
    bound: Mutex<Bound>,
}

/// What is bound to a connection.
#[derive(Default)]
struct Bound(Option<Box<dyn FnOnce() + Send>>);

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bound").field(&self.0.is_some()).finish()
    }
}

const IDLE: u64 = u64::MAX;

impl Conn {
    pub(super) fn new(number: u64, caller: Caller, shared: Arc<Shared>) -> Self {
        let now_ms = AtomicU64::new(shared.now_ms());
        let moved_ms = AtomicU64::new(shared.now_ms());
        let phase = AtomicU8::new(Phase::Head as u8);
        Self {
            number,
            peer: caller.clone(),
            caller: Mutex::new(caller),
            shared,
            phase,
            moved_ms,
            head_ms: now_ms,
            unread_ms: AtomicU64::new(IDLE),
            cut: AtomicBool::new(false),
            close: Notify::new(),
            bound: Mutex::default(),
        }
    }

    /// That of a request.
    pub(crate) fn of(extensions: &Extensions) -> Result<&Arc<Self>, Problem> {
        let conn = extensions.get::<Arc<Self>>();
        conn.ok_or_else(|| Problem::internal("a request without its connection"))
    }

    /// Who asks.
    pub(crate) fn caller(&self) -> Caller {
        self.acting().clone()
    }

    fn acting(&self) -> MutexGuard<'_, Caller> {
        self.caller.lock()
    }

    /// The far end, whatever its requests bear.
    pub(crate) fn peer(&self) -> &Caller {
        &self.peer
    }

    /// From here on the connection's requests are that caller's, and it is counted among that
    /// caller's connections, at the cost of another one if need be.
    pub(crate) fn act_as(&self, caller: Caller) -> Result<(), Problem> {
        if *self.acting() == caller {
            return Ok(());
        }
        let mut table = self.shared.table();
        let (before, owner) = (self.caller().owner(), caller.owner());
        if owner != before && table.count(owner) >= self.shared.bound(owner) {
            table.make_room(owner, &caller)?;
        }
        *self.acting() = caller;
        Ok(())
    }

    /// Its number, never used again in this run of the daemon.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The name of a user of this host.
    pub(crate) fn user(&self, uid: u32) -> Option<Arc<str>> {
        self.shared.users.name(uid)
    }

    /// Has this called when the connection has ended, instead of what was bound before. Until then
    /// the connection may be idle for as long as it wants.
    pub(crate) fn bind(&self, ended: impl FnOnce() + Send + 'static) {
        self.bound().0 = Some(Box::new(ended));
    }

    pub(super) fn ended(&self) {
        let ended = self.bound().0.take();
        ended.into_iter().for_each(|ended| ended());
    }

    fn bound(&self) -> MutexGuard<'_, Bound> {
        self.bound.lock()
    }

    /// Between requests, as it may be.
    fn is_held(&self) -> bool {
        let is_idle = self.phase() == Phase::Head && self.head_ms.load(Ordering::Relaxed) == IDLE;
        is_idle && !self.is_unread() && self.bound().0.is_some()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.shared.limits()
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Relaxed))
    }

    fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Whether it is the client who has to do something before we can go on.
    pub(super) fn is_clients_turn(&self) -> bool {
        !self.is_held() && (matches!(self.phase(), Phase::Head | Phase::Body) || self.is_unread())
    }

    fn is_unread(&self) -> bool {
        self.unread_ms.load(Ordering::Relaxed) != IDLE
    }

    pub(super) fn is_overdue(&self, now_ms: u64) -> bool {
        let since = |ms: u64| Duration::from_millis(now_ms.saturating_sub(ms));
        let (moved, head_ms) = (
            since(self.moved_ms.load(Ordering::Relaxed)),
            self.head_ms.load(Ordering::Relaxed),
        );
        let limits = self.limits();
        let unread_ms = self.unread_ms.load(Ordering::Relaxed);
        match self.phase() {
            Phase::Head if unread_ms != IDLE => since(unread_ms) > limits.unread,
            Phase::Head if head_ms != IDLE => since(head_ms) > limits.head,
            Phase::Head => moved > limits.idle && !self.is_held(),
            // A body has its own deadline, work has that of its call, and a stream ends when too
            // much is waiting.
            Phase::Body | Phase::Working | Phase::Streaming => false,
        }
    }

    /// Bytes came from the client.
    pub(crate) fn read(&self) {
        let now_ms = self.shared.now_ms();
        self.moved_ms.store(now_ms, Ordering::Relaxed);
        if self.phase() == Phase::Head && self.head_ms.load(Ordering::Relaxed) == IDLE {
            self.head_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Bytes went to the client.
    pub(crate) fn wrote(&self) {
        self.moved_ms.store(self.shared.now_ms(), Ordering::Relaxed);
        self.unread_ms.store(IDLE, Ordering::Relaxed);
    }

    /// The client does not take what we write.
    pub(crate) fn blocked(&self) {
        if !self.is_unread() {
            self.unread_ms
                .store(self.shared.now_ms(), Ordering::Relaxed);
        }
    }

    /// A request's head has arrived.
    pub(crate) fn begin(&self) {
        self.head_ms.store(IDLE, Ordering::Relaxed);
        self.set_phase(Phase::Working);
    }

    /// A request is answered. An answer that is a stream goes on until its [`Streaming`] is
    /// dropped.
    pub(crate) fn end(&self) {
        if self.phase() != Phase::Streaming {
            self.set_phase(Phase::Head);
        }
    }

    /// Marks the time in which a body is awaited; what is a stream already stays one.
    pub(crate) async fn receiving<T>(&self, body: impl Future<Output = T>) -> T {
        let before = self.phase();
        if before != Phase::Streaming {
            self.set_phase(Phase::Body);
        }
        let received = body.await;
        if self.phase() == Phase::Body {
            self.set_phase(before);
        }
        received
    }

    /// Makes this request's answer a stream, if its owner may have one more.
    pub(crate) fn stream(self: &Arc<Self>) -> Result<Streaming, Problem> {
        let table = self.shared.table();
        let owner = self.caller().owner();
        let is_mine =
            |conn: &&Arc<Self>| conn.phase() == Phase::Streaming && conn.caller().owner() == owner;
        let bound = self.shared.limits().streams_per_user;
        if table.conns.values().filter(is_mine).count() >= bound {
            let detail = format!("this user has {bound} streams open, which is as many as may be");
            return Err(Problem::new(Kind::TooMany, detail).retry_after(1));
        }
        self.set_phase(Phase::Streaming);
        metrics::stream_begins();
        Ok(Streaming(Arc::clone(self)))
    }

    /// Closes it, once what is in work is answered.
    pub(super) fn close(&self) {
        self.close.notify_one();
    }

    /// Closes it, whatever is in work.
    pub(super) fn cut(&self) {
        metrics::connection_cut();
        self.cut.store(true, Ordering::Relaxed);
        self.close.notify_one();
    }

    /// Waits until the gate wants this connection closed.
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }

    /// Whether a connection that is to be closed may first answer what is in work: not if that
    /// waits for the client or never ends.
    pub(crate) fn may_finish(&self) -> bool {
        let is_in_head =
            self.phase() == Phase::Head && self.head_ms.load(Ordering::Relaxed) != IDLE;
        let waits = is_in_head || self.phase() == Phase::Body || self.is_unread();
        !(self.cut.load(Ordering::Relaxed) || waits || self.phase() == Phase::Streaming)
    }
}

/// Held while an answer is a stream.
#[derive(Debug)]
pub(crate) struct Streaming(Arc<Conn>);

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.set_phase(Phase::Head);
        metrics::stream_ended();
    }
}
