//! Requests by TCP that bear a token (RFC 6750, section 2.1): the header `Authorization`, and
//! nothing else.

use crate::http::Api;
use crate::http::connections::gate::Conn;
use crate::http::connections::serve::Reached;
use crate::http::connections::who::Caller;
use crate::http::problem::{Kind, Problem};
use crate::http::tokens::access::{Access, PROMETHEUS_SD};
use crate::metrics::{self, Rejection};
use crate::tokens::{Bearer, Scope};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;

/// Lets requests pass that need no token, or bear one that is enough.
pub(crate) async fn check(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let conn = Conn::of(request.extensions())?;
    let access = Access::of(request.method(), request.uri().path());
    let reached = request.extensions().get::<Reached>();
    if access != Access::Anyone && !api.policy().plain_tokens {
        must_be_private(reached)?;
    }
    let scopes = match access {
        Access::Anyone | Access::Page => {
            // An earlier request on the connection may have borne a token; this one speaks for the
            // far end itself.
            conn.act_as(conn.peer().clone())?;
            return Ok(next.run(request).await);
        }
        Access::Token(scopes) => scopes,
        Access::SocketOnly => &[],
    };
    let bearer = authenticate(&api, request.uri().path(), request.headers())?;
    admit(bearer.token.scope, scopes)
        .inspect_err(|_| metrics::bearer_rejected(Rejection::Scope))?;
    let (uid, token) = (bearer.token.uid, bearer.token.id);
    conn.act_as(Caller::Bearer {
        uid,
        user: conn.user(uid),
        token,
    })?;
    Ok(while_good(next.run(request).await, bearer))
}

/// Refuses what a token belongs to where others could read it, also before anybody has sent one.
fn must_be_private(reached: Option<&Reached>) -> Result<(), Problem> {
    match reached {
        Some(reached) if reached.is_readable() => Err(reject(
            Rejection::Readable,
            Kind::Forbidden,
            "without TLS whoever sees the packets could read and use the token: ask over the \
                loopback interface (a tunnel will do), or have this node set [http] tls_cert and \
                tls_key; [http] plain_tokens = true permits it as it is",
        )),
        Some(_) | None => Ok(()),
    }
}

fn authenticate(api: &Api, path: &str, headers: &HeaderMap) -> Result<Bearer, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        let words = "by TCP this needs a token (Authorization: Bearer …); `muster token create` \
            makes \
                one, and the node's unix socket needs none";
        return Err(reject(Rejection::Missing, Kind::Token, words));
    };
    let token = token_of(value, path).filter(|_| values.next().is_none());
    let malformed = || {
        reject(
            Rejection::Malformed,
            Kind::BadToken,
            "Authorization is not \
        one \"Bearer\" and a token",
        )
    };
    let bearer = api.service().tokens().bearer(token.ok_or_else(malformed)?);
    bearer.ok_or_else(|| {
        reject(
            Rejection::Unknown,
            Kind::BadToken,
            "this node has no such token, \
        or it has expired or was revoked",
        )
    })
}

fn reject(why: Rejection, kind: Kind, words: &str) -> Problem {
    metrics::bearer_rejected(why);
    Problem::new(kind, words)
}

/// The name of the scheme is caseless (RFC 9110, section 11.1). To service discovery it may be
/// missing: Prometheus up to 2.46 at least forgets it there unless `type: Bearer` is written out,
/// against its own documentation (prometheus#12762).
fn token_of<'a>(value: &'a HeaderValue, path: &str) -> Option<&'a str> {
    match value.to_str().ok()?.split_once(' ') {
        Some((scheme, token)) => scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()),
        None => value.to_str().ok().filter(|_| path == PROMETHEUS_SD),
    }
}

fn admit(scope: Scope, needed: &[Scope]) -> Result<(), Problem> {
    if needed.contains(&scope) {
        return Ok(());
    }
    let needed: Vec<&str> = needed.iter().map(|scope| scope.as_str()).collect();
    Err(Problem::new(
        Kind::Scope,
        match needed.as_slice() {
            [] => "no token allows this: it is served on the node's unix socket only".to_owned(),
            scopes => format!(
                "the token's scope is {scope}; this takes {}",
                scopes.join(" or ")
            ),
        },
    ))
}

/// Ends an endless answer when its token is good no longer. Its client sees an orderly end, and 401
/// when it comes back.
fn while_good(response: Response, bearer: Bearer) -> Response {
    let is_stream = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "text/event-stream");
    if !is_stream {
        return response;
    }
    response
        .map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(bearer.over()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_where_nobody_else_can_read_it() {
        let status = |at: &str, by_tls| {
            let at = at.parse().unwrap();
            let judged = must_be_private(Some(&Reached { at, by_tls }));
            judged.map_err(|problem| problem.status())
        };
        for loopback in [
            "127.0.0.1:1",
            "127.8.0.1:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(status(loopback, false), Ok(()), "{loopback}");
        }
        for network in ["10.0.0.7:1", "[fd00::7]:1", "[::ffff:10.0.0.7]:1"] {
            assert_eq!(status(network, false), Err(403), "{network}");
            assert_eq!(status(network, true), Ok(()), "{network}");
        }
        assert!(must_be_private(None).is_ok());
    }

    #[test]
    fn a_token_comes_as_bearer_only() {
        let token =
            |value, path| token_of(&HeaderValue::from_static(value), path).map(str::to_owned);
        for path in ["/v1/node", PROMETHEUS_SD] {
            assert_eq!(token("Bearer muster_x", path), Some("muster_x".to_owned()));
            assert_eq!(
                token("bearer  muster_x ", path),
                Some("muster_x".to_owned())
            );
            for value in ["Basic bXVzdGVyOng=", "Token muster_x"] {
                assert_eq!(token(value, path), None, "{value}");
            }
        }
        for value in ["", "Bearer", "muster_x", "Bearermuster_x"] {
            assert_eq!(token(value, "/v1/node"), None, "{value}");
        }
        assert_eq!(
            token("muster_x", PROMETHEUS_SD),
            Some("muster_x".to_owned())
        );
    }

    #[test]
    fn a_scope_that_is_too_small_is_told_what_would_do() {
        assert!(admit(Scope::Read, &[Scope::Read, Scope::Page]).is_ok());
        let problem = admit(Scope::Sd, &[Scope::Read, Scope::Page]).unwrap_err();
        assert_eq!(
            (problem.status(), problem.detail()),
            (403, "the token's scope is sd; this takes read or page")
        );
        assert_eq!(admit(Scope::Page, &[]).unwrap_err().status(), 403);
    }
}
