//! What all calls that change a list have in common: preconditions, replicas, deadlines, and how
//! they are answered.

use crate::http::Api;
use crate::http::connections::who::Caller;
use crate::http::json;
use crate::http::lists::shown;
use crate::http::problem::{Kind, Problem, refuses};
use crate::http::query::Group;
use crate::http::time::Timeout;
use crate::machines::AskError;
use api::lists::{
    AddedEntryOrEntries, ChangedEntries, DeleteResult, MergedDocument, ReplicaConfirmations,
    TodoEntry, UndoResult, WriteQuery,
};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use crdt::entry::{Author, Edit, Entry};
use crdt::list::Undone;
use names::{ChangeHash, ListId, ListName};
use node::lists::{Confirmations, Edited, Precondition, Refusal, Replicas, ask};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, IntoResponses};

/// The header that names the change that a write made.
pub(crate) static MUSTER_CHANGE: HeaderName = HeaderName::from_static("muster-change");

/// How much longer than the client's deadline we wait for the machine, which keeps that deadline
/// itself: only a disk that does not answer makes it miss.
const GRACE: Duration = Duration::from_secs(1);

/// What a client may say beside the change itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    replicas: Option<Replicas>,
    timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            replicas: None,
            timeout: Timeout::default().0,
        }
    }
}

impl Options {
    /// How long to wait.
    pub(crate) fn timeout(self) -> Duration {
        self.timeout
    }
}

impl Group for Options {
    type Written = WriteQuery;

    fn check(written: WriteQuery) -> Result<Self, Problem> {
        let replicas = written
            .replicas
            .as_deref()
            .map(parse_replicas)
            .transpose()?;
        let Timeout(timeout) = Timeout::read(written.timeout.as_deref())?;
        Ok(Self { replicas, timeout })
    }
}

fn parse_replicas(text: &str) -> Result<Replicas, Problem> {
    match text {
        "majority" => Ok(Replicas::Majority),
        "all" => Ok(Replicas::All),
        _ => match text.parse() {
            Ok(count @ 1..) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Replicas::Count(count))
            }
            Ok(_) | Err(_) => Err(Problem::invalid(format!(
                "\"replicas\" is {text:?}; it must be a number of nodes from 1, majority or all"
            ))),
        },
    }
}

/// An entity tag, as `ETag` and `If-Match` write it.
pub(crate) fn etag(tag: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{tag:016x}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// A precondition.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IfMatchHeader {
    /// Only if the addressed thing (on adding: the list) has one of these tags, as this node has
    /// seen it.
    #[param(rename = "If-Match", value_type = Option<String>)]
    pub(crate) if_match: Option<IfMatch>,
}

refuses! { IfMatchHeader: Malformed Stale; }

impl<S: Sync> FromRequestParts<S> for IfMatchHeader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let if_match = IfMatch::of(&parts.headers)?;
        Ok(Self { if_match })
    }
}

/// An `If-Match` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// `*`: it must exist.
    Any,
    /// It must have one of these tags. Tags that are not ours match nothing and are not here.
    Tags(Vec<u64>),
}

impl IfMatch {
    /// Reads the header (RFC 9110, section 13.1.1); weak tags never match.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        if !headers.contains_key(header::IF_MATCH) {
            return Ok(None);
        }
        let mut tags = Vec::new();
        for value in headers.get_all(header::IF_MATCH) {
            let text = value.to_str().map_err(|_| bad_if_match())?.trim();
            if text == "*" {
                return Ok(Some(Self::Any));
            }
            for tag in text.split(',') {
                tags.extend(parse_tag(tag.trim())?);
            }
        }
        Ok(Some(Self::Tags(tags)))
    }

    /// The precondition that the machine is to check, given what this node has now (`None`:
    /// nothing): of several tags the one that fits now, since the machine compares one.
    pub(crate) fn resolve(&self, now: Option<u64>) -> Result<u64, Problem> {
        let stale = || {
            Problem::new(
                Kind::Stale,
                "If-Match names a state that is not the present \
            one",
            )
        };
        let now = now.ok_or_else(stale)?;
        match self {
            Self::Any => Ok(now),
            Self::Tags(tags) if tags.contains(&now) => Ok(now),
            Self::Tags(_) => Err(stale()),
        }
    }
}

