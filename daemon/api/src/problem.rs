//! What a client is told when a call fails: problems (RFC 9457), in one table of their kinds.

use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! kinds {
    ($($kind:ident $status:literal $slug:literal $title:literal $doc:literal)*) => {
        /// The kinds of problems; each has one status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $doc] $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Its status, the last part of its type, and its title.
            fn row(self) -> (u16, &'static str, &'static str) {
                match self {
                    $(Self::$kind => ($status, $slug, $title),)*
                }
            }
        }
    };
}

kinds! {
    Malformed 400 "malformed" "The request cannot be understood"
        "Not JSON, a wrong type, an unknown field or parameter, a bad cursor."
    Token 401 "unauthorized" "A token is needed"
        "Over TCP, without a token."
    BadToken 401 "bad-token" "The token is not valid"
        "Over TCP, with a token that is unknown, expired or revoked."
    BadCode 403 "bad-code" "The code is not valid"
        "Of a link to the page: unknown, used already, or older than a minute."
    Forbidden 403 "forbidden" "Not allowed"
        "The caller may not do this."
    Scope 403 "scope-too-small" "The token does not allow this"
        "Over TCP, with a token that allows other calls only."
    Observer 403 "observer" "The node is an observer"
        "It shows the cluster and changes nothing in it; members do."
    Path 404 "no-such-path" "There is no such path"
        "Nothing is served there."
    List 404 "no-such-list" "There is no such list"
        "The list has no live entry."
    Entry 404 "no-such-entry" "There is no such entry"
        "The entry is not there, or was deleted."
    Change 404 "no-such-change" "There is no such change"
        "The list's history has no such change."
    NoToken 404 "no-such-token" "There is no such token"
        "No token has that id."
    Process 404 "no-such-process" "There is no such process"
        "Nobody is registered under that name."
    Group 404 "no-such-group" "There is no such group"
        "Nobody is in it."
    Member 404 "no-such-member" "There is no such member"
        "Nobody of that name or id is on the roster."
    NotAway 404 "not-away" "The member is not away"
        "Nobody has declared it away, or that has ended."
    NoInvitation 404 "no-such-invitation" "There is no such invitation"
        "No invitation of this node has that id."
    NoSuchAuthority 404 "no-such-authority" "There is no such authority"
        "None of that name or key, below the cluster's own, has signed what this node knows."
    NoCode 404 "no-such-code" "There is no such code"
        "It was used, or is older than a minute."
    NotQuarantined 404 "not-quarantined" "The list is not quarantined"
        "It takes changes as any list, or is not here."
    Method 405 "method-not-allowed" "The path has no such method"
        "`Allow` names those that it has."
    Slow 408 "body-too-slow" "The body did not arrive in time"
        "The client took longer than the limit to send it."
    Deleted 409 "deleted" "The entry was deleted"
        "An entry of this id was deleted since it was added."
    Settled 409 "settled" "The field has one value"
        "Nothing was written apart in it, or somebody has settled it."
    Reachable 409 "reachable" "The member is reachable"
        "Only a member that is gone can be forgotten, or declared away."
    NoMajority 409 "no-majority" "The node does not reach a majority"
        "Of the members that are not away; `force=true` does it all the same."
    OnlyHere 409 "only-here" "Lists are on this node only"
        "Leaving now would take them along."
    Held 409 "held" "The name is held"
        "A reachable other process has it: `holder` since `since`."
    Elsewhere 409 "elsewhere" "The process runs on another node"
        "This can be done there only: on `node`."
    Reported 409 "already-reported" "It was reported already"
        "How that process ends was told before."
    NoListener 409 "no-listener" "The node has no TCP listener"
        "The page is served by TCP only; `[http] listen` makes a listener."
    NoAuthority 409 "no-authority" "The node is no authority"
        "Only a node with a key that signs can do this; the detail names those that this node knows."
    SeveralAuthorities 409 "several-authorities" "Several authorities have that name"
        "The detail names their keys, of which one is to be given."
    Unsigned 409 "unsigned" "The statement is not signed as it must be"
        "Nobody who may say that has signed it: an authority, or the cluster's own to withdraw one."
    NoHolder 409 "no-holder" "No connected member has the list"
        "Nothing was changed: the list could be taken from nobody."
    Unconfirmed 409 "unconfirmed" "Only this node has some of the list's changes"
        "Nothing was changed; `force=true` does it all the same, and puts them aside in a file."
    StillDamaged 409 "still-damaged" "The list's document cannot be made"
        "It stays in quarantine; the detail says why."
    NoRenewal 409 "no-renewal" "The certificate cannot be renewed"
        "Nobody who could sign answers, or its files are not this node's to write."
    OtherNode 409 "other-node" "Another node answers"
        "The link is of a node with another id."
    Stale 412 "stale" "It was changed in between"
        "`If-Match` names an older state."
    TooLarge 413 "too-large" "Too large"
        "A body over its limit, or a change that peers would refuse."
    Configuration 422 "configuration" "The configuration has a mistake"
        "Of the file or the certificates; nothing was changed."
    MediaType 415 "not-json" "The body is not declared as JSON"
        "Over TCP, a body whose content type is another one."
    Invalid 422 "invalid" "Invalid value"
        "A field's limit, no such date, an unknown `before`."
    TooMany 429 "too-many" "Too many at once"
        "The caller's user has too many connections, streams, tokens, codes or names of processes."
    Internal 500 "internal" "The daemon failed"
        "A bug of the daemon; its log tells more."
    Busy 503 "busy" "The node is busy"
        "Too much is waiting, or the node is stopping; nothing was changed."
    Full 503 "full" "The node has no room"
        "A bound of the node is reached; nothing was changed."
    NotReady 503 "not-ready" "The node is not ready"
        "It cannot do its work now; the detail says why."
    Store 503 "store-unavailable" "The store is not available"
        "The disk failed; nothing was changed."
    Quarantined 503 "quarantined" "The list is quarantined"
        "Its document cannot be made; it is readable but takes no changes. `GET /v1/quarantine/{list}` says why."
    Unknown 503 "outcome-unknown" "The outcome is unknown"
        "The commit failed half-way: retry with the same id."
    Deadline 504 "deadline" "The deadline passed"
        "Nothing was changed."
    DiskFull 507 "disk-full" "The disk is full"
        "Nothing was changed."
}

