//! `/v1/tokens`: what programs need to use the API by TCP. Served on the unix socket only, where
//! the kernel says who asks.

pub(crate) mod access;
pub(crate) mod bearer;
pub(crate) mod web;

use crate::http::Api;
use crate::http::connections::who::{Caller, OnThisHost};
use crate::http::json::{self, Json};
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room};
use crate::http::path::TokenPath;
use crate::http::problem::{Kind, Problem, refuses};
use crate::http::query::Query;
use crate::http::time::Timeout;
use crate::tokens::{CreateError, Scope, TokenView};
use api::duration;
use api::time::Millis;
use api::tokens::{CreatedToken, NewToken, TokenInfo, TokenInfoPage};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use node::wire::WriteError;
use std::future::Future;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The shortest time to live of a token.
const MIN_TTL: Duration = Duration::from_secs(1);

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
        .routes(routes!(web::create))
        .routes(routes!(web::show))
        .routes(routes!(web::trade, web::end))
}

pub(crate) fn created(token: TokenView, text: String) -> CreatedToken {
    CreatedToken {
        id: token.id.to_string(),
        token: text,
        scope: token.scope.as_str().into(),
        uid: token.uid,
        expires_at: Millis(token.expires_ms),
    }
}

fn token_info(token: &TokenView) -> TokenInfo {
    TokenInfo {
        id: token.id.to_string(),
        scope: token.scope.as_str().into(),
        uid: token.uid,
        expires_at: Millis(token.expires_ms),
    }
}

/// Makes a token that acts for the caller's user. On the unix socket only.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "tokens", operation_id = "create_token", params(Query<(Timeout,)>), request_body = NewToken,
    responses(
        (status = 201, description = "Made, and on the disk", body = CreatedToken),
        Problems<(OnThisHost, Query<(Timeout,)>, Json<NewToken>, CreateError)>,
    )
)]
pub(crate) async fn create(
    State(api): State<Api>,
    OnThisHost { uid, .. }: OnThisHost,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
    Json(body): Json<NewToken>,
) -> Result<Response, Problem> {
    let scope = parse_scope(body.scope.as_str())?;
    let ttl = body
        .ttl
        .as_deref()
        .map_or(Ok(scope.default_ttl()), |text| parse(text, scope))?;
    let (token, text) = within(timeout, api.service().tokens().create(uid, scope, ttl)).await??;
    json::respond(StatusCode::CREATED, &created(token, text)).map(unkept)
}

/// No cache may keep what is told once.
pub(crate) fn unkept(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn parse_scope(text: &str) -> Result<Scope, Problem> {
    Scope::named(text).ok_or_else(|| {
        Problem::invalid(format!(
            "\"scope\" is {text:?}; it must be page, read or sd"
        ))
    })
}

fn parse(text: &str, scope: Scope) -> Result<Duration, Problem> {
    let max = scope.max_ttl();
    duration::parse(text)
        .filter(|ttl| (MIN_TTL..=max).contains(ttl))
        .ok_or_else(|| {
            let max = duration::write(max);
            Problem::invalid(format!(
                "\"ttl\" is {text:?}; for the scope {scope} it must be between 1s and {max}, such as 90s, 15m, 12h or 30d"
            ))
        })
}

pub(crate) async fn within<T>(
    timeout: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Problem> {
    let late = |_| {
        Problem::new(
            Kind::Unknown,
            "the deadline passed while the disk was at it; it \
        may still succeed",
        )
        .retry_after(1)
    };
    tokio::time::timeout(timeout, work).await.map_err(late)
}

/// The caller's tokens, or those of all users for those who may change the node; by id, and never
/// their texts. On the unix socket only.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "tokens", operation_id = "tokens", params(Query<(Page,)>),
    responses(
        (status = 200, description = "A page of tokens", body = TokenInfoPage),
        Problems<(OnThisHost, Query<(Page,)>)>,
    )
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    OnThisHost { uid, .. }: OnThisHost,
    Query((page,)): Query<(Page,)>,
) -> Result<Response, Problem> {
    let is_admin = caller.must_be_admin(&api.policy()).is_ok();
    let mut writer = PageWriter::new(&page);
    for token in api.service().tokens().list() {
        let is_seen = page
            .after
            .as_deref()
            .is_some_and(|after| token.id.0.as_slice() <= after);
        if is_seen || !(is_admin || token.uid == uid) {
            continue;
        }
        if writer.push(&token_info(&token), || token.id.0.to_vec())? == Room::Full {
            break;
        }
    }
    Ok(writer.respond())
}

/// Revokes a token: one's own, or anybody's for those who may change the node. It is no longer
/// valid, and streams that were opened with it end. On the unix socket only.
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", tag = "tokens", operation_id = "revoke_token",
    params(("id" = String, Path, description = "The token's id"), Query<(Timeout,)>),
    responses((status = 204, description = "Revoked"), Problems<(OnThisHost, TokenPath, Query<(Timeout,)>, RevokeError)>)
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    OnThisHost { uid, .. }: OnThisHost,
    TokenPath(id): TokenPath,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
) -> Result<StatusCode, Problem> {
    let tokens = api.service().tokens();
    let token = tokens
        .find(id)
        .ok_or_else(|| Problem::new(Kind::NoToken, format!("no token has the id {id}")))?;
    if token.uid != uid && caller.must_be_admin(&api.policy()).is_err() {
        let words = format!(
            "the token {id} is uid {}'s; only that user, root, the daemon's own user and those in \
                [api] admins may revoke it",
            token.uid
        );
        return Err(Problem::new(Kind::Forbidden, words));
    }
    within(timeout, tokens.revoke(id))
        .await?
        .map_err(RevokeError)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A token that was revoked in memory only.
#[derive(Debug, thiserror::Error)]
#[error("the token is no longer valid, but would be again after a restart: {0}; try again")]
pub(crate) struct RevokeError(pub(crate) WriteError);

refuses! {
    CreateError: TooMany Store Unknown DiskFull;
    RevokeError: Store Unknown DiskFull;
}

impl From<RevokeError> for Problem {
    fn from(error: RevokeError) -> Self {
        Self::unavailable(error.0, &error)
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match &error {
            CreateError::UserFull { .. } | CreateError::Full => Self::new(Kind::TooMany, error),
            CreateError::Random(_) => Self::internal(error),
            CreateError::Write(cause) => Self::unavailable(*cause, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_a_token_allows_the_shorter_it_lives() {
        let good = [
            (Scope::Page, "12h"),
            (Scope::Read, "30d"),
            (Scope::Sd, "1y"),
            (Scope::Sd, "365d"),
            (Scope::Page, "1s"),
        ];
        for (scope, ttl) in good {
            assert!(parse(ttl, scope).is_ok(), "{scope} {ttl}");
        }
        for (scope, ttl) in [
            (Scope::Page, "13h"),
            (Scope::Read, "31d"),
            (Scope::Sd, "366d"),
            (Scope::Read, "0s"),
            (Scope::Read, "soon"),
        ] {
            assert_eq!(
                parse(ttl, scope).unwrap_err().status(),
                422,
                "{scope} {ttl}"
            );
        }
        let words = parse("2d", Scope::Page).unwrap_err();
        assert!(
            words.detail().contains("between 1s and 12h"),
            "{}",
            words.detail()
        );
        assert_eq!(parse_scope("admin").unwrap_err().status(), 422);
    }
}
