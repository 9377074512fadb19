//! The OpenAPI document, made from the routes themselves, and the parts of it that several calls
//! share.

use crate::http::problem::Kind;
use crate::http::tokens::access::Access;
use api::lists::{AddedEntryOrEntries, DeleteResult, EntryStateFilter, TodoEntry};
use api::problem::Problem;
use axum::http::Method;
use bytes::Bytes;
use std::collections::BTreeMap;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Paths, Ref, RefOr};
use utoipa::{IntoParams, IntoResponses, OpenApi};

/// What the document says beside the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Muster",
        description = "A cluster of hosts, its to-do lists and the processes that are registered \
            on it. All of it is served on the node's \
            unix socket; the TCP listener serves the page at /, /metrics, /healthz, /readyz and \
            this document to anyone, the two routes of the example in *Elixir in Action* if it \
            is open, and the rest to those that bear a token whose scope allows the call (see \
            `security` at each). All other calls \
            are served on the unix socket only. A request's body must be declared as JSON by TCP; \
            the socket reads any.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "http://muster", description = "The unix socket: curl --unix-socket \
        /run/muster/muster.sock http://muster/v1/node")),
    components(schemas(Problem, AddedEntryOrEntries, DeleteResult, EntryStateFilter)),
    tags(
        (name = "node and cluster", description = "This node, its members, and how much of the \
            cluster it reaches"),
        (name = "to-do lists", description = "Lists that are the same on every node"),
        (name = "processes", description = "Names and groups of processes on all nodes, and what \
            becomes of them"),
        (name = "tokens", description = "For programs that use the API by TCP"),
        (name = "page", description = "How the page in a browser gets its token: `GET /` by TCP \
            is the page itself"),
        (name = "operation", description = "For monitoring"),
        (name = "example", description = "The two routes of the example in *Elixir in Action*, its to-do server, on an open TCP listener only"),
        (name = "development", description = "Only in a daemon started with --dev-faults")
    )
)]
pub(crate) struct Document;

/// The name of the security scheme.
const TOKEN: &str = "token";

/// The document as JSON.
pub(crate) fn render(paths: utoipa::openapi::OpenApi) -> Bytes {
    let mut document = Document::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.merge(paths);
    add_common(&mut document.paths);
    add_scheme(&mut document);
    Bytes::from(document.to_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document cannot be written");
        String::from("{}")
    }))
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident: $($kind:ident)*;)*) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    problems(&[$(Kind::$kind),*])
                }
            }
        )*
    };
}

