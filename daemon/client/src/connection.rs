//! One request on one connection to the unix socket.

use super::error::{ClientError, Problem};
use super::path::ApiPath;
use super::{Reply, error};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, ETAG, HOST, IF_MATCH};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::Path;
use tokio::net::UnixStream;

/// The longest answer that is read into memory: a page of entries with the longest notes fits.
const MAX_ANSWER_BYTES: usize = 128 << 20;

/// A request for one answer.
pub(super) fn request(
    method: Method,
    path: &ApiPath,
    body: Option<&Value>,
    if_match: Option<&str>,
) -> Result<Request<Full<Bytes>>, ClientError> {
    let mut builder = Request::builder()
        .method(method)
        .uri(path.to_string())
        .header(HOST, "muster");
    if let Some(etag) = if_match {
        builder = builder.header(IF_MATCH, etag);
    }
    let bytes = match body {
        Some(body) => {
            let is_patch = builder.method_ref() == Some(&Method::PATCH);
            builder = builder.header(
                CONTENT_TYPE,
                if is_patch {
                    "application/merge-patch+json"
                } else {
                    "application/json"
                },
            );
            Bytes::from(body.to_string())
        }
        None => Bytes::new(),
    };
    builder
        .body(Full::new(bytes))
        .map_err(|error| ClientError::Answer(error.to_string()))
}

/// A request that brings bytes.
pub(super) fn upload_request(
    method: Method,
    path: &ApiPath,
    bytes: Bytes,
) -> Result<Request<Full<Bytes>>, ClientError> {
    Request::builder()
        .method(method)
        .uri(path.to_string())
        .header(HOST, "muster")
        .header(CONTENT_TYPE, "application/octet-stream")
        .body(Full::new(bytes))
        .map_err(|error| ClientError::Answer(error.to_string()))
}

/// A request for a stream.
pub(super) fn stream_request(
    path: &ApiPath,
    last_event_id: Option<&str>,
) -> Result<Request<Full<Bytes>>, ClientError> {
    let mut builder = Request::builder()
        .uri(path.to_string())
        .header(HOST, "muster")
        .header(ACCEPT, "text/event-stream");
    if let Some(id) = last_event_id {
        builder = builder.header("Last-Event-ID", id);
    }
    builder
        .body(Full::default())
        .map_err(|error| ClientError::Answer(error.to_string()))
}

/// Sends the request and reads the whole answer.
pub(super) async fn exchange(
    socket: &Path,
    request: Request<Full<Bytes>>,
) -> Result<Reply, ClientError> {
    let response = send(socket, request).await?;
    let status = response.status();
    let etag = response
        .headers()
        .get(ETAG)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let bytes = body_of(response).await?;
    refused(status, &bytes)?;
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Answer(error.to_string()))?
    };
    Ok(Reply { status, body, etag })
}

/// The same where the answer is no JSON.
pub(super) async fn exchange_bytes(
    socket: &Path,
    request: Request<Full<Bytes>>,
) -> Result<Vec<u8>, ClientError> {
    let response = send(socket, request).await?;
    let status = response.status();
    let bytes = body_of(response).await?;
    refused(status, &bytes)?;
    Ok(bytes.into())
}

/// Sends the request and leaves the answer's body to be read as it comes.
pub(super) async fn open_stream(
    socket: &Path,
    request: Request<Full<Bytes>>,
) -> Result<Incoming, ClientError> {
    let response = send(socket, request).await?;
    let status = response.status();
    if status.is_success() {
        return Ok(response.into_body());
    }
    let bytes = body_of(response).await?;
    refused(status, &bytes)?;
    Err(ClientError::Answer(format!("it has the status {status}")))
}

async fn send(
    socket: &Path,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, ClientError> {
    let unreachable = |source| ClientError::Unreachable {
        socket: socket.to_path_buf(),
        source,
    };
    let stream = UnixStream::connect(socket).await.map_err(unreachable)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // Ends by itself when the answer's body has been read or dropped.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(broken)
}

async fn body_of(response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let limited = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
    limited
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| ClientError::Broken(error.to_string()))
}

fn refused(status: StatusCode, bytes: &[u8]) -> Result<(), ClientError> {
    if status.is_success() {
        return Ok(());
    }
    Err(ClientError::Problem(Box::new(Problem::read(
        status.as_u16(),
        bytes,
    ))))
}

fn broken(error: hyper::Error) -> error::ClientError {
    ClientError::Broken(error.to_string())
}