impl Kind {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.row().0
    }

    /// The `type` of the problem.
    pub fn uri(self) -> String {
        format!("/problems/{}", self.row().1)
    }

    /// The kind in words.
    pub fn title(self) -> &'static str {
        self.row().2
    }

    /// The kind of that `type`, if this version knows it.
    pub fn of(uri: &str) -> Option<Self> {
        let slug = uri.strip_prefix("/problems/")?;
        let mut all = Self::ALL.iter().copied();
        all.find(|kind| kind.row().1 == slug)
    }
}

/// A problem as it is written.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Problem {
    /// `/problems/` and a word that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words; constant.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong in this call: the field, the value, and what would be right.
    pub detail: String,
    /// What some kinds say beside the words.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What some kinds of problems say beside the words.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[schema(as = ProblemDetails)]
pub struct Extra {
    /// The handle of the process that has the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub holder: Option<String>,
    /// Since when it has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub since: Option<Millis>,
    /// The node on which to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub node: Option<String>,
    /// How many there are of what is bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub count: Option<u64>,
    /// How many there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub limit: Option<u64>,
}

impl Problem {
    /// The kind, if this version knows it.
    pub fn known_kind(&self) -> Option<Kind> {
        Kind::of(&self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_a_slug_of_its_own() {
        let slugs: BTreeSet<String> = Kind::ALL.iter().map(|kind| kind.uri()).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert_eq!(Kind::of(&kind.uri()), Some(*kind));
        }
    }

    #[test]
    fn a_problem_of_a_newer_version_is_read() {
        let newer = r#"{"type":"/problems/tired","title":"Tired","status":503,"detail":"x","until":"noon"}"#;
        let problem: Problem = serde_json::from_str(newer).unwrap();
        assert_eq!((problem.status, problem.known_kind()), (503, None));
    }
}
