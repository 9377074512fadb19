//! `/v1/web`: how the page in a browser gets its token. `muster web` has a code made, on the unix
//! socket; the link that it prints carries the code in its fragment, which browsers send nowhere;
//! the page trades it for a token.

use crate::http::Api;
use crate::http::connections::serve::Reached;
use crate::http::connections::who::{Caller, OnThisHost};
use crate::http::json::{self, Json};
use crate::http::operations::openapi::Problems;
use crate::http::path::CodePath;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::time::Timeout;
use crate::http::tokens::{RevokeError, created, unkept, within};
use crate::service::TcpListening;
use crate::tokens::{CodeError, CreateError, Scope};
use api::time::Millis;
use api::tokens::{CreatedToken, PageCode, PageCodeState, PageCodeTrade};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Makes a link that opens the page for the caller's user, by a code that can be used once, within
/// 60 s. On the unix socket only.
#[utoipa::path(
    post, path = "/v1/web/codes", tag = "page", operation_id = "create_code",
    responses((status = 201, description = "Made", body = PageCode), Problems<(OnThisHost, Query<()>, Own<{ Kind::NoListener as usize }>)>)
)]
pub(crate) async fn create(
    State(api): State<Api>,
    OnThisHost { uid, .. }: OnThisHost,
    _: Query<()>,
) -> Result<Response, Problem> {
    let listener = match api.service().listening().now() {
        TcpListening::At(at) | TcpListening::Elsewhere { at, .. } => at,
        TcpListening::Unwanted | TcpListening::Unserved(_) => {
            return Err(Problem::new(
                Kind::NoListener,
                "the page is served by TCP, and this node has no listener: set [http] listen, and \
                 restart musterd",
            ));
        }
        TcpListening::Failed { address, reason } => {
            return Err(Problem::new(
                Kind::NoListener,
                format!(
                    "the page is served by TCP, and this node cannot listen at {address}: {reason}"
                ),
            ));
        }
    };
    let place = place(&api, listener)?;
    let made = api.service().tokens().codes().create(uid)?;
    let url = format!("{place}/#code={}.{}", made.text, api.service().info().id);
    let shown = PageCode {
        id: made.id.to_string(),
        code: made.text,
        url,
        expires_at: Millis(made.expires_ms),
    };
    json::respond(StatusCode::CREATED, &shown).map(unkept)
}

/// Where a browser finds the page. A certificate is for a name, which is that by which browsers may
/// reach the listener.
fn place(api: &Api, listener: SocketAddr) -> Result<String, Problem> {
    let (policy, by_tls) = (api.policy(), api.service().is_tls());
    let at = reachable(listener);
    let reached = Reached { at, by_tls };
    if reached.is_readable() && !policy.plain_tokens {
        return Err(Problem::new(
            Kind::NoListener,
            format!(
                "the page is served at {at} by plain HTTP, which takes no tokens there: set [http] \
                tls_cert and tls_key, or listen on the loopback address"
            ),
        ));
    }
    let named = policy
        .hosts
        .first()
        .filter(|_| by_tls && !listener.ip().to_canonical().is_loopback());
    let host = named.map_or_else(|| at.to_string(), |name| format!("{name}:{}", at.port()));
    Ok(format!("{}://{host}", api.service().scheme()))
}

/// Where a browser on this host finds the listener: one that listens on all addresses is found on
/// the loopback.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// Whether a code of the caller's is still to be used: 404 once it was traded, or is older than 60
/// s. On the unix socket only.
#[utoipa::path(
    get, path = "/v1/web/codes/{id}", tag = "page", operation_id = "code",
    params(("id" = String, Path, description = "The code's id")),
    responses((status = 200, description = "It waits to be used", body = PageCodeState), Problems<(OnThisHost, CodePath, Query<()>)>)
)]
pub(crate) async fn show(
    State(api): State<Api>,
    OnThisHost { uid, .. }: OnThisHost,
    CodePath(id): CodePath,
    _: Query<()>,
) -> Result<Response, Problem> {
    if !api.service().tokens().codes().waits(id, uid) {
        return Err(Problem::new(
            Kind::NoCode,
            format!(
                "no code of yours with the id {id} waits to \
            be used"
            ),
        ));
    }
    json::respond(StatusCode::OK, &PageCodeState { id: id.to_string() })
}

/// Trades the code of a link for a token of the scope `page` that acts for the user who had the
/// link made, for 12 hours. By TCP it needs no token, only the code, which it ends whatever comes
/// of it.
#[utoipa::path(
    post, path = "/v1/web/token", tag = "page", operation_id = "trade_code", params(Query<(Timeout,)>), request_body = PageCodeTrade,
    responses(
        (status = 201, description = "Made, and on the disk", body = CreatedToken),
        Problems<(Query<(Timeout,)>, Json<PageCodeTrade>, CreateError, Own<{ Kind::BadCode as usize }>, Own<{ Kind::OtherNode as usize }>)>,
    )
)]
pub(crate) async fn trade(
    State(api): State<Api>,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
    Json(body): Json<PageCodeTrade>,
) -> Result<Response, Problem> {
    must_be_meant(&api, body.node.as_deref())?;
    let tokens = api.service().tokens();
    let uid = tokens.codes().spend(&body.code).ok_or_else(|| {
        Problem::new(
            Kind::BadCode,
            "the code is unknown, was used already, or is older than a \
            minute; `muster web` prints a new link",
        )
    })?;
    // People look at a page for a working day; whoever leaves earlier ends the session.
    let (token, text) = within(
        timeout,
        tokens.create(uid, Scope::Page, Scope::Page.max_ttl()),
    )
    .await??;
    json::respond(StatusCode::CREATED, &created(token, text)).map(unkept)
}

/// A link leads to an address, at which another node may answer by now.
fn must_be_meant(api: &Api, node: Option<&str>) -> Result<(), Problem> {
    let info = api.service().info();
    match node {
        Some(id) if id != info.id.to_string() => Err(Problem::new(
            Kind::OtherNode,
            format!(
                "the link is of the node with the id {id:?}, and here is {} with the id {}",
                info.name, info.id
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

/// Revokes the token that this request bears, which ends the page's session. By TCP only.
#[utoipa::path(
    delete, path = "/v1/web/token", tag = "page", operation_id = "end_session", params(Query<(Timeout,)>),
    responses((status = 204, description = "Revoked"), Problems<(Query<(Timeout,)>, RevokeError)>)
)]
pub(crate) async fn end(
    State(api): State<Api>,
    caller: Caller,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
) -> Result<StatusCode, Problem> {
    let Caller::Bearer { token, .. } = caller else {
        return Err(Problem::new(
            Kind::Forbidden,
            "only a request by TCP that bears a token can \
            end it",
        ));
    };
    within(timeout, api.service().tokens().revoke(token))
        .await?
        .map_err(RevokeError)?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<CodeError> for Problem {
    fn from(error: CodeError) -> Self {
        match &error {
            CodeError::UserFull(_) | CodeError::Full => {
                Self::new(Kind::TooMany, error).retry_after(60)
            }
            CodeError::Random(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_an_address_that_a_browser_can_reach() {
        let link = |listener: &str| reachable(listener.parse().unwrap()).to_string();
        assert_eq!(link("127.0.0.1:6879"), "127.0.0.1:6879");
        assert_eq!(link("10.0.0.7:6879"), "10.0.0.7:6879");
        assert_eq!(link("0.0.0.0:6879"), "127.0.0.1:6879");
        assert_eq!(link("[::]:6879"), "[::1]:6879");
    }
}
