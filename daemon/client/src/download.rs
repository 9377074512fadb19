//! An answer that is read as it comes.

use crate::ClientError;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::timeout;

/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(60);

/// The bytes of an answer, in pieces.
#[derive(Debug)]
pub struct Download {
    body: Incoming,
}

impl Download {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body }
    }

    /// The next piece; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = timeout(SILENCE, self.body.frame()).await;
            let frame = frame.map_err(|_| ClientError::Timeout(SILENCE))?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(error)) => return Err(ClientError::Broken(error.to_string())),
            }
        }
    }
}
