//! JSON bodies: read within their bounds and strictly, written straight to bytes.

use crate::http::connections::body::MAX_BODY_BYTES;
use crate::http::connections::gate::Conn;
use crate::http::problem::{Kind, Problem, Refuses, refuses};
use api::request::Object;
use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest body that is no JSON: a block of a backup fits, with what stands before it.
const MAX_UPLOAD_BYTES: usize = 24 << 20;

/// The bytes of a request's body, whatever its content type says. The body must have come within
/// the listener's bound.
pub(crate) struct RawJson(pub(crate) Bytes);

impl<S: Sync> FromRequest<S> for RawJson {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        receive::<MAX_BODY_BYTES>(request).await.map(Self)
    }
}

/// The bytes of a request's body that is no JSON and may be larger than that.
pub(crate) struct Upload(pub(crate) Bytes);

impl<S: Sync> FromRequest<S> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        receive::<MAX_UPLOAD_BYTES>(request).await.map(Self)
    }
}

async fn receive<const MOST: usize>(request: Request) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    let conn = Conn::of(&parts.extensions)?;
    if body.size_hint().lower() > MOST as u64 && parts.headers.contains_key(header::EXPECT) {
        return Err(too_large(MOST));
    }
    let limit = conn.limits().body;
    let reading = tokio::time::timeout(limit, collect(body, MOST));
    match conn.receiving(reading).await {
        Ok(bytes) => bytes,
        Err(_) => Err(Problem::new(
            Kind::Slow,
            format!(
                "the body did not arrive within {} \
                s",
                limit.as_secs()
            ),
        )),
    }
}

async fn collect(mut body: Body, most: usize) -> Result<Bytes, Problem> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::malformed(format!(
                "the body ended early: \
            {error}"
            ))
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.is_empty() && body.is_end_stream() && data.len() <= most {
            return Ok(data);
        }
        if whole.len().saturating_add(data.len()) > most {
            return Err(too_large(most));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn too_large(most: usize) -> Problem {
    Problem::new(
        Kind::TooLarge,
        format!("the body has more than {most} bytes"),
    )
}

/// A request's body as a JSON object without unknown fields.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let RawJson(bytes) = RawJson::from_request(request, state).await?;
        parse(&bytes).map(Self)
    }
}

refuses! {
    RawJson: Malformed Slow TooLarge;
    Upload: Malformed Slow TooLarge;
}

impl<T> Refuses for Json<T> {
    fn kinds() -> Vec<Kind> {
        RawJson::kinds()
    }
}

/// Reads a JSON object.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    match serde_json::from_slice(bytes) {
        Ok(Object(value)) => Ok(value),
        Err(error) => Err(Problem::malformed(format!(
            "the body is not the JSON object that is \
            right here: {error}"
        ))),
    }
}

/// A JSON response of that status.
pub(crate) fn respond(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(Problem::internal)?;
    let mut response = ok(body);
    *response.status_mut() = status;
    Ok(response)
}

/// A JSON response of status 200 with that body.
pub(crate) fn ok(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: &str) -> Result<api::lists::EntryPatch, Problem> {
        parse(text.as_bytes())
    }

    #[test]
    fn what_is_not_the_object_is_malformed() {
        for text in [
            "",
            "{",
            "[]",
            "[null]",
            "\"x\"",
            "null",
            "{} {}",
            r#"{"due":1}"#,
            r#"{"dew":"x"}"#,
            r#"{"due":"a","due":"b"}"#,
        ] {
            assert_eq!(sample(text).unwrap_err().status(), 400, "{text}");
        }
    }
}
