//! `/v1/invitations` and `/v1/authority`: who may join, and which certificates there are.

use crate::admission;
use crate::authority::{AuthorityError, Invitation, State as Good, Wanted};
use crate::http::Api;
use crate::http::connections::who::{Admin, Caller};
use crate::http::json::{self, Json};
use crate::http::operations::openapi::Problems;
use crate::http::page::{Page, PageWriter, Room};
use crate::http::path::{InvitationPath, no_invitation};
use crate::http::problem::{Kind, Own, Problem, refuses};
use crate::http::query::Query;
use crate::http::tokens::unkept;
use crate::renewal::{self, RenewalError};
use api::authority::{
    AuthorityView, CreatedInvitation, InvitationPage, InvitationState, InvitationUse,
    MemberCertificate, NewInvitation, RenewedCertificate, SigningNode,
};
use api::cluster::MemberRole;
use api::duration;
use api::time::Millis;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use names::{NodeName, Role};
use pki::{Fingerprint, InvitationId};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long a token is valid when nobody says.
const DEFAULT_TTL: Duration = Duration::from_secs(10 * 60);
/// The shortest time that a token may be valid.
const MIN_TTL: Duration = Duration::from_secs(10);
/// The longest one.
const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How many hosts may join by one token.
const MAX_USES: u32 = 1000;
/// How long a tag may be, in bytes, as in `[node] tags`.
const MAX_TAG_BYTES: usize = 64;
/// How many tags an invitation may give.
const MAX_TAGS: usize = 64;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(invitations, invite))
        .routes(routes!(revoke))
        .routes(routes!(authority))
        .routes(routes!(renew))
}

/// Invites hosts to join: makes a token, by which they get a certificate from this node. On an
/// authority only.
#[utoipa::path(
    post, path = "/v1/invitations", tag = "node and cluster", operation_id = "invite",
    params(Query<()>), request_body = NewInvitation,
    responses(
        (status = 201, description = "Made, and on the disk", body = CreatedInvitation),
        Problems<(Admin, Query<()>, Json<NewInvitation>, AuthorityError, Own<{ Kind::NoAuthority as usize }>, Own<{ Kind::Invalid as usize }>)>,
    )
)]
pub(crate) async fn invite(
    State(api): State<Api>,
    caller: Caller,
    _: Admin,
    _: Query<()>,
    Json(body): Json<NewInvitation>,
) -> Result<Response, Problem> {
    let by = caller.author(&api.service().info().name).0;
    let wanted = wanted(body, by)?;
    let identity = api.service().endpoint().identity();
    // The one that a new host can check while an authority is being replaced: it leads to what nodes show.
    let own = identity.own_authority();
    let fingerprint = own.map(|der| Fingerprint::of(der));
    let fingerprint = fingerprint
        .ok_or_else(|| Problem::internal("this node's certificate ends at no authority"))?;
    let book = api.service().authority().clone();
    let made = on_disk(move || book.invite(wanted, fingerprint)).await?;
    let (id, invitation, token) = match made {
        Err(AuthorityError::None) => return Err(no_authority(&api).await),
        made => made?,
    };
    tracing::info!(invitation = %id, by = invitation.by, uses = invitation.uses, "hosts are invited");
    let created = CreatedInvitation {
        id: id.to_string(),
        token: token.text(),
        address: api.service().info().address.to_string(),
        expires_at: Millis(invitation.expires_ms),
        uses: invitation.uses,
        name: invitation.name,
        role: invitation.role.as_str().into(),
    };
    json::respond(StatusCode::CREATED, &created).map(unkept)
}

