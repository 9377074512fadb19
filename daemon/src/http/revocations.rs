//! `/v1/members/{member}/revoke` and `/v1/revocations`: shutting a node out for ever, and publishing that an
//! authority is withdrawn.

use crate::authority::AuthorityError;
use crate::http::Api;
use crate::http::authority::{no_authority, on_disk};
use crate::http::cluster::ask;
use crate::http::connections::who::{Admin, Caller};
use crate::http::json::{self, Json};
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room};
use crate::http::path::MemberPath;
use crate::http::problem::{Kind, Own, Problem};
use crate::http::query::Query;
use crate::http::time::Timeout;
use api::authority::{
    NewRevocation, Revocation as Shown, RevocationKind, RevocationPage, SignedStatement,
};
use api::time::Millis;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crdt::roster::{Revocation, Told};
use data_encoding::{BASE64, HEXLOWER};
use names::NodeId;
use node::cluster::Refusal;
use node::cluster::ask::Revoke;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long a reason may be, in bytes.
const MAX_REASON_BYTES: usize = 500;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(revoke))
        .routes(routes!(revocations, publish))
}

/// Shuts a node out for ever, by its id: connections with it are closed, its handshakes are refused
/// everywhere, its registrations end. What it wrote stays. On an authority only. A host that comes
/// back needs a new certificate, with a new id; its name is free.
#[utoipa::path(
    post, path = "/v1/members/{member}/revoke", tag = "node and cluster", operation_id = "revoke_member",
    params(
        ("member" = String, Path, description = "The member's name or id; the id of a node that never was seen, too"),
        Query<(Timeout,)>,
    ),
    request_body = NewRevocation,
    responses(
        (status = 200, description = "Revoked, on the disk, and told to all that are reached", body = Shown),
        Problems<(Admin, MemberPath, Query<(Timeout,)>, Json<NewRevocation>, Revoke, AuthorityError)>,
    )
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    _: Admin,
    MemberPath(member): MemberPath,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
    Json(body): Json<NewRevocation>,
) -> Result<Response, Problem> {
    let reason = reason(body.reason.unwrap_or_default())?;
    let service = api.service();
    let (subject, name) = find(&api, &member)?;
    let told = Told {
        name,
        reason,
        at_ms: crate::host::wall_ms(),
        by: caller.author(&service.info().name).0,
    };
    let (book, info) = (service.authority().clone(), service.info().clone());
    let signed = on_disk(move || book.shut_out((info.id, info.cluster), subject, &told)).await?;
    let revocation = match signed {
        Err(AuthorityError::None) => return Err(no_authority(&api).await),
        signed => signed?,
    };
    ask(&api, Revoke(revocation.clone()), timeout).await?;
    // Of several about one node one stays, on all nodes the same.
    let known = service.revocations();
    let known = known.iter().find(|known| known.subject() == subject);
    json::respond(StatusCode::OK, &shown(known.unwrap_or(&revocation)))
}

/// Why a node is shut out or an authority withdrawn, as a client may say it.
pub(crate) fn reason(text: String) -> Result<String, Problem> {
    if text.len() > MAX_REASON_BYTES || text.chars().any(names::is_unprintable) {
        return Err(Problem::invalid(format!(
            "\"reason\" must be at most {MAX_REASON_BYTES} bytes without control characters"
        )));
    }
    Ok(text)
}

/// The node of that name or id, with its name. An id need not be known: a host may have been admitted
/// that never started.
fn find(api: &Api, text: &str) -> Result<(NodeId, String), Problem> {
    let view = api.service().view();
    let id = text.parse::<NodeId>().ok();
    let named = view
        .members
        .iter()
        .filter(|member| id.map_or(member.profile.name.as_str() == text, |id| member.id == id));
    // Of several with one name the one that is not reached is the stranger.
    let member = named.min_by_key(|member| member.state.is_reachable());
    match (member, id) {
        (Some(member), _) => Ok((member.id, member.profile.name.to_string())),
        (None, Some(id)) => Ok((id, String::new())),
        (None, None) => Err(Refusal::Unknown(text.to_owned()).into()),
    }
}

fn shown(revocation: &Revocation) -> Shown {
    let (told, good) = (revocation.told(), revocation.good());
    let kind = match good {
        Some(_) => RevocationKind::Authority,
        None => RevocationKind::Node,
    };
    Shown {
        kind: Some(kind),
        id: revocation.subject().to_string(),
        name: told.name,
        reason: told.reason,
        at: Millis(told.at_ms),
        by: told.by,
        authority: revocation.relayed().owner().to_string(),
        stay_good: good.as_ref().map(Vec::len),
        good: good.map(|good| good.iter().map(|mark| HEXLOWER.encode(mark)).collect()),
    }
}

/// Publishes a revocation, or the withdrawal of an authority that the cluster's own has signed (`muster pki
/// sign`). Who is shut out by a withdrawal may come back with a certificate of another authority.
#[utoipa::path(
    post, path = "/v1/revocations", tag = "node and cluster", operation_id = "publish_revocation",
    params(Query<(Timeout,)>), request_body = SignedStatement,
    responses(
        (status = 200, description = "Verified, on the disk, and told to all that are reached", body = Shown),
        Problems<(Admin, Query<(Timeout,)>, Json<SignedStatement>, Revoke, Own<{ Kind::Invalid as usize }>)>,
    )
)]
pub(crate) async fn publish(
    State(api): State<Api>,
    _: Admin,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
    Json(body): Json<SignedStatement>,
) -> Result<Response, Problem> {
    let invalid = |error: &dyn std::fmt::Display| {
        Problem::invalid(format!("\"statement\" is no signed statement: {error}"))
    };
    let bytes = BASE64.decode(body.statement.trim().as_bytes());
    let bytes = bytes.map_err(|error| invalid(&error))?;
    let revocation = Revocation::read(bytes.into()).map_err(|error| invalid(&error))?;
    ask(&api, Revoke(revocation.clone()), timeout).await?;
    json::respond(StatusCode::OK, &shown(&revocation))
}

/// The nodes that are shut out, by id, and the authorities that are withdrawn, by key.
#[utoipa::path(
    get, path = "/v1/revocations", tag = "node and cluster", operation_id = "revocations",
    params(Query<(Page,)>),
    responses(
        (status = 200, description = "A page of revocations", body = RevocationPage),
        Problems<Query<(Page,)>>,
    )
)]
pub(crate) async fn revocations(
    State(api): State<Api>,
    Query((page,)): Query<(Page,)>,
) -> Result<Response, Problem> {
    let mut writer = PageWriter::new(&page);
    let mut revocations = api.service().revocations().to_vec();
    revocations.sort_by_key(Revocation::subject);
    for revocation in &revocations {
        let id = revocation.subject().0;
        if page
            .after
            .as_deref()
            .is_some_and(|after| id.as_slice() <= after)
        {
            continue;
        }
        if writer.push(&shown(revocation), || id.to_vec())? == Room::Full {
            break;
        }
    }
    Ok(writer.respond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_line_of_words() {
        assert_eq!(reason("stolen".to_owned()).unwrap(), "stolen");
        for bad in ["x".repeat(501), "a\u{1b}[2J".to_owned(), "a\nb".to_owned()] {
            assert_eq!(reason(bad).unwrap_err().status(), 422);
        }
    }
}
