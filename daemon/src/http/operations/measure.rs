//! Counts and times the calls, by the operations of the OpenAPI document: a closed set, whatever
//! clients ask for.

use crate::metrics::Operation;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use std::collections::HashMap;
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
    by_path: HashMap<String, Vec<(Method, Operation)>>,
    none: Operation,
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

    fn find(&self, request: &Request) -> &Operation {
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
        let found = methods.and_then(|methods| methods.iter().find(|(of, _)| of == method));
        found.map_or(&self.0.none, |(_, operation)| operation)
    }
}

fn methods(item: &PathItem) -> Vec<(Method, Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    let named = |(method, operation): (Method, &Option<utoipa::openapi::path::Operation>)| {
        Some((
            method,
            Operation::new(operation.as_ref()?.operation_id.as_deref()?),
        ))
    };
    all.into_iter().filter_map(named).collect()
}

/// The middleware: around everything that is served.
pub(crate) async fn measure(
    State(operations): State<Operations>,
    request: Request,
    next: Next,
) -> Response {
    let (operation, begun) = (operations.find(&request), Instant::now());
    let response = next.run(request).await;
    operation.answered(response.status().as_u16(), begun.elapsed());
    response
}
