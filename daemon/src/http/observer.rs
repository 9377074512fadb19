//! What an observer refuses: all calls that change the cluster, its lists or its processes. It sees
//! what members see; what concerns this node alone (its log, its tokens, leaving) stays possible.

use crate::http::Api;
use crate::http::problem::{Kind, Problem};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

/// Where all that is no reading is a change.
const CHANGING: [&str; 7] = [
    "/v1/lists",
    "/v1/processes",
    "/v1/groups",
    "/v1/invitations",
    "/v1/revocations",
    "/v1/restore",
    "/add_entry",
];

/// Whether a call changes what belongs to more than this node. The path may be a request's or a route's.
pub(crate) fn is_refused(method: &Method, path: &str) -> bool {
    if method == Method::GET || method == Method::HEAD {
        return false;
    }
    let is_below = |dir: &str| {
        path.strip_prefix(dir)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let of_member = path.strip_prefix("/v1/members/");
    CHANGING.into_iter().any(is_below) || of_member.is_some_and(|rest| rest != "join")
}

/// Refuses them on an observer.
pub(crate) async fn check(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let info = api.service().info();
    if info.role.is_observer() && is_refused(request.method(), request.uri().path()) {
        let words = format!(
            "{} is an observer: it shows the cluster and changes nothing in it; ask a member",
            info.name
        );
        return Err(Problem::new(Kind::Observer, words));
    }
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observer_refuses_what_changes_more_than_itself() {
        for (method, path) in [
            (Method::POST, "/v1/lists/bob/entries"),
            (Method::PATCH, "/v1/lists/bob/entries/x"),
            (Method::DELETE, "/v1/lists/bob"),
            (Method::PUT, "/v1/processes/web"),
            (Method::PUT, "/v1/processes/web/links/db"),
            (Method::DELETE, "/v1/groups/a/web"),
            (Method::POST, "/v1/invitations"),
            (Method::DELETE, "/v1/invitations/001122334455"),
            (Method::DELETE, "/v1/members/n2"),
            (Method::POST, "/v1/members/n2/revoke"),
            (Method::POST, "/v1/revocations"),
            (Method::POST, "/v1/restore"),
            (Method::POST, "/add_entry"),
        ] {
            assert!(is_refused(&method, path), "{method} {path}");
            assert!(!is_refused(&Method::GET, path), "{path}");
        }
    }

    #[test]
    fn an_observer_is_administered_like_any_node() {
        for (method, path) in [
            (Method::POST, "/v1/members/join"),
            (Method::POST, "/v1/leave"),
            (Method::POST, "/v1/reload"),
            (Method::POST, "/v1/rebuild"),
            (Method::POST, "/v1/damage/acknowledge"),
            (Method::PUT, "/v1/log-level"),
            (Method::POST, "/v1/tokens"),
            (Method::POST, "/v1/web/codes"),
            (Method::POST, "/v1/authority/renew"),
            (Method::PUT, "/v1/debug/fault"),
        ] {
            assert!(!is_refused(&method, path), "{method} {path}");
        }
    }
}
