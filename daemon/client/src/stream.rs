//! An open stream of events.

use super::error::ClientError;
use super::sse::{Parser, ServerEvent};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::time::Duration;

/// The daemon sends a comment every 15 s: three missing ones mean that it hangs.
const SILENCE: Duration = Duration::from_secs(45);

/// Yields the events of one stream in their order.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    parser: Parser,
    ready: VecDeque<ServerEvent>,
}

impl EventStream {
    pub(super) fn new(body: Incoming) -> Self {
        Self {
            body,
            parser: Parser::default(),
            ready: VecDeque::new(),
        }
    }

    /// The next event; `None` when the daemon has ended the stream in order. May be dropped while
    /// it waits.
    pub async fn next(&mut self) -> Result<Option<ServerEvent>, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let frame = match tokio::time::timeout(SILENCE, self.body.frame()).await {
                Err(_) => return Err(ClientError::Timeout(SILENCE)),
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => frame.map_err(|error| ClientError::Broken(error.to_string()))?,
            };
            if let Some(bytes) = frame.data_ref() {
                let events = self
                    .parser
                    .push(bytes)
                    .map_err(|_| ClientError::Answer("an event is too long".to_owned()))?;
                self.ready.extend(events);
            }
        }
    }
}
