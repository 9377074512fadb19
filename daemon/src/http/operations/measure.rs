//! Counts and times the calls, by the operations of the OpenAPI document: a closed set, whatever
//! clients ask for. Builds with assertions check that a problem which is answered is in the document.

use crate::http::operations::openapi::declared;
use crate::http::problem::Kind;
use crate::metrics::Operation;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::PathItem;

/// The operation that requests are counted as which match none.
const NONE: &str = "none";

/// All operations. Clones share them.
#[derive(Clone)]
pub(crate) struct Operations(Arc<Inner>);

struct Inner {
    /// By path; a path has few methods.
    by_path: HashMap<String, Vec<Known>>,
    none: Operation,
}

/// An operation of the document.
struct Known {
    method: Method,
    operation: Operation,
    /// The kinds of problems that it may be answered with.
    problems: BTreeSet<Kind>,
}

impl Known {
    /// Whether an answer is one that the document tells of. By TCP also a call that takes no body is
    /// refused one that is not declared as JSON.
    fn has_declared(&self, response: &Response) -> bool {
        let kind = response.extensions().get::<Kind>();
        kind.is_none_or(|kind| *kind == Kind::MediaType || self.problems.contains(kind))
    }
}

impl Operations {
    /// Those of a document. Their series are exported from here on.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let by_path = document
            .paths
            .paths
            .iter()
            .map(|(path, item)| (path.clone(), methods(item)))
            .collect();
        Self(Arc::new(Inner {
            by_path,
            none: Operation::new(NONE),
        }))
    }

    fn find(&self, request: &Request) -> Option<&Known> {
        // Whoever serves GET answers HEAD, too.
        let method = if request.method() == Method::HEAD {
            &Method::GET
        } else {
            request.method()
        };
        let methods = request
            .extensions()
            .get::<MatchedPath>()
            .and_then(|path| self.0.by_path.get(path.as_str()));
        methods?.iter().find(|known| known.method == method)
    }
}

fn methods(item: &PathItem) -> Vec<Known> {
    let all = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    let named = |(method, operation): (Method, &Option<utoipa::openapi::path::Operation>)| {
        let operation = operation.as_ref()?;
        Some(Known {
            method,
            operation: Operation::new(operation.operation_id.as_deref()?),
            problems: declared(operation),
        })
    };
    all.into_iter().filter_map(named).collect()
}

/// The middleware: around everything that is served.
pub(crate) async fn measure(
    State(operations): State<Operations>,
    request: Request,
    next: Next,
) -> Response {
    let (known, begun) = (operations.find(&request), Instant::now());
    let response = next.run(request).await;
    debug_assert!(
        known.is_none_or(|known| known.has_declared(&response)),
        "the call does not declare what it answers: {:?}",
        response.extensions().get::<Kind>()
    );
    let operation = known.map_or(&operations.0.none, |known| &known.operation);
    operation.answered(response.status().as_u16(), begun.elapsed());
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::Problem;
    use axum::response::IntoResponse;

    #[test]
    fn what_the_document_does_not_tell_of_is_found() {
        let known = Known {
            method: Method::GET,
            operation: Operation::new(NONE),
            problems: [Kind::List].into(),
        };
        let is_declared = |kind| known.has_declared(&Problem::new(kind, "x").into_response());
        assert!(is_declared(Kind::List) && !is_declared(Kind::Entry));
        assert!(known.has_declared(&Response::default()));
    }
}