problems! {
    /// Of calls that take no parameters.
    PlainProblems: Malformed;
    /// Of pages of things in memory.
    PageProblems: Malformed Invalid;
    /// Of pages of things on the disk.
    ScanProblems: Malformed Invalid Store Busy;
    /// Of a list's entries.
    EntriesProblems: Malformed List Change Invalid Store Busy Quarantined Unknown Deadline;
    /// Of the members of a group.
    GroupProblems: Malformed Group Invalid;
    /// Of one list.
    ListProblems: Malformed List Invalid Store;
    /// Of one entry.
    EntryProblems: Malformed Entry Invalid Store;
    /// Of adding entries.
    AddProblems: Malformed Slow Deleted Stale TooLarge Invalid Store Busy Quarantined Unknown Deadline DiskFull;
    /// Of changing an entry.
    EditProblems: Malformed List Entry Slow Stale TooLarge Invalid Store Busy Quarantined Unknown Deadline DiskFull;
    /// Of deleting an entry or a list.
    DeleteProblems: Malformed List Entry Stale TooLarge Invalid Store Busy Quarantined Unknown Deadline DiskFull;
    /// Of adding an entry by the route of *Elixir in Action*.
    BookProblems: Malformed TooLarge Invalid Store Busy Quarantined Unknown Deadline DiskFull;
    /// Of the stream of a list.
    WatchProblems: Malformed List Invalid TooMany Store;
    /// Of other streams.
    StreamProblems: Malformed Invalid TooMany;
    /// Of joining.
    JoinProblems: Malformed Forbidden Slow TooLarge Invalid Store Busy Unknown DiskFull;
    /// Of leaving.
    LeaveProblems: Malformed Forbidden OnlyHere Invalid Store Busy Unknown Deadline DiskFull;
    /// Of forgetting a member.
    ForgetProblems: Malformed Forbidden Member Reachable Invalid Store Busy Unknown DiskFull;
    /// Of reloading.
    ReloadProblems: Malformed Forbidden Configuration;
    /// Of making rows anew.
    RebuildProblems: Malformed Forbidden List Invalid Store Quarantined Busy Unknown Deadline DiskFull;
    /// Of changing what is logged.
    SetLevelProblems: Malformed Forbidden Slow TooLarge Invalid;
    /// Of logging again what the configuration says.
    ResetLevelProblems: Malformed Forbidden;
    /// Of what a maintainer needs to see.
    DebugProblems: Malformed Forbidden;
    /// Of an examination.
    DoctorProblems: Malformed Forbidden Busy;
    /// Of service discovery.
    SdProblems: Malformed Invalid;
    /// Of making a token.
    CreateTokenProblems: Malformed Slow TooLarge Invalid TooMany Store Unknown DiskFull;
    /// Of revoking a token.
    RevokeProblems: Malformed Forbidden NoToken Invalid Store Unknown DiskFull;
    /// Of making a link to the page.
    CodeProblems: Malformed Forbidden NoListener TooMany;
    /// Of asking after a link.
    CodeStateProblems: Malformed Forbidden NoCode;
    /// Of trading a code for a token.
    TradeProblems: Malformed BadCode Slow TooLarge Invalid TooMany Store Unknown DiskFull;
    /// Of ending the page's session.
    EndProblems: Malformed Forbidden Invalid Store Unknown DiskFull;
    /// Of looking a process up.
    ProcessProblems: Malformed Process Invalid;
    /// Of registering a process.
    RegisterProblems: Malformed Forbidden Held Slow TooLarge Invalid Store Busy Full Unknown DiskFull;
    /// Of changing what a process of this node is registered with.
    OwnProcessProblems: Malformed Forbidden Process Member Elsewhere Invalid Store Busy Full Unknown DiskFull;
    /// Of reporting how a process of this node ended.
    ReportProblems: Malformed Forbidden Process Elsewhere Reported Slow TooLarge Invalid Store Busy Unknown DiskFull;
    /// Of the links of a process of this node.
    LinksProblems: Malformed Process Elsewhere Invalid Busy Unknown;
    /// Of the stream of a name.
    MonitorProblems: Malformed Process Invalid TooMany;
    /// Of the development fault.
    FaultProblems: Malformed Forbidden Path Slow TooLarge Invalid;
    /// Of the readiness check.
    ReadyProblems: NotReady;
}

/// What every call may be answered beside its own problems: who calls matters, or how many do.
fn common(access: Access, has_body: bool) -> BTreeMap<String, RefOr<Response>> {
    let by_tcp: &[Kind] = match access {
        Access::Anyone => &[Kind::Forbidden],
        Access::Token(_) | Access::SocketOnly => {
            &[Kind::Token, Kind::BadToken, Kind::Forbidden, Kind::Scope]
        }
    };
    let body: &[Kind] = if has_body { &[Kind::MediaType] } else { &[] };
    problems(&[by_tcp, body, &[Kind::TooMany, Kind::Internal]].concat())
}

/// Who may make a call: on the socket anyone at this point, by TCP those that bear a token of such
/// a scope.
fn security(access: Access) -> Vec<SecurityRequirement> {
    let on_the_socket = SecurityRequirement::default();
    match access {
        Access::Anyone | Access::SocketOnly => vec![on_the_socket],
        Access::Token(scopes) => {
            let scopes = scopes
                .iter()
                .map(|scope| SecurityRequirement::new(TOKEN, [scope.as_str()]));
            std::iter::once(on_the_socket).chain(scopes).collect()
        }
    }
}

fn add_common(paths: &mut Paths) {
    for (path, item) in &mut paths.paths {
        let operations = [
            (Method::GET, &mut item.get),
            (Method::PUT, &mut item.put),
            (Method::POST, &mut item.post),
            (Method::DELETE, &mut item.delete),
            (Method::PATCH, &mut item.patch),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            let access = Access::of(&method, path);
            operation.security = Some(security(access));
            for (status, response) in common(access, operation.request_body.is_some()) {
                operation
                    .responses
                    .responses
                    .entry(status)
                    .or_insert(response);
            }
        }
    }
}