fn wanted(body: NewInvitation, by: String) -> Result<Wanted, Problem> {
    let role = match body.role {
        None | Some(MemberRole::Member) => Role::Member,
        Some(MemberRole::Observer) => Role::Observer,
        Some(MemberRole::Other(role)) => {
            return Err(Problem::invalid(format!(
                "\"role\" is {role:?}; it must be \"member\" or \"observer\""
            )));
        }
    };
    let uses = body.uses.unwrap_or(1);
    if !(1..=MAX_USES).contains(&uses) {
        return Err(Problem::invalid(format!(
            "\"uses\" is {uses}; it must be from 1 to {MAX_USES}"
        )));
    }
    if let Some(name) = &body.name {
        let wrong = |error| Problem::invalid(format!("\"name\": {error}"));
        NodeName::new(name).map_err(wrong)?;
        if uses > 1 {
            let words = format!("\"uses\" is {uses}, but only one host can have the name {name}");
            return Err(Problem::invalid(words));
        }
    }
    Ok(Wanted {
        ttl: body.ttl.as_deref().map_or(Ok(DEFAULT_TTL), ttl)?,
        uses,
        name: body.name,
        role,
        tags: tags(&body.tags.unwrap_or_default())?,
        by,
    })
}

fn ttl(text: &str) -> Result<Duration, Problem> {
    duration::parse(text)
        .filter(|ttl| (MIN_TTL..=MAX_TTL).contains(ttl))
        .ok_or_else(|| {
            Problem::invalid(format!(
                "\"ttl\" is {text:?}; it must be between {} and {}, such as 10m or 2h",
                duration::write(MIN_TTL),
                duration::write(MAX_TTL)
            ))
        })
}

fn tags(given: &BTreeMap<String, String>) -> Result<Vec<String>, Problem> {
    if given.len() > MAX_TAGS {
        let words = format!("\"tags\" has {}; it may have {MAX_TAGS}", given.len());
        return Err(Problem::invalid(words));
    }
    let tag = |(key, value): (&String, &String)| {
        let tag = if value.is_empty() {
            key.clone()
        } else {
            format!("{key}={value}")
        };
        let is_good = (1..=MAX_TAG_BYTES).contains(&tag.len())
            && !key.is_empty()
            && !tag.chars().any(names::is_unprintable);
        if is_good {
            Ok(tag)
        } else {
            Err(Problem::invalid(format!(
                "\"tags\" has {tag:?}; a tag must be 1 to {MAX_TAG_BYTES} bytes without control characters"
            )))
        }
    };
    given.iter().map(tag).collect()
}

/// Does what reads and writes files on a thread that may block.
pub(crate) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Problem::internal)
}

/// Names those that are.
pub(crate) async fn no_authority(api: &Api) -> Problem {
    let name = &api.service().info().name;
    let known: Vec<String> = admission::authorities(api.service())
        .await
        .iter()
        .map(|one| one.member.profile.name.to_string())
        .collect();
    let where_else = if known.is_empty() {
        "and it reaches no node that is one: \"muster pki authority\" makes the key of one"
            .to_owned()
    } else {
        format!("ask there: {}", known.join(", "))
    };
    Problem::new(
        Kind::NoAuthority,
        format!("{name} is no authority, so it can invite and revoke nobody; {where_else}"),
    )
}

fn shown(id: InvitationId, invitation: Invitation, now_ms: i64) -> api::authority::Invitation {
    api::authority::Invitation {
        id: id.to_string(),
        state: match invitation.state(now_ms) {
            Good::Open => InvitationState::Open,
            Good::Used => InvitationState::Used,
            Good::Expired => InvitationState::Expired,
            Good::Revoked => InvitationState::Revoked,
        },
        by: invitation.by,
        created_at: Millis(invitation.created_ms),
        expires_at: Millis(invitation.expires_ms),
        uses: invitation.uses,
        name: invitation.name,
        role: invitation.role.as_str().into(),
        tags: invitation.tags,
        used: invitation
            .used
            .into_iter()
            .map(|used| InvitationUse {
                at: Millis(used.at_ms),
                name: used.name,
                node: used.node,
                address: used.address,
            })
            .collect(),
    }
}

