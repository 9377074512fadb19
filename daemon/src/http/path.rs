//! Names and ids in paths, percent-decoded and checked.

use crate::http::problem::{Kind, Problem, refuses};
use crate::tokens::TokenId;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use names::{EntryId, ListName, ProcessName};
use node::registry::LinkTarget;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pki::InvitationId;

/// What RFC 3986 leaves as it is in a path.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// `{list}` in a path.
pub(crate) struct ListPath(pub(crate) ListName);

/// `{list}` and `{id}` in a path.
pub(crate) struct EntryPath(pub(crate) ListName, pub(crate) EntryId);

/// `{member}` in a path: a name or an id, to be looked up.
pub(crate) struct MemberPath(pub(crate) String);

/// `{id}` of a token in a path.
pub(crate) struct TokenPath(pub(crate) TokenId);

/// `{id}` of an invitation in a path.
pub(crate) struct InvitationPath(pub(crate) InvitationId);

/// `{id}` of a code in a path.
pub(crate) struct CodePath(pub(crate) TokenId);

/// `{name}` in a path: a process's.
pub(crate) struct ProcessPath(pub(crate) ProcessName);

/// `{group}` in a path.
pub(crate) struct GroupPath(pub(crate) ProcessName);

/// `{other}` in a path: whom a link waits for, by name or handle.
pub(crate) struct OtherPath(pub(crate) LinkTarget);

refuses! {
    ListPath: Malformed Invalid;
    EntryPath: Malformed Invalid Entry;
    MemberPath: Malformed;
    TokenPath: Malformed NoToken;
    InvitationPath: Malformed NoInvitation;
    CodePath: Malformed NoCode;
    ProcessPath: Malformed Invalid;
    GroupPath: Malformed Invalid;
    OtherPath: Malformed Invalid;
}

async fn param<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Result<String, Problem> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    let params = params.map_err(|error| {
        Problem::malformed(format!(
            "the path is not UTF-8 when \
        decoded: {error}"
        ))
    })?;
    let value = params
        .iter()
        .find(|(given, _)| *given == name)
        .map(|(_, value)| value.to_owned());
    value.ok_or_else(|| Problem::internal(format!("a route without {name:?} asks for it")))
}

impl<S: Send + Sync> FromRequestParts<S> for ListPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = param(parts, state, "list").await?;
        ListName::new(&name).map(Self).map_err(Problem::invalid)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for EntryPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let ListPath(list) = ListPath::from_request_parts(parts, state).await?;
        let id = param(parts, state, "id").await?;
        // What is no id cannot be an entry's: not found, like an id that nobody has.
        let id = id
            .parse()
            .map_err(|error| Problem::new(Kind::Entry, error))?;
        Ok(Self(list, id))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MemberPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        param(parts, state, "member").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TokenPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = param(parts, state, "id").await?;
        // What is no id cannot be a token's.
        id.parse()
            .map(Self)
            .map_err(|()| Problem::new(Kind::NoToken, format!("no token has the id {id:?}")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InvitationPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = param(parts, state, "id").await?;
        id.parse().map(Self).map_err(|()| no_invitation(&id))
    }
}

/// The problem of an id that no invitation has.
pub(crate) fn no_invitation(id: &str) -> Problem {
    Problem::new(
        Kind::NoInvitation,
        format!("no invitation of this node has the id {id:?}"),
    )
}

impl<S: Send + Sync> FromRequestParts<S> for CodePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = param(parts, state, "id").await?;
        id.parse()
            .map(Self)
            .map_err(|()| Problem::new(Kind::NoCode, format!("no code has the id {id:?}")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ProcessPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = param(parts, state, "name").await?;
        ProcessName::new(&name).map(Self).map_err(Problem::invalid)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for GroupPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = param(parts, state, "group").await?;
        ProcessName::new(&name).map(Self).map_err(Problem::invalid)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OtherPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let other = param(parts, state, "other").await?;
        if other.contains('@') {
            return other
                .parse()
                .map(|handle| Self(LinkTarget::Handle(handle)))
                .map_err(Problem::invalid);
        }
        ProcessName::new(&other)
            .map(|name| Self(LinkTarget::Name(name)))
            .map_err(Problem::invalid)
    }
}

/// The path of an entry.
pub(crate) fn of_entry(list: &ListName, id: EntryId) -> String {
    format!(
        "/v1/lists/{}/entries/{id}",
        utf8_percent_encode(list.as_str(), UNRESERVED)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entrys_path_is_ascii_whatever_the_lists_name() {
        let list = ListName::new("Käse & Brot?").unwrap();
        assert_eq!(
            of_entry(&list, EntryId(0)),
            "/v1/lists/K%C3%A4se%20%26%20Brot%3F/entries/00000000000000000000000000"
        );
    }
}