/// Declares what `security` names.
fn add_scheme(document: &mut utoipa::openapi::OpenApi) {
    let described = "A token, as `POST /v1/tokens` on the unix socket or `muster token create` \
        makes it.";
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(described))
        .build();
    document
        .components
        .get_or_insert_default()
        .add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
}

/// Responses for these kinds of problems; those of one status are told together.
fn problems(kinds: &[Kind]) -> BTreeMap<String, RefOr<Response>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for kind in kinds {
        told.entry(kind.status().to_string())
            .or_default()
            .push(format!("`{}`: {}", kind.uri(), kind.title()));
    }
    told.into_iter()
        .map(|(status, kinds)| (status, RefOr::T(problem(&kinds.join("; ")))))
        .collect()
}

fn problem(description: &str) -> Response {
    let schema = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", schema)
        .build()
}

/// The answers to adding.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "describes answers that are written from borrowed parts"
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
    reason = "describes answers that are written from borrowed parts"
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

/// The answers to deleting.
#[derive(IntoResponses)]
#[expect(
    dead_code,
    reason = "describes answers that are written from borrowed parts"
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

/// Which page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what Page::take reads")]
pub(crate) struct PageParams {
    /// How many at most. A page of large things may have fewer.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// A list as it was.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what the call reads")]
pub(crate) struct AtParams {
    /// The hash of a change: the list as it was with that change and all that it builds upon.
    #[param(pattern = "^[0-9a-fA-F]{64}$")]
    at: Option<String>,
    /// How long to wait with `at`: `500ms`, `5s` (the default) or `2m`, at most 5 min.
    timeout: Option<String>,
}

/// How a write is confirmed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what Options::take reads")]
pub(crate) struct WriteParams {
    /// Wait until so many nodes in all have the change on disk: a number from 1, `majority` or
    /// `all` of the roster.
    replicas: Option<String>,
    /// How long to wait: `500ms`, `5s` (the default) or `2m`, at most 5 min.
    timeout: Option<String>,
}

/// How long a call may wait.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what take_timeout reads")]
pub(crate) struct TimeoutParams {
    /// How long to wait: `500ms`, `5s` (the default) or `2m`, at most 5 min.
    timeout: Option<String>,
}

/// A precondition.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what IfMatch::of reads")]
pub(crate) struct IfMatchHeader {
    /// Only if the addressed thing (on adding: the list) has one of these tags, as this node has
    /// seen it.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// Where a stream goes on.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what the streams read")]
pub(crate) struct LastEventId {
    /// The `id` of the last event that was seen: only what followed is sent. If it cannot be used,
    /// the stream begins with a snapshot, as without it.
    #[param(rename = "Last-Event-ID")]
    last_event_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::path::Path;

    fn document() -> Value {
        let (_, described) = crate::http::everything().split_for_parts();
        serde_json::from_slice(&render(described)).unwrap()
    }

    #[test]
    fn the_document_that_clients_are_made_from_is_that_of_the_routes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("api/openapi.json");
        let written = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&path, &written).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap() == written,
            "daemon/api/openapi.json differs; UPDATE_OPENAPI=1 cargo test -p muster openapi"
        );
    }

    /// All objects in it.
    fn objects(value: &Value, seen: &mut dyn FnMut(&serde_json::Map<String, Value>)) {
        match value {
            Value::Object(fields) => {
                seen(fields);
                fields.values().for_each(|value| objects(value, seen));
            }
            Value::Array(items) => items.iter().for_each(|value| objects(value, seen)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn words_are_told_as_words() {
        objects(&document(), &mut |schema| {
            let pattern = schema.get("pattern").and_then(Value::as_str);
            let pattern = pattern.unwrap_or_default();
            assert!(!pattern.starts_with("^("), "an enum is right: {pattern}");
        });
    }

    #[test]
    fn what_is_referred_to_is_there() {
        let document = document();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        objects(&document, &mut |schema| {
            let reference = schema.get("$ref").and_then(Value::as_str);
            if let Some(name) = reference.and_then(|to| to.strip_prefix("#/components/schemas/")) {
                assert!(schemas.contains_key(name), "{name}");
            }
        });
    }

    #[test]
    fn a_user_id_is_wider_than_31_bits() {
        let document = document();
        for name in ["RegisteredProcess", "TokenInfo", "CreatedToken"] {
            let uid = &document["components"]["schemas"][name]["properties"]["uid"];
            assert_eq!(uid["format"], "int64", "{name}");
        }
    }
}
