//! JSON bodies: read within their bounds and strictly, written straight to bytes.

use crate::http::Api;
use crate::http::connections::body::{MAX_BODY_BYTES, MAX_LARGE_BYTES};
use crate::http::connections::gate::Conn;
use crate::http::connections::large::Room;
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

/// The bytes of a request's body, whatever its content type says. The body must have come within
/// the listener's bound.
pub(crate) struct RawJson(pub(crate) Bytes);

impl<S: Sync> FromRequest<S> for RawJson {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let refuse = || Err(too_large(MAX_BODY_BYTES));
        receive(request, MAX_BODY_BYTES, refuse).await.map(Self)
    }
}

/// The bytes of a body that may have up to [`MAX_LARGE_BYTES`]. What has more than an ordinary one takes
/// room, of which there is little, for as long as this is kept.
pub(crate) struct LargeBody {
    pub(crate) bytes: Bytes,
    _room: Option<Room>,
}

impl FromRequest<Api> for LargeBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let owner = Conn::of(request.extensions())?.caller().owner();
        let mut room = None;
        let take = || {
            room = Some(api.large_bodies().take(owner)?);
            Ok(())
        };
        let bytes = receive(request, MAX_LARGE_BYTES, take).await?;
        Ok(Self { bytes, _room: room })
    }
}

/// Reads a body of at most `limit` bytes; what has more than an ordinary one only if `larger` lets it.
async fn receive(
    request: Request,
    limit: usize,
    mut larger: impl FnMut() -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    let conn = Conn::of(&parts.extensions)?;
    if body.size_hint().lower() > limit as u64 && parts.headers.contains_key(header::EXPECT) {
        return Err(too_large(limit));
    }
    let time = conn.limits().body;
    let reading = tokio::time::timeout(time, collect(body, limit, &mut larger));
    match conn.receiving(reading).await {
        Ok(bytes) => bytes,
        Err(_) => Err(Problem::new(
            Kind::Slow,
            format!("the body did not arrive within {} s", time.as_secs()),
        )),
    }
}

async fn collect(
    mut body: Body,
    limit: usize,
    larger: &mut impl FnMut() -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let mut whole = BytesMut::new();
    let mut is_large = false;
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
        if whole.is_empty() && body.is_end_stream() && data.len() <= MAX_BODY_BYTES {
            return Ok(data);
        }
        let length = whole.len().saturating_add(data.len());
        if length > limit {
            return Err(too_large(limit));
        }
        if length > MAX_BODY_BYTES && !is_large {
            larger()?;
            is_large = true;
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Kind::TooLarge,
        format!("the body has more than {limit} bytes"),
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
    LargeBody: Malformed Slow TooLarge Busy;
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
