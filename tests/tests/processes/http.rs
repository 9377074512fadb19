//! A plain HTTP client on a unix socket or by TCP: what any other program's client would do.

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::header::HeaderMap;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// One connection, used for one request after the other.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Client {
    pub(crate) async fn connect(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket)
            .await
            .with_context(|| format!("connecting to {}", socket.display()))?;
        Self::over(stream, "muster").await
    }

    /// By TCP, to `host:port`.
    pub(crate) async fn connect_tcp(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("connecting to {address}"))?;
        Self::over(stream, address).await
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        host: &str,
    ) -> anyhow::Result<Self> {
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            host: host.to_owned(),
        })
    }

    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        self.call_with(method, path, body, &[]).await
    }

    pub(crate) async fn call_with(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let (head, body) = self.open(method, path, body, headers).await?.into_parts();
        // All answers are text, but a list's document, whose bytes nobody looks at here.
        let text = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            text,
        })
    }

    /// A call whose answer may be endless.
    pub(crate) async fn open(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<hyper::Response<Incoming>> {
        let body = body
            .map(|body| Bytes::from(body.to_string()))
            .unwrap_or_default();
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await?;
        Ok(self
            .sender
            .send_request(request.body(Full::new(body))?)
            .await?)
    }
}

/// Server-sent events, as they come.
pub(crate) struct Events {
    body: hyper::body::Incoming,
    text: String,
    /// The connection is open as long as this is.
    _sender: SendRequest<Full<Bytes>>,
}

impl Events {
    pub(crate) async fn follow(
        socket: &Path,
        path: &str,
        last_event_id: Option<&str>,
    ) -> anyhow::Result<Self> {
        let mut client = Client::connect(socket).await?;
        let headers: Vec<(&str, &str)> = last_event_id
            .map(|id| ("last-event-id", id))
            .into_iter()
            .collect();
        let response = client.open("GET", path, None, &headers).await?;
        anyhow::ensure!(response.status() == 200, "{path}: {}", response.status());
        Ok(Self {
            body: response.into_body(),
            text: String::new(),
            _sender: client.sender,
        })
    }

    /// The next event's name, id and data.
    pub(crate) async fn next(&mut self) -> anyhow::Result<(String, String, Value)> {
        // Comments keep coming: one frame's deadline would never pass.
        let deadline = tokio::time::Instant::now() + crate::fleet::PATIENCE;
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .unwrap_or_default()
                        .to_owned()
                };
                let (name, id, data) = (field("event: "), field("id: "), field("data: "));
                self.text = rest.to_owned();
                // A comment has no data.
                if !data.is_empty() {
                    return Ok((name, id, serde_json::from_str(&data)?));
                }
            }
            let frame = tokio::time::timeout_at(deadline, self.body.frame())
                .await
                .context("no event came")?;
            let data = frame
                .context("the stream ended")??
                .into_data()
                .unwrap_or_default();
            self.text.push_str(std::str::from_utf8(&data)?);
        }
    }
}

/// One request on a connection of its own.
pub(crate) async fn call(
    socket: &Path,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Answer> {
    Client::connect(socket)
        .await?
        .call(method, path, body)
        .await
}