/// The invitations of this node, by id, with the hosts that have joined by them; never their tokens.
/// They are forgotten a week after their end.
#[utoipa::path(
    get, path = "/v1/invitations", tag = "node and cluster", operation_id = "invitations",
    params(Query<(Page,)>),
    responses(
        (status = 200, description = "A page of invitations", body = InvitationPage),
        Problems<(Admin, Query<(Page,)>, AuthorityError, Own<{ Kind::NoAuthority as usize }>)>,
    )
)]
pub(crate) async fn invitations(
    State(api): State<Api>,
    _: Admin,
    Query((page,)): Query<(Page,)>,
) -> Result<Response, Problem> {
    must_be_authority(&api).await?;
    let now_ms = crate::host::wall_ms();
    let book = api.service().authority().clone();
    let mut writer = PageWriter::new(&page);
    for (id, invitation) in on_disk(move || book.list()).await? {
        let is_seen = page
            .after
            .as_deref()
            .is_some_and(|after| id.0.as_slice() <= after);
        if is_seen {
            continue;
        }
        let key = || id.0.to_vec();
        if writer.push(&shown(id, invitation, now_ms), key)? == Room::Full {
            break;
        }
    }
    Ok(writer.respond())
}

async fn must_be_authority(api: &Api) -> Result<(), Problem> {
    let book = api.service().authority().clone();
    let until = on_disk(move || book.not_after()).await?;
    match until.map_err(AuthorityError::Files)? {
        Some(_) => Ok(()),
        None => Err(no_authority(api).await),
    }
}

/// Revokes an invitation: its token is good no longer. Hosts that have joined by it stay.
#[utoipa::path(
    delete, path = "/v1/invitations/{id}", tag = "node and cluster", operation_id = "revoke_invitation",
    params(("id" = String, Path, description = "The invitation's id"), Query<()>),
    responses(
        (status = 204, description = "Revoked"),
        Problems<(Admin, InvitationPath, Query<()>, AuthorityError, Own<{ Kind::NoAuthority as usize }>)>,
    )
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    _: Admin,
    InvitationPath(id): InvitationPath,
    _: Query<()>,
) -> Result<StatusCode, Problem> {
    must_be_authority(&api).await?;
    let book = api.service().authority().clone();
    if on_disk(move || book.revoke(id)).await?? {
        tracing::info!(invitation = %id, "an invitation was revoked");
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_invitation(&id.to_string()))
    }
}

/// A time of a certificate.
pub(crate) fn seconds(at: i64) -> Millis {
    Millis(at.saturating_mul(1000))
}

/// Which nodes can sign and until when, and the certificates of all members. Members are asked; those
/// that do not answer within two seconds are without a time.
#[utoipa::path(
    get, path = "/v1/authority", tag = "node and cluster", operation_id = "authority",
    responses((status = 200, description = "As far as it is known", body = AuthorityView), Problems<Query<()>>)
)]
pub(crate) async fn authority(State(api): State<Api>, _: Query<()>) -> Result<Response, Problem> {
    let service = api.service();
    let (info, own) = (service.info(), admission::term(service).await);
    let mut certificates = vec![MemberCertificate {
        id: info.id.to_string(),
        name: info.name.to_string(),
        expires_at: Some(seconds(service.endpoint().identity().not_after())),
    }];
    let mut authorities: Vec<SigningNode> = own
        .iter()
        .map(|term| SigningNode {
            id: info.id.to_string(),
            name: info.name.to_string(),
            address: info.address.to_string(),
            expires_at: seconds(term.not_after),
        })
        .collect();
    for one in admission::certificates(service).await {
        let (id, profile) = (one.member.id.to_string(), one.member.profile);
        let name = profile.name.to_string();
        authorities.extend(one.term.map(|term| SigningNode {
            id: id.clone(),
            name: name.clone(),
            address: profile.address.to_string(),
            expires_at: seconds(term.not_after),
        }));
        certificates.push(MemberCertificate {
            id,
            name,
            expires_at: one.expires_at.map(seconds),
        });
    }
    certificates.sort_by(|a, b| a.name.cmp(&b.name));
    let view = AuthorityView {
        is_authority: own.is_some(),
        authorities,
        certificates,
    };
    json::respond(StatusCode::OK, &view)
}

