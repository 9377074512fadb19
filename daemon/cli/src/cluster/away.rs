//! Commands about members that are away on purpose.

use crate::args::Away;
use crate::failure::Failure;
use crate::session::Session;
use crate::text::printable;
use api::cluster::{Absence, AwayQuery, NewAbsence};

/// `muster away`.
pub(crate) async fn declare(session: &Session<'_>, args: Away) -> Result<(), Failure> {
    let absence = NewAbsence {
        span: args.span,
        why: args.why,
    };
    let how = AwayQuery {
        force: args.force.then_some(true),
    };
    let wait = session.wait();
    let client = session.client();
    let declared = client.declare_away(&args.member, &absence, &how, &wait);
    let answer = session.make(declared).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let member = answer.value;
    let until = in_words(Some(&member.away), session);
    session
        .output
        .line(&format!("{} is away {until}", printable(&member.name)))
}

/// `muster back`.
pub(crate) async fn end(session: &Session<'_>, member: &str) -> Result<(), Failure> {
    let wait = session.wait();
    let ended = session.client().declare_back(member, &wait);
    let answer = session.make(ended).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let name = printable(&answer.value.name);
    session.output.line(&format!(
        "{name} is expected again; it is down until it answers"
    ))
}

/// Until when a member is away, and why; nothing for one that is not.
pub(super) fn in_words(away: Option<&Absence>, session: &Session<'_>) -> String {
    let Some((away, until)) = away.and_then(|away| Some((away, away.until?))) else {
        return String::new();
    };
    let until = session.time(&until.to_string());
    if away.why.is_empty() {
        format!("until {until}")
    } else {
        format!("until {until}: {}", printable(&away.why))
    }
}