fn bad_if_match() -> Problem {
    Problem::malformed("If-Match is not * or a list of tags in double quotes")
}

fn parse_tag(text: &str) -> Result<Option<u64>, Problem> {
    let quoted = text.strip_prefix("W/").unwrap_or(text);
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .ok_or_else(bad_if_match)?;
    let ours = text.starts_with('"') && inner.len() == 16 && !inner.starts_with('+');
    Ok(u64::from_str_radix(inner, 16).ok().filter(|_| ours))
}

/// What a write came to.
#[derive(Debug)]
pub(crate) struct Written {
    /// The change that it made; `None` for a retry that found everything there.
    pub(crate) change: Option<ChangeHash>,
    /// The entries that it added or changed.
    pub(crate) entries: Vec<Arc<Entry>>,
    /// What became of undoing a change, if that was asked for.
    pub(crate) undone: Option<Box<Undone>>,
    replicas: Option<Confirmations>,
}

impl Api {
    /// Has a change of a list made.
    pub(crate) async fn write(
        &self,
        caller: &Caller,
        list: ListName,
        edit: Edit,
        expect: Option<Precondition>,
        options: Options,
    ) -> Result<Written, Problem> {
        let by = caller.author(&self.service().info().name);
        self.write_by(caller, by, list, (edit, expect), options)
            .await
    }

    /// The same for what others have written and the caller brings.
    pub(crate) async fn write_via(
        &self,
        caller: &Caller,
        list: ListName,
        edit: Edit,
        expect: Option<Precondition>,
        options: Options,
    ) -> Result<Written, Problem> {
        let Author(caller_name) = caller.author(&self.service().info().name);
        let by = Author(format!("via {caller_name}"));
        self.write_by(caller, by, list, (edit, expect), options)
            .await
    }

    async fn write_by(
        &self,
        caller: &Caller,
        by: Author,
        list: ListName,
        (edit, expect): (Edit, Option<Precondition>),
        options: Options,
    ) -> Result<Written, Problem> {
        if self.is_leaving() {
            return Err(Problem::new(
                Kind::Busy,
                "this node is leaving the cluster and takes no \
                changes",
            )
            .retry_after(1));
        }
        if matches!(edit, Edit::Add(_) | Edit::Merge(_)) {
            self.check_name(&list).await?;
        }
        let counted = self.count_written(caller, &edit)?;
        let (id, timeout) = (ListId::of(&list), options.timeout);
        let question = ask::Edit {
            list,
            edit,
            expect,
            replicas: options.replicas,
            timeout,
        };
        let asked = self.service().ask_owner(id, by, question);
        let Edited {
            change,
            entries,
            undone,
            replicas,
        } = in_time(timeout, asked)
            .await
            .inspect_err(|problem| self.count_unwritten(counted, problem))?;
        Ok(Written {
            change,
            entries,
            undone,
            replicas,
        })
    }
}

impl Api {
    /// Checks that entries may be added by that name: to a list that is there always, to a new one if
    /// people can tell its name from others.
    async fn check_name(&self, list: &ListName) -> Result<(), Problem> {
        let twins = list.twins();
        let wrong = list.check_new().err();
        let is_foreign = list.has_joiners() && self.service().info().accepts_v1;
        if (twins.is_empty() && wrong.is_none() && !is_foreign) || self.has_list(list).await? {
            return Ok(());
        }
        if let Some(wrong) = wrong {
            return Err(Problem::invalid(wrong));
        }
        if is_foreign {
            return Err(Problem::invalid(format!(
                "the list name {:?} has a joiner, which members of protocol 1 do not know",
                list.as_str()
            )));
        }
        for twin in twins {
            if self.has_list(&twin).await? {
                return Err(Problem::invalid(format!(
                    "the list name {:?} looks like that of the list {:?}, which is there",
                    list.as_str(),
                    twin.as_str()
                )));
            }
        }
        Ok(())
    }