/// Has this node's own certificate renewed now, by an authority that it reaches, and puts it in
/// force. A node does so by itself at two thirds of its certificate's life.
#[utoipa::path(
    post, path = "/v1/authority/renew", tag = "node and cluster", operation_id = "renew_certificate",
    params(Query<()>),
    responses(
        (status = 200, description = "Renewed, and in force", body = RenewedCertificate),
        Problems<(Admin, Query<()>, RenewalError)>,
    )
)]
pub(crate) async fn renew(
    State(api): State<Api>,
    _: Admin,
    _: Query<()>,
) -> Result<Response, Problem> {
    let renewed = renewal::renew(api.service()).await?;
    let answer = RenewedCertificate {
        by: renewed.by,
        expires_at: seconds(renewed.not_after),
    };
    json::respond(StatusCode::OK, &answer)
}

refuses! {
    AuthorityError: Full Store Invalid;
    RenewalError: NoRenewal;
}

impl From<RenewalError> for Problem {
    fn from(error: RenewalError) -> Self {
        Self::new(Kind::NoRenewal, error)
    }
}

impl From<AuthorityError> for Problem {
    fn from(error: AuthorityError) -> Self {
        match &error {
            AuthorityError::None => Self::new(Kind::NoAuthority, error),
            AuthorityError::Full => Self::new(Kind::Full, error).retry_after(3600),
            AuthorityError::Form(_) => Self::new(Kind::Invalid, error),
            AuthorityError::Files(_) => Self::new(Kind::Store, error).retry_after(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: NewInvitation) -> String {
        let problem = wanted(body, "root@alpha".to_owned()).unwrap_err();
        assert_eq!(problem.status(), 422);
        problem.detail().to_owned()
    }

    #[test]
    fn an_invitation_is_for_one_host_and_some_minutes_when_nobody_says() {
        let wanted = wanted(NewInvitation::default(), "root@alpha".to_owned()).unwrap();
        assert_eq!((wanted.ttl, wanted.uses), (DEFAULT_TTL, 1));
        assert!(wanted.name.is_none() && wanted.tags.is_empty());
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let body = NewInvitation::default;
        let king = NewInvitation {
            role: Some("king".into()),
            ..body()
        };
        assert!(refused(king).contains("\"member\" or \"observer\""));
        for text in ["1s", "31d", "soon"] {
            let ttl = Some(text.to_owned());
            assert!(refused(NewInvitation { ttl, ..body() }).contains("between 10s and 30d"));
        }
        let uses = Some(0);
        assert!(refused(NewInvitation { uses, ..body() }).contains("from 1 to 1000"));
        let (name, uses) = (Some("beta".to_owned()), Some(2));
        assert!(
            refused(NewInvitation {
                name,
                uses,
                ..body()
            })
            .contains("only one host")
        );
        let name = Some("Beta".to_owned());
        assert!(refused(NewInvitation { name, ..body() }).contains("\"name\""));
        let tags = Some([("k".to_owned(), "v".repeat(63))].into());
        assert!(refused(NewInvitation { tags, ..body() }).contains("1 to 64 bytes"));
    }

    #[test]
    fn an_observer_is_invited_where_somebody_says_so() {
        let role = |role: Option<&str>| {
            let body = NewInvitation {
                role: role.map(Into::into),
                ..NewInvitation::default()
            };
            wanted(body, "root@alpha".to_owned()).unwrap().role
        };
        assert_eq!(role(Some("observer")), Role::Observer);
        assert_eq!(role(Some("member")), Role::Member);
        assert_eq!(role(None), Role::Member);
    }

    #[test]
    fn a_tag_without_a_value_is_its_key() {
        let given = [("rack", "7"), ("ssd", "")].map(|(key, value)| (key.into(), value.into()));
        assert_eq!(tags(&given.into()).unwrap(), ["rack=7", "ssd"]);
    }
}
