//! JSON bodies: read within their bounds and strictly, written straight to bytes.

use crate::http::connections::gate::Conn;
use crate::http::problem::{Kind, Problem};
use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// The largest body of an ordinary request: 1 MiB.
const MAX_BODY_BYTES: usize = 1 << 20;
/// How much of a body that is too large is read to its end, so that the client sees the answer and
/// not a broken pipe.
const MAX_DRAINED_BYTES: usize = 64 << 20;

/// The bytes of a request's body, whatever its content type says. The body must have come within
/// the listener's bound.
pub(crate) struct RawJson(pub(crate) Bytes);

impl<S: Sync> FromRequest<S> for RawJson {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let conn = parts
            .extensions
            .get::<Arc<Conn>>()
            .ok_or_else(|| Problem::internal("a request without its connection"))?;
        if body.size_hint().lower() > MAX_BODY_BYTES as u64
            && parts.headers.contains_key(header::EXPECT)
        {
            return Err(too_large());
        }
        let limit = conn.limits().body;
        let reading = conn.receiving(collect(body));
        match tokio::time::timeout(limit, reading).await {
            Ok(bytes) => bytes.map(Self),
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
}

async fn collect(mut body: Body) -> Result<Bytes, Problem> {
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
        if whole.is_empty() && body.is_end_stream() && data.len() <= MAX_BODY_BYTES {
            return Ok(data);
        }
        if whole.len().saturating_add(data.len()) > MAX_BODY_BYTES {
            drain(body).await;
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

async fn drain(mut body: Body) {
    let read = async {
        let mut drained = 0;
        while let Some(Ok(frame)) = body.frame().await {
            drained += frame.data_ref().map_or(0, Bytes::len);
            if drained > MAX_DRAINED_BYTES {
                break;
            }
        }
    };
    // A client that goes on for longer than this loses the answer, not we.
    let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
}

fn too_large() -> Problem {
    Problem::new(
        Kind::TooLarge,
        format!("the body has more than {MAX_BODY_BYTES} bytes"),
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

/// A struct that is read from an object only: serde by itself also takes an array of the fields'
/// values.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Map<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Map(PhantomData))
    }
}

/// Tells a field that is null from one that is not there: `Some(None)` and `None`.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
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

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default, deserialize_with = "given")]
        due: Option<Option<String>>,
    }

    fn sample(text: &str) -> Result<Sample, Problem> {
        parse(text.as_bytes())
    }

    #[test]
    fn null_is_not_the_same_as_nothing() {
        assert_eq!(sample("{}").unwrap(), Sample { due: None });
        assert_eq!(
            sample(r#"{"due":null}"#).unwrap(),
            Sample { due: Some(None) }
        );
        assert_eq!(
            sample(r#"{"due":"x"}"#).unwrap(),
            Sample {
                due: Some(Some("x".into()))
            }
        );
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
