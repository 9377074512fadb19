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
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;
use utoipa::IntoParams;

/// How often a quiet stream gets a comment, so that both ends notice when the other is gone.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Where the events of a stream come from.
pub(crate) trait Feed: Send + 'static {
    /// The next events as bytes; `None` ends the stream. It may be dropped while it waits and
    /// called again.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
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
pub(crate) fn event(name: Option<&str>, id: Option<&str>, data: &[u8]) -> Vec<u8> {
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
    event
}

/// Writes one event of something that can be written as JSON.
pub(crate) fn json_event(
    name: Option<&str>,
    id: Option<&str>,
    data: &impl Serialize,
) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(data)
        .map(|data| event(name, id, &data))
        .map_err(Problem::internal)
}

/// The last event of a stream whose reader was too slow.
pub(crate) fn lagged() -> Bytes {
    metrics::stream_lagged();
    Bytes::from_static(b"event: lagged\ndata: {}\n\n")
}

/// The answer that sends what `feed` gives for as long as the client reads.
pub(crate) fn respond(feed: impl Feed, streaming: Streaming) -> Response {
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
            String::from_utf8(written).unwrap(),
            "event: removed\nid: ab.1\ndata: \
            {\"id\":\"a\\nb\"}\n\n"
        );
        assert_eq!(event(None, None, b"{}"), b"data: {}\n\n");
    }
}
