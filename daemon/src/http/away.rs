//! `/v1/members/{member}/away`: members that are away on purpose.

use crate::http::Api;
use crate::http::cluster::ask;
use crate::http::connections::who::{Admin, Caller};
use crate::http::json::{self, Json};
use crate::http::operations::openapi::Problems;
use crate::http::path::MemberPath;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::time::Timeout;
use api::cluster::{Absence, AwayQuery, DeclaredMember, NewAbsence};
use api::duration;
use api::time::Millis;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use crdt::roster::{MAX_AWAY_MS, MAX_WHY_BYTES};
use node::cluster::ask::{Away, Back};
use node::cluster::{AwayView, Declared, RosterView};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The shortest time for which a member may be declared away.
const MIN_AWAY_MS: u64 = 60_000;

/// The calls of this folder.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(away, back))
}

/// Declares that a member which is down is away on purpose, such as a ship in dry dock. All nodes are told,
/// nobody expects it meanwhile, and alerts are quiet about it. That ends at its time, by `DELETE`, or when any
/// member sees it. It still counts for majorities, and nothing is locked by it.
#[utoipa::path(
    post, path = "/v1/members/{member}/away", tag = "node and cluster", operation_id = "declare_away",
    params(
        ("member" = String, Path, description = "The member's name or id"),
        Query<(AwayQuery, Timeout)>,
    ),
    request_body = NewAbsence,
    responses(
        (status = 200, description = "Declared, on the disk, and told to all that are reached", body = DeclaredMember),
        Problems<(Admin, MemberPath, Query<(AwayQuery, Timeout)>, Json<NewAbsence>, Away)>,
    )
)]
pub(crate) async fn away(
    State(api): State<Api>,
    caller: Caller,
    _: Admin,
    MemberPath(member): MemberPath,
    Query((how, Timeout(timeout))): Query<(AwayQuery, Timeout)>,
    Json(body): Json<NewAbsence>,
) -> Result<Response, Problem> {
    let question = Away {
        member,
        span_ms: span_ms(&body.span)?,
        why: why(body.why.unwrap_or_default())?,
        by: caller.author(&api.service().info().name).0,
        force: how.force.unwrap_or(false),
    };
    let declared = ask(&api, question, timeout).await?;
    json::respond(StatusCode::OK, &shown(&api.service().view(), declared))
}

/// Ends that a member is away on purpose: it is expected again.
#[utoipa::path(
    delete, path = "/v1/members/{member}/away", tag = "node and cluster", operation_id = "declare_back",
    params(("member" = String, Path, description = "The member's name or id"), Query<(Timeout,)>),
    responses(
        (status = 200, description = "Ended, on the disk, and told to all that are reached", body = DeclaredMember),
        Problems<(Admin, MemberPath, Query<(Timeout,)>, Back)>,
    )
)]
pub(crate) async fn back(
    State(api): State<Api>,
    caller: Caller,
    _: Admin,
    MemberPath(member): MemberPath,
    Query((Timeout(timeout),)): Query<(Timeout,)>,
) -> Result<Response, Problem> {
    let by = caller.author(&api.service().info().name).0;
    let declared = ask(&api, Back { member, by }, timeout).await?;
    json::respond(StatusCode::OK, &shown(&api.service().view(), declared))
}

fn shown(view: &RosterView, declared: Declared) -> DeclaredMember {
    DeclaredMember {
        id: declared.node.to_string(),
        name: declared.name.to_string(),
        away: absence(view, &declared.away),
    }
}

/// What was declared of a member, as clients are told.
pub(crate) fn absence(view: &RosterView, away: &AwayView) -> Absence {
    let node = view.member(away.sayer);
    Absence {
        until: away.until.map(|until| Millis(until.0)),
        why: away.why.clone(),
        by: away.by.clone(),
        node: node.map_or(away.sayer.to_string(), |node| node.profile.name.to_string()),
        at: Millis(away.at.0),
    }
}

fn span_ms(text: &str) -> Result<u64, Problem> {
    let span = duration::parse(text).and_then(|span| u64::try_from(span.as_millis()).ok());
    span.filter(|ms| (MIN_AWAY_MS..=MAX_AWAY_MS).contains(ms))
        .ok_or_else(|| {
            Problem::invalid(format!(
                "\"for\" is {text:?}; it must be a time from 1m to 366d, such as 12h or 30d"
            ))
        })
}

fn why(text: String) -> Result<String, Problem> {
    if text.len() > MAX_WHY_BYTES || text.chars().any(names::is_unprintable) {
        return Err(Problem::invalid(format!(
            "\"why\" must be at most {MAX_WHY_BYTES} bytes without control characters"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_away_for_a_minute_to_a_year() {
        for (good, ms) in [
            ("1m", 60_000),
            ("30d", 30 * 86_400_000),
            ("366d", MAX_AWAY_MS),
        ] {
            assert_eq!(span_ms(good).unwrap(), ms);
        }
        for bad in ["59s", "367d", "30", "-1d", ""] {
            assert_eq!(span_ms(bad).unwrap_err().status(), 422, "{bad}");
        }
    }

    #[test]
    fn why_is_a_line_of_words() {
        assert_eq!(why("dry dock".to_owned()).unwrap(), "dry dock");
        for bad in ["x".repeat(201), "a\u{1b}[2J".to_owned(), "a\nb".to_owned()] {
            assert_eq!(why(bad).unwrap_err().status(), 422);
        }
    }
}
