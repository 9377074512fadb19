//! A stream that is opened anew when it breaks.

use super::{ApiPath, Client, ClientError, EventStream, ServerEvent};
use std::time::Duration;

/// How long to wait before a daemon that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// Yields the events of a stream for as long as somebody asks, over restarts of the daemon.
///
/// Each opening goes on after the last event that was read. Where the daemon cannot go on from there
/// it begins with a `snapshot` event, as it does at first.
#[derive(Debug)]
pub struct Follow {
    client: Client,
    path: ApiPath,
    stream: Option<EventStream>,
    last_event_id: Option<String>,
    /// Whether it has broken: the next opening waits.
    has_failed: bool,
}

impl Follow {
    pub(super) fn new(client: Client, path: ApiPath) -> Self {
        Self {
            client,
            path,
            stream: None,
            last_event_id: None,
            has_failed: false,
        }
    }

    /// Opens the stream now if it is not open, for who must know from when on it tells all.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn open(&mut self) -> Result<(), ClientError> {
        self.opened().await.map(drop)
    }

    /// The next event, or why there is none just now; the call after a failure tries again. May be
    /// dropped while it waits.
    pub async fn next(&mut self) -> Result<ServerEvent, ClientError> {
        loop {
            if self.has_failed {
                tokio::time::sleep(AGAIN).await;
                self.has_failed = false;
            }
            match self.read().await {
                Ok(Some(event)) => {
                    self.last_event_id.clone_from(&event.id);
                    return Ok(event);
                }
                // The daemon ends, or it has told a reader who was too slow.
                Ok(None) => self.fail(),
                Err(error) => {
                    self.fail();
                    return Err(error);
                }
            }
        }
    }

    async fn read(&mut self) -> Result<Option<ServerEvent>, ClientError> {
        self.opened().await?.next().await
    }

    async fn opened(&mut self) -> Result<&mut EventStream, ClientError> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let last = self.last_event_id.as_deref();
                self.client.stream(&self.path, last).await?
            }
        };
        Ok(self.stream.insert(stream))
    }

    fn fail(&mut self) {
        self.stream = None;
        self.has_failed = true;
    }
}
