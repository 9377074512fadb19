//! The bodies of requests, which outlive the calls that they are for.
//!
//! Many calls are answered before their body was read: without a token, of a wrong path, with a
//! precondition that does not hold. Were the connection closed then, a client that is still sending
//! would see a broken pipe instead of the answer. So the call only borrows the body; what it leaves
//! is read to its end, and then it is answered.

use super::gate::Conn;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use parking_lot::{Mutex, MutexGuard};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The largest body that a call reads: 1 MiB.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;
/// The largest body of a call that takes much at once: 64 MiB.
pub(crate) const MAX_LARGE_BYTES: usize = 64 << 20;
/// How much of a larger body is read to its end, so that its client too sees the answer.
const MAX_DRAINED_BYTES: usize = MAX_LARGE_BYTES;
/// How long a body may take for what it has over [`MAX_BODY_BYTES`]. A client that goes on for
/// longer loses the answer, not we.
const EXCESS_TIME: Duration = Duration::from_secs(2);

/// A body that a call reads, and what is left of it afterwards. Clones share it.
#[derive(Clone)]
pub(crate) struct Lent(Arc<Mutex<Reading>>);

struct Reading {
    body: Incoming,
    read_bytes: usize,
    /// Whether anybody has asked for a part of it yet: then a client that waits for `100 Continue`
    /// has got it.
    is_begun: bool,
    is_over: bool,
}

impl Lent {
    /// Lends a body. `None` if there is none.
    pub(super) fn new(body: Incoming) -> Option<Self> {
        if body.is_end_stream() {
            return None;
        }
        Some(Self(Arc::new(Mutex::new(Reading {
            body,
            read_bytes: 0,
            is_begun: false,
            is_over: false,
        }))))
    }

    /// As the body of a request.
    pub(super) fn body(&self) -> Body {
        Body::new(self.clone())
    }

    /// Reads what the call has left, within the bounds of a body whose head came at `begun`;
    /// `expects` says whether the client sends it only after `100 Continue`. Tells whether the body
    /// is over: else the connection cannot be used for another request.
    pub(super) async fn drain(&self, expects: bool, conn: &Conn, begun: Instant) -> bool {
        if self.reading().is_end() {
            return true;
        }
        // It sends its body only if it is told to.
        if expects && !self.reading().is_begun {
            return false;
        }
        let time = conn.limits().body.saturating_sub(begun.elapsed());
        let drained = conn.receiving(async {
            match tokio::time::timeout(time, self.read_up_to(MAX_BODY_BYTES)).await {
                Ok(true) => true,
                Ok(false) => {
                    let excess = self.read_up_to(MAX_DRAINED_BYTES);
                    tokio::time::timeout(EXCESS_TIME, excess).await == Ok(true)
                }
                Err(_) => false,
            }
        });
        drained.await
    }

    /// Reads until the body is over, or has more than `limit` bytes in all: false.
    async fn read_up_to(&self, limit: usize) -> bool {
        loop {
            if self.reading().read_bytes > limit {
                return false;
            }
            if poll_fn(|cx| self.reading().poll(cx)).await.is_none() {
                return true;
            }
        }
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock()
    }
}

impl Reading {
    fn is_end(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.is_begun = true;
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.read_bytes = self.read_bytes.saturating_add(bytes);
            }
            // After an error there is no more to be had: the client is gone, or sent no HTTP.
            Poll::Ready(None | Some(Err(_))) => self.is_over = true,
            Poll::Pending => {}
        }
        polled
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.reading().poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.reading().is_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.reading().body.size_hint()
    }
}
