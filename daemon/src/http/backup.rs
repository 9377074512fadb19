//! `/v1/backup`, `/v1/restore`: all lists of this node as one file, and such a file put back.

use crate::http::connections::who::Admin;
use crate::http::json::LargeBody;
use crate::http::operations::openapi::Problems;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::{Api, json};
use crate::quarantine::about;
use crate::restoring::{RestoreError, restore as merge};
use api::backup::{RestoreResult, RestoredList};
use archive::Writer;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use node::lists::ask::{Learn, Restore};
use std::io::{Error, ErrorKind, Write};
use store::{Backup, BackupError, ReadError};
use tokio::sync::mpsc::{Sender, channel};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How many bytes are sent at once, and how often that many may wait for a client that reads slowly.
const PIECE_BYTES: usize = 64 << 10;
const PIECES: usize = 4;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(backup))
        .routes(routes!(restore))
}

/// All lists of this node as they are at one instant, as a file that says of itself whether it is whole
/// (docs/backup.md). It has no keys, certificates, tokens or configuration. What was rewritten meanwhile takes its
/// place on the disk until the file has been read. An answer that ends without an end mark is no backup.
#[utoipa::path(
    get, path = "/v1/backup", tag = "operation", operation_id = "backup",
    responses(
        (status = 200, description = "The file", body = String, content_type = "application/octet-stream"),
        Problems<(Admin, Query<()>, ReadError, Own<{ Kind::Busy as usize }>)>,
    )
)]
pub(crate) async fn backup(
    State(api): State<Api>,
    _: Admin,
    _: Query<()>,
) -> Result<Response, Problem> {
    let Ok(turn) = api.backing_up().try_acquire_owned() else {
        let detail = "another backup is being read";
        return Err(Problem::new(Kind::Busy, detail).retry_after(10));
    };
    let (send, pieces) = channel(PIECES);
    let (reader, about) = (api.reader().clone(), about(api.service()));
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let pipe = Pipe {
            send: send.clone(),
            waiting: BytesMut::new(),
        };
        let written = Writer::new(pipe, &about)
            .map_err(BackupError::from)
            .and_then(|mut writer| {
                Backup::begin(&reader, &mut writer)?.lists()?;
                Ok(writer.finish().map(drop)?)
            });
        if let Err(error) = written {
            tracing::warn!(%error, "a backup was not written to its end");
            // The client sees its answer end early.
            let _ = send.blocking_send(Err(Error::other(error.to_string())));
        }
    });
    let body = stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.recv().await?;
        Some((piece, pieces))
    });
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    Ok(response)
}

/// Where a backup is written on its way to a client.
struct Pipe {
    send: Sender<Result<Bytes, Error>>,
    waiting: BytesMut,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        let piece = self.waiting.split().freeze();
        let sent = self.send.blocking_send(Ok(piece));
        sent.map_err(|_| Error::new(ErrorKind::BrokenPipe, "the client is gone"))
    }
}

/// Puts a backup back, or a part of one that is a backup itself, of at most 64 MiB: its changes are merged into the
/// lists as those of a peer are. What is here already stays as it is, what was deleted since stays deleted, and doing
/// it twice changes nothing more. Waits until all that can be taken is on the disk; `muster restore` cuts a
/// file of any size.
#[utoipa::path(
    post, path = "/v1/restore", tag = "operation", operation_id = "restore",
    request_body(content = String, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "What became of it", body = RestoreResult),
        Problems<(Admin, Query<()>, LargeBody, (Learn, Restore), Own<{ Kind::Invalid as usize }>)>,
    )
)]
pub(crate) async fn restore(
    State(api): State<Api>,
    _: Admin,
    _: Query<()>,
    body: LargeBody,
) -> Result<Response, Problem> {
    let Ok(_turn) = api.restoring().try_lock() else {
        let detail = "another backup is being put back";
        return Err(Problem::new(Kind::Busy, detail).retry_after(1));
    };
    let restored = merge(api.service(), &body.bytes).await.map_err(problem)?;
    let lists = restored.into_iter().map(|list| RestoredList {
        name: list.name.to_string(),
        restored: list.restored,
        known: list.known,
        refused: list.refused,
    });
    let lists = lists.collect();
    json::respond(StatusCode::OK, &RestoreResult { lists })
}

fn problem(error: RestoreError) -> Problem {
    match error {
        RestoreError::Archive(error) => Problem::invalid(format!("the backup: {error}")),
        RestoreError::Name(error) => Problem::invalid(error),
        RestoreError::Refused(refusal) => refusal.into(),
        RestoreError::Read(error) => error.into(),
    }
}
