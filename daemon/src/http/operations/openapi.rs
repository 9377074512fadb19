//! The OpenAPI document, made from the routes themselves, and the parts of it that several calls
//! share.

use crate::http::observer;
use crate::http::problem::{Kind, Refuses};
use crate::http::tokens::access::Access;
use api::lists::{
    AddedEntryOrEntries, ChangedEntries, DeleteResult, EntryStateFilter, MergedDocument,
    UndoResult, WaitingFilter,
};
use api::problem::Problem;
use axum::http::Method;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Paths, Ref, RefOr};
use utoipa::{IntoResponses, OpenApi};

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
            `security` at each), over a network by TLS only. All other calls \
            are served on the unix socket only. A request's body must be declared as JSON by TCP; \
            the socket reads any.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "http://muster", description = "The unix socket: curl --unix-socket \
        /run/muster/muster.sock http://muster/v1/node")),
    components(schemas(Problem, AddedEntryOrEntries, ChangedEntries, DeleteResult, EntryStateFilter, MergedDocument, UndoResult, WaitingFilter)),
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

/// The document of these routes.
pub(crate) fn document(paths: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.merge(paths);
    add_common(&mut document.paths);
    add_scheme(&mut document);
    document
}

/// The document as JSON.
pub(crate) fn render(document: &utoipa::openapi::OpenApi) -> Bytes {
    Bytes::from(document.to_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document cannot be written");
        String::from("{}")
    }))
}

/// The problems of an operation, by what may refuse it: `Problems<(ListPath, Query<()>)>`.
pub(crate) struct Problems<S>(PhantomData<S>);

impl<S: Refuses> IntoResponses for Problems<S> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(S::kinds())
    }
}

/// What every call may be answered beside its own problems: by what the listeners check before it,
/// and by a bug.
fn common(access: Access, has_body: bool) -> Vec<Kind> {
    let token: &[Kind] = match access {
        Access::Anyone | Access::Page => &[],
        Access::Token(_) | Access::SocketOnly => &[Kind::Token, Kind::BadToken, Kind::Scope],
    };
    let body: &[Kind] = if has_body { &[Kind::MediaType] } else { &[] };
    let always = &[
        Kind::Malformed,
        Kind::Forbidden,
        Kind::TooMany,
        Kind::Internal,
    ];
    [token, body, always].concat()
}

/// The kinds of problems that an operation's responses tell of.
pub(crate) fn declared(operation: &Operation) -> BTreeSet<Kind> {
    let told = operation
        .responses
        .responses
        .values()
        .filter_map(|response| match response {
            RefOr::T(response) => Some(response.description.as_str()),
            RefOr::Ref(_) => None,
        });
    let told = told.collect::<Vec<_>>().concat();
    let is_told = |kind: &Kind| told.contains(&format!("`{}`", kind.uri()));
    Kind::ALL.iter().copied().filter(is_told).collect()
}

/// Who may make a call: on the socket anyone at this point, by TCP those that bear a token of such
/// a scope.
fn security(access: Access) -> Vec<SecurityRequirement> {
    let on_the_socket = SecurityRequirement::default();
    match access {
        Access::Anyone | Access::Page | Access::SocketOnly => vec![on_the_socket],
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
            let mut kinds = declared(operation);
            kinds.extend(common(access, operation.request_body.is_some()));
            if observer::is_refused(&method, path) {
                kinds.insert(Kind::Observer);
            }
            operation.responses.responses.extend(problems(kinds));
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
fn problems(kinds: impl IntoIterator<Item = Kind>) -> BTreeMap<String, RefOr<Response>> {
    let kinds: BTreeSet<Kind> = kinds.into_iter().collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::path::Path;

    fn document() -> Value {
        let (_, described) = crate::http::everything().split_for_parts();
        serde_json::from_slice(&render(&super::document(described))).unwrap()
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
