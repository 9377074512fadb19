//! Commands about invitations and the certificates of the members.

use crate::args::Invite;
use crate::failure::Failure;
use crate::ids::{self, Match};
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::printable;
use api::authority::{Invitation, InvitationState, NewInvitation};
use names::Role;
use std::collections::BTreeMap;

/// `muster invite`: in a pipe the token and nothing else.
pub(crate) async fn invite(session: &Session<'_>, args: &Invite) -> Result<(), Failure> {
    let split = |tag: &String| match tag.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (tag.clone(), String::new()),
    };
    let tags: BTreeMap<String, String> = args.tags.iter().map(split).collect();
    let wanted = NewInvitation {
        ttl: args.ttl.clone(),
        uses: args.uses,
        name: args.name.clone(),
        role: args.role.map(|role| Role::from(role).as_str().into()),
        tags: (!tags.is_empty()).then_some(tags),
    };
    let answer = session.make(session.client().invite(&wanted)).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let made = answer.value;
    if !session.output.is_for_people() {
        return session.output.line(&printable(&made.token));
    }
    let name = made.name.as_ref();
    let name = name.map_or_else(String::new, |name| format!(" --name {}", printable(name)));
    session.output.line(&format!(
        "muster join {} --token {}{name}",
        printable(&made.address),
        printable(&made.token)
    ))?;
    let hosts = match made.uses {
        1 => "one host".to_owned(),
        uses => format!("{uses} hosts"),
    };
    let until = session.time(&made.expires_at.to_string());
    let note = format!(
        "on the new host, as root; for {hosts}, until {until}; shown only now; muster uninvite {} ends it",
        printable(&made.id)
    );
    session
        .output
        .line(&session.output.paint(&note, Paint::Dim))
}

/// `muster invitations`, those that end first at the top.
pub(crate) async fn list(session: &Session<'_>) -> Result<(), Failure> {
    let answer = session.ask(session.client().invitations()).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let mut invitations = answer.value;
    invitations.sort_by_key(|invitation| invitation.expires_at);
    let mut table = Table::new(&["ID", "STATE", "USED", "NAME", "BY", "EXPIRES", "HOSTS"])
        .cut(&["HOSTS"])
        .spare(&["BY", "NAME", "HOSTS"]);
    for invitation in &invitations {
        let expires = session.time(&invitation.expires_at.to_string());
        table.row([
            invitation.id.as_str().into(),
            state_cell(&invitation.state),
            format!("{} of {}", invitation.used.len(), invitation.uses).into(),
            invitation.name.clone().unwrap_or_default().into(),
            invitation.by.as_str().into(),
            Cell::painted(&expires, Paint::Dim),
            hosts(invitation).into(),
        ]);
    }
    session.output.table(&table)
}

fn state_cell(state: &InvitationState) -> Cell {
    let paint = match state {
        InvitationState::Open => Paint::Green,
        InvitationState::Used
        | InvitationState::Expired
        | InvitationState::Revoked
        | InvitationState::Other(_) => Paint::Dim,
    };
    Cell::painted(state.as_str(), paint)
}

/// Who has joined, and from where.
fn hosts(invitation: &Invitation) -> String {
    let hosts: Vec<String> = invitation
        .used
        .iter()
        .map(|used| format!("{} from {}", used.name, used.address))
        .collect();
    hosts.join(", ")
}

/// `muster uninvite`.
pub(crate) async fn revoke(session: &Session<'_>, typed: &str) -> Result<(), Failure> {
    let invitations = session.ask(session.client().invitations()).await?.value;
    let known = invitations.iter().map(|invitation| invitation.id.as_str());
    let id = match ids::find(typed, known) {
        Match::One(id) => id,
        Match::TooShort => {
            return Err(Failure::Usage(format!(
                "{typed:?} is too short for an id: 3 or more characters of its beginning or end are needed"
            )));
        }
        Match::Nothing => {
            return Err(Failure::NotFound(format!(
                "no invitation of this node has an id that begins or ends with {typed:?}"
            )));
        }
        Match::Several(ids) => {
            let lines: String = ids
                .iter()
                .map(|id| format!("\n  {}", printable(id)))
                .collect();
            let words = format!("{typed:?} may be any of these:{lines}");
            return Err(Failure::Usage(words));
        }
    };
    session
        .make(session.client().revoke_invitation(&id))
        .await?;
    if session.output.is_json() {
        return Ok(());
    }
    let words = format!("the invitation {} is over", printable(&id));
    session.output.line(&words)
}

/// `muster authority`: who can sign, then all certificates.
pub(crate) async fn authority(session: &Session<'_>) -> Result<(), Failure> {
    let answer = session.ask(session.client().authority()).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let view = answer.value;
    let mut table = Table::new(&["NODE", "CERTIFICATE UNTIL", "SIGNS UNTIL", "ID"]).spare(&["ID"]);
    for certificate in &view.certificates {
        let signing = view
            .authorities
            .iter()
            .find(|signing| signing.id == certificate.id);
        let until = certificate.expires_at;
        let until = until.map(|at| session.time(&at.to_string()));
        let signs = signing.map(|signing| session.time(&signing.expires_at.to_string()));
        table.row([
            certificate.name.as_str().into(),
            until.unwrap_or_default().into(),
            signs.unwrap_or_default().into(),
            Cell::painted(&certificate.id, Paint::Dim),
        ]);
    }
    session.output.table(&table)
}

/// `muster authority renew`.
pub(crate) async fn renew(session: &Session<'_>) -> Result<(), Failure> {
    let answer = session.make(session.client().renew_certificate()).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let renewed = answer.value;
    let until = session.time(&renewed.expires_at.to_string());
    session.output.line(&format!(
        "renewed by {}, valid until {until}",
        printable(&renewed.by)
    ))
}