    async fn has_list(&self, list: &ListName) -> Result<bool, Problem> {
        Ok(self.row(ListId::of(list)).await?.is_some())
    }
}

/// Waits for an answer of the lists machines, which know the deadline; never much longer than
/// `timeout`.
pub(crate) async fn in_time<T>(
    timeout: Duration,
    asked: impl Future<Output = Result<T, AskError<Refusal>>>,
) -> Result<T, Problem> {
    match tokio::time::timeout(timeout + GRACE, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Refusal::Unknown(node::wire::WriteError::Failed).into()),
    }
}

impl Written {
    /// What became of waiting for replicas, if that was asked for.
    pub(crate) fn replicas(&self) -> Option<ReplicaConfirmations> {
        self.replicas.as_ref().map(shown::replicas)
    }

    /// The status: `done`, unless replicas were asked for and the deadline passed first.
    pub(crate) fn status(&self, done: StatusCode) -> StatusCode {
        match &self.replicas {
            Some(replicas) if !replicas.reached => StatusCode::ACCEPTED,
            _ => done,
        }
    }

    /// A response with that body, naming the change.
    pub(crate) fn respond(
        &self,
        done: StatusCode,
        body: &impl Serialize,
    ) -> Result<Response, Problem> {
        json::respond(self.status(done), body).map(|response| self.name_change(response))
    }

    /// The answer to a deletion: 204, or what became of the replicas if they were asked for.
    pub(crate) fn respond_gone(&self) -> Result<Response, Problem> {
        if let Some(replicas) = self.replicas() {
            return self.respond(StatusCode::OK, &DeleteResult { replicas });
        }
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(self.name_change(response))
    }

    fn name_change(&self, mut response: Response) -> Response {
        let value = self
            .change
            .and_then(|change| HeaderValue::from_str(&change.to_string()).ok());
        value.map(|value| response.headers_mut().insert(MUSTER_CHANGE.clone(), value));
        response
    }
}

/// The answers to adding.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "describes answers whose status and headers differ"
)]
pub(crate) enum AddAnswers {
    /// Added. One entry has an `ETag` and a `Location`.
    #[response(status = 201, headers(("Muster-Change" = String, description = "The hash of the change")))]
    Created(AddedEntryOrEntries),
    /// A retry: everything was there already and is as it is now.
    #[response(status = 200)]
    Retried(AddedEntryOrEntries),
    /// Added and durable here, but the deadline passed before enough replicas confirmed.
    #[response(status = 202, headers(("Muster-Change" = String, description = "The hash of the change")))]
    Waiting(AddedEntryOrEntries),
}

/// The answers to changing an entry.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "describes answers whose status and headers differ"
)]
pub(crate) enum EditAnswers {
    /// Changed.
    #[response(status = 200, headers(
        ("Muster-Change" = String, description = "The hash of the change"), ("ETag" = String, description = "The entry's new tag"),
    ))]
    Changed(TodoEntry),
    /// Changed and durable here, but the deadline passed before enough replicas confirmed.
    #[response(status = 202, headers(("Muster-Change" = String, description = "The hash of the change")))]
    Waiting(TodoEntry),
}

/// The answers to changing several entries.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "describes answers whose status and headers differ"
)]
pub(crate) enum BulkAnswers {
    /// Changed, or deleted.
    #[response(status = 200, headers(("Muster-Change" = String, description = "The hash of the change")))]
    Changed(ChangedEntries),
    /// Changed and durable here, but the deadline passed before enough replicas confirmed.
    #[response(status = 202, headers(("Muster-Change" = String, description = "The hash of the change")))]
    Waiting(ChangedEntries),
}

