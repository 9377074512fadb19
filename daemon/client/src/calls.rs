//! The calls of the API with their types, each named after its operation in `openapi.json`.

mod authority;
mod backup;
mod cluster;
mod lists;
mod node;
mod processes;
mod quarantine;
mod tokens;

use super::{ApiPath, Client, ClientError, Reply};
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An answer: what this program knows of it, and all of it as it came.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// What it says.
    pub value: T,
    /// The same as JSON, with fields that are newer than this program.
    pub raw: Value,
    /// 200, 201, 202 or 204. 202: a change was made, but fewer nodes than asked for have confirmed
    /// it in time.
    pub status: StatusCode,
    /// The `ETag`, to be sent back as `If-Match`.
    pub etag: Option<String>,
}

impl Reply {
    /// The answer as its type.
    pub(super) fn typed<T: DeserializeOwned>(self) -> Result<Answer<T>, ClientError> {
        let value =
            T::deserialize(&self.body).map_err(|error| ClientError::Answer(error.to_string()))?;
        Ok(Answer {
            value,
            raw: self.body,
            status: self.status,
            etag: self.etag,
        })
    }
}

impl Client {
    async fn read<T: DeserializeOwned>(&self, path: &ApiPath) -> Result<Answer<T>, ClientError> {
        self.get(path).await?.typed()
    }

    /// All pages as one, in the form of the API.
    async fn read_all<T: DeserializeOwned>(
        &self,
        path: &ApiPath,
    ) -> Result<Answer<Vec<T>>, ClientError> {
        let raw = Value::Array(self.items(path).await?);
        let value =
            Vec::deserialize(&raw).map_err(|error| ClientError::Answer(error.to_string()))?;
        Ok(Answer {
            value,
            raw: json!({ "items": raw, "next": null }),
            status: StatusCode::OK,
            etag: None,
        })
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &ApiPath,
        body: Option<&impl Serialize>,
        if_match: Option<&str>,
    ) -> Result<Answer<T>, ClientError> {
        let body = body.map(serde_json::to_value).transpose();
        let body = body.map_err(|error| ClientError::Answer(error.to_string()))?;
        let reply = self.call(method, path, body.as_ref(), if_match).await?;
        reply.typed()
    }
}

/// No body.
const NOTHING: Option<&()> = None;
