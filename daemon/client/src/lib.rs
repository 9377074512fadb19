//! A client of a node's HTTP API over its unix socket: calls with the types of the `api` crate,
//! problems as a type, streams of events that go on when they break.
//!
//! The command line is built on it. Each call is a connection of its own: a connection to a unix
//! socket costs less than the care for one that broke in between. It keeps nothing, retries no call
//! (a write whose outcome is unknown is its caller's to decide) and needs a tokio runtime.
//!
//! ```no_run
//! # async fn example() -> Result<(), client::ClientError> {
//! use api::lists::ListsQuery;
//! use client::{ApiPath, Client};
//! let client = Client::new("/run/muster/muster.sock", std::time::Duration::from_secs(5));
//! for list in client.lists(&ListsQuery::default()).await?.value {
//!     println!("{}: {} open", list.name, list.open);
//! }
//! // Any call as JSON.
//! let node = client.get(&ApiPath::new(&["node"])).await?.body;
//! println!("{}", node["name"]);
//! # Ok(())
//! # }
//! ```
//!
//! `examples/` has a program that adds and reads entries, and one that follows events.

#![warn(missing_docs)]

mod calls;
mod connection;
mod download;
mod error;
mod follow;
mod path;
mod socket;
mod sse;
mod stream;

pub use calls::Answer;
pub use download::Download;
pub use error::{ClientError, Problem};
pub use follow::Follow;
pub use path::ApiPath;
pub use socket::{SYSTEM, Search, search};
pub use sse::ServerEvent;
pub use stream::EventStream;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much longer than the daemon a client waits, so that the daemon's own answer about the time
/// comes first.
const GRACE: Duration = Duration::from_secs(1);
/// The most items that one page may have.
const PAGE: usize = 1000;

/// Speaks to one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
}

/// An answer that is not an error.
#[derive(Clone, Debug)]
pub struct Reply {
    /// 200, 201, 202 or 204.
    pub status: StatusCode,
    /// The body; null without one.
    pub body: Value,
    /// The `ETag`, to be sent back as `If-Match`.
    pub etag: Option<String>,
}

impl Client {
    /// A client of the node behind that socket, whose calls take at most about `timeout` each.
    pub fn new(socket: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self {
            socket: socket.into(),
            timeout,
        }
    }

    /// The same with calls that may take at least so long.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self {
            socket: self.socket.clone(),
            timeout: self.timeout.max(patience),
        }
    }

    /// The socket it connects to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// How long a call may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks for a resource.
    pub async fn get(&self, path: &ApiPath) -> Result<Reply, ClientError> {
        self.call(Method::GET, path, None, None).await
    }

    /// Asks for a resource that is text.
    pub async fn text(&self, path: &ApiPath) -> Result<String, ClientError> {
        let bytes = self.bytes(path).await?;
        String::from_utf8(bytes).map_err(|error| ClientError::Answer(error.to_string()))
    }

    /// Asks for a resource that is neither text nor JSON.
    pub async fn bytes(&self, path: &ApiPath) -> Result<Vec<u8>, ClientError> {
        let request = connection::request(Method::GET, path, None, None)?;
        self.within(connection::exchange_bytes(&self.socket, request))
            .await
    }

    /// Sends a request, with a JSON body and an `If-Match` where given.
    pub async fn call(
        &self,
        method: Method,
        path: &ApiPath,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<Reply, ClientError> {
        let request = connection::request(method, path, body, if_match)?;
        self.within(connection::exchange(&self.socket, request))
            .await
    }

    /// All items of a list of things, page by page.
    pub async fn items(&self, path: &ApiPath) -> Result<Vec<Value>, ClientError> {
        let mut all = Vec::new();
        let mut page = path.clone().query("limit", &PAGE.to_string());
        loop {
            let mut body = self.get(&page).await?.body;
            match body.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => all.extend(items),
                _ => return Err(ClientError::Answer("it holds no items".to_owned())),
            }
            match body.get("next").and_then(Value::as_str) {
                Some(cursor) => {
                    page = path
                        .clone()
                        .query("limit", &PAGE.to_string())
                        .query("cursor", cursor)
                }
                None => return Ok(all),
            }
        }
    }

    /// Sends bytes.
    pub async fn upload(
        &self,
        method: Method,
        path: &ApiPath,
        bytes: Bytes,
    ) -> Result<Reply, ClientError> {
        let request = connection::upload_request(method, path, bytes)?;
        self.within(connection::exchange(&self.socket, request))
            .await
    }

    /// Asks for bytes, which are read as they come.
    pub async fn download(&self, path: &ApiPath) -> Result<Download, ClientError> {
        let request = connection::request(Method::GET, path, None, None)?;
        let opened = self
            .within(connection::open_stream(&self.socket, request))
            .await;
        opened.map(Download::new)
    }

    async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout(self.timeout.saturating_add(GRACE), answer).await {
            Ok(answered) => answered,
            Err(_) => Err(ClientError::Timeout(self.timeout)),
        }
    }

    /// A stream of server-sent events that is opened when it is first read, and anew whenever it
    /// breaks.
    pub fn follow(&self, path: &ApiPath) -> Follow {
        Follow::new(self.clone(), path.clone())
    }

    /// Opens a stream of server-sent events; after an event of an earlier stream, if its id is
    /// given.
    pub async fn stream(
        &self,
        path: &ApiPath,
        last_event_id: Option<&str>,
    ) -> Result<EventStream, ClientError> {
        let request = connection::stream_request(path, last_event_id)?;
        let opened = self
            .within(connection::open_stream(&self.socket, request))
            .await;
        opened.map(EventStream::new)
    }
}

#[cfg(test)]
mod tests;