/// The answers to merging a document in.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "describes answers whose status and headers differ"
)]
pub(crate) enum MergeAnswers {
    /// Merged in; without a change where it brought nothing new.
    #[response(status = 200, headers(("Muster-Change" = String, description = "The hash of the change")))]
    Merged(MergedDocument),
    /// Merged in and durable here, but the deadline passed before enough replicas confirmed.
    #[response(status = 202, headers(("Muster-Change" = String, description = "The hash of the change")))]
    Waiting(MergedDocument),
}

/// The answers to deleting.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "describes answers whose status and headers differ"
)]
pub(crate) enum DeleteAnswers {
    /// Deleted.
    #[response(status = 204, headers(("Muster-Change" = String, description = "The hash of the change")))]
    Deleted,
    /// Deleted; only with `replicas`.
    #[response(status = 200, headers(("Muster-Change" = String, description = "The hash of the change")))]
    Confirmed(DeleteResult),
    /// Deleted and durable here, but the deadline passed before enough replicas confirmed.
    #[response(status = 202, headers(("Muster-Change" = String, description = "The hash of the change")))]
    Waiting(DeleteResult),
}

/// The answers to undoing.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "describes answers whose status and headers differ"
)]
pub(crate) enum UndoAnswers {
    /// Undone as far as it was not changed since.
    #[response(status = 200, headers(("Muster-Change" = String, description = "The hash of the new change")))]
    Undone(UndoResult),
    /// The same, durable here, but the deadline passed before enough replicas confirmed.
    #[response(status = 202, headers(("Muster-Change" = String, description = "The hash of the new change")))]
    Waiting(UndoResult),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(values: &[&'static str]) -> Result<Option<IfMatch>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_static(value));
        }
        IfMatch::of(&headers)
    }

    #[test]
    fn a_tag_reads_back_as_it_is_written() {
        assert_eq!(etag(0xab), "\"00000000000000ab\"");
        assert_eq!(
            if_match(&["\"00000000000000ab\""]).unwrap(),
            Some(IfMatch::Tags(vec![0xab]))
        );
    }

    #[test]
    fn of_several_tags_one_must_fit() {
        let tags = if_match(&["\"0000000000000001\", \"0000000000000002\"", "\"other\""])
            .unwrap()
            .unwrap();
        assert_eq!(tags.resolve(Some(2)).unwrap(), 2);
        assert_eq!(tags.resolve(Some(3)).unwrap_err().status(), 412);
        assert_eq!(tags.resolve(None).unwrap_err().status(), 412);
    }

    #[test]
    fn a_star_fits_whatever_exists() {
        let any = if_match(&["*"]).unwrap().unwrap();
        assert_eq!(any.resolve(Some(9)).unwrap(), 9);
        assert_eq!(any.resolve(None).unwrap_err().status(), 412);
    }

    #[test]
    fn weak_and_foreign_tags_fit_nothing_and_bare_words_are_refused() {
        for value in ["W/\"0000000000000001\"", "\"1\"", "\"+000000000000001\""] {
            assert_eq!(
                if_match(&[value]).unwrap(),
                Some(IfMatch::Tags(vec![])),
                "{value}"
            );
        }
        for value in ["abc", "", "\"a"] {
            assert_eq!(if_match(&[value]).unwrap_err().status(), 400, "{value}");
        }
        assert_eq!(if_match(&[]).unwrap(), None);
    }

    #[test]
    fn replicas_are_a_number_or_a_word() {
        assert_eq!(parse_replicas("2").unwrap(), Replicas::Count(2));
        assert_eq!(parse_replicas("majority").unwrap(), Replicas::Majority);
        assert_eq!(parse_replicas("all").unwrap(), Replicas::All);
        for text in ["0", "-1", "+1", "x", "", "1.5"] {
            assert_eq!(parse_replicas(text).unwrap_err().status(), 422, "{text}");
        }
    }
}
