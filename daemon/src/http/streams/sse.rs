//! Server-sent events: how they are written, and the answer that never ends by itself.

use crate::http::connections::gate::Streaming;
use crate::http::problem::Problem;
use crate::metrics;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;
use utoipa::IntoParams;

/// How often a quiet stream gets a comment, so that both ends notice when the other is gone.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A stream: what it begins with, then what happens.
pub(crate) struct Feed<L> {
    /// Events that are written already: a snapshot, or what the client has missed.
    ready: VecDeque<Bytes>,
    live: L,
    is_over: bool,
}

/// What a stream goes on with.
pub(crate) trait Live: Send + 'static {
    /// Waits for what comes next. It may be dropped while it waits and called again.
    fn next(&mut self) -> impl Future<Output = Next> + Send;
}

/// What comes next in a stream.
pub(crate) enum Next {
    /// These events; none if what happened is not wanted here.
    Events(Vec<Bytes>),
    /// The reader was too slow: the stream ends.
    Lagged,
    /// There will be nothing more.
    Over,
}

impl<L: Live> Feed<L> {
    /// A stream that begins with these events.
    pub(crate) fn new(ready: VecDeque<Bytes>, live: L) -> Self {
        Self {
            ready,
            live,
            is_over: false,
        }
    }

    /// The next event as bytes; `None` ends the stream. It may be dropped while it waits and called
    /// again.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            match self.live.next().await {
                Next::Events(events) => self.ready.extend(events),
                Next::Lagged => {
                    self.is_over = true;
                    return Some(lagged());
                }
                Next::Over => self.is_over = true,
            }
        }
    }
}

/// The id of an event that has a number: numbers begin anew with each run of the daemon.
pub(crate) fn numbered(run: &str, number: u64) -> String {
    format!("{run}-{number}")
}

/// The number that an id tells, if it is one of this run.
pub(crate) fn number_of(run: &str, id: &str) -> Option<u64> {
    id.strip_prefix(run)?.strip_prefix('-')?.parse().ok()
}

/// Where a stream goes on.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct LastEventId {
    /// The `id` of the last event that was seen: only what followed is sent. If it cannot be used,
    /// the stream begins with a snapshot, as without it.
    #[param(rename = "Last-Event-ID")]
    pub(crate) last_event_id: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let value = parts.headers.get(&LAST_EVENT_ID);
        let id = value.and_then(|value| value.to_str().ok());
        Ok(Self {
            last_event_id: id.map(str::to_owned),
        })
    }
}

/// Writes one event. JSON has no line breaks of its own, so the data is one line.
pub(crate) fn event(name: Option<&str>, id: Option<&str>, data: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(data.len() + 64);
    for (field, value) in [("event: ", name), ("id: ", id)] {
        if let Some(value) = value {
            event.extend_from_slice(field.as_bytes());
            event.extend_from_slice(value.as_bytes());
            event.push(b'\n');
        }
    }
    event.extend_from_slice(b"data: ");
    event.extend_from_slice(data);
    event.extend_from_slice(b"\n\n");
    Bytes::from(event)
}

/// Writes one event of something that can be written as JSON.
pub(crate) fn json_event(
    name: Option<&str>,
    id: Option<&str>,
    data: &impl Serialize,
) -> Result<Bytes, Problem> {
    serde_json::to_vec(data)
        .map(|data| event(name, id, &data))
        .map_err(Problem::internal)
}

/// The last event of a stream whose reader was too slow.
fn lagged() -> Bytes {
    metrics::stream_lagged();
    Bytes::from_static(b"event: lagged\ndata: {}\n\n")
}

/// The answer that sends what `feed` gives for as long as the client reads.
pub(crate) fn respond(feed: Feed<impl Live>, streaming: Streaming) -> Response {
    let chunks = stream::unfold((feed, streaming), |(mut feed, streaming)| async move {
        let next = tokio::time::timeout(COMMENT_EVERY, feed.next()).await;
        let chunk = next.unwrap_or(Some(Bytes::from_static(b":\n\n")))?;
        Some((Ok::<_, Infallible>(chunk), (feed, streaming)))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_the_standard_says() {
        let written = json_event(
            Some("removed"),
            Some("ab.1"),
            &serde_json::json!({ "id": "a\nb" }),
        )
        .unwrap();
        assert_eq!(
            std::str::from_utf8(&written).unwrap(),
            "event: removed\nid: ab.1\ndata: \
            {\"id\":\"a\\nb\"}\n\n"
        );
        assert_eq!(event(None, None, b"{}"), "data: {}\n\n");
    }

    #[test]
    fn an_id_of_another_run_is_of_no_use() {
        assert_eq!(number_of("19a", &numbered("19a", 7)), Some(7));
        for id in ["19b-7", "7", "", "19a-", "19a-x"] {
            assert_eq!(number_of("19a", id), None, "{id}");
        }
    }

    /// Gives these, then waits for ever.
    struct Given(VecDeque<Next>);

    impl Live for Given {
        async fn next(&mut self) -> Next {
            match self.0.pop_front() {
                Some(next) => next,
                None => std::future::pending().await,
            }
        }
    }

    #[tokio::test]
    async fn a_stream_ends_with_what_its_reader_was_too_slow_for() {
        let given = [
            Next::Events(vec![]),
            Next::Events(vec!["b".into(), "c".into()]),
            Next::Lagged,
            Next::Events(vec!["never".into()]),
        ];
        let mut feed = Feed::new(["a".into()].into(), Given(given.into()));
        for expected in ["a", "b", "c", "event: lagged\ndata: {}\n\n"] {
            assert_eq!(feed.next().await.unwrap(), expected);
        }
        assert_eq!(feed.next().await, None);
    }
}
