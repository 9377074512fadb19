//! `muster pki list`: whom an authority has given certificates, and who of them is shut out.

use super::pki::{expires, failure};
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use api::authority::{Revocation, RevocationKind};
use data_encoding::HEXLOWER;
use jiff::tz::TimeZone;
use pki::{IssuedName, Mark, Withdrawn};
use serde_json::{Value, json};
use std::path::Path;

/// What the node of this host knows of those who are shut out.
struct Known {
    cluster: String,
    revocations: Vec<Revocation>,
}

impl Known {
    /// `None` if no node answers.
    async fn ask(session: &Session<'_>) -> Option<Self> {
        let node = session.client().node().await.ok()?;
        let revocations = session.client().revocations().await.ok()?;
        Some(Self {
            cluster: node.value.cluster,
            revocations: revocations.value,
        })
    }

    /// What shuts a node out: its revocation, or the withdrawal of the authority that has given it the
    /// latest certificate.
    fn of(&self, one: &IssuedName) -> Option<&Revocation> {
        let id = HEXLOWER.encode(&one.id);
        let shuts_out = |revocation: &&Revocation| match revocation.kind {
            None | Some(RevocationKind::Node) => revocation.id == id,
            Some(RevocationKind::Authority) => {
                let withdrawn = withdrawn(revocation);
                one.pem
                    .as_ref()
                    .is_some_and(|pem| withdrawn.refuses_pem(pem))
            }
            Some(RevocationKind::Other(_)) => false,
        };
        self.revocations.iter().find(shuts_out)
    }

    /// Whether the node is shut out; `None` where it is not of the cluster that was asked.
    fn is_revoked(&self, one: &IssuedName) -> Option<bool> {
        let cluster = one.cluster.map(|id| HEXLOWER.encode(&id));
        match self.of(one) {
            Some(_) => Some(true),
            None => (cluster.as_ref() == Some(&self.cluster)).then_some(false),
        }
    }
}

fn withdrawn(revocation: &Revocation) -> Withdrawn {
    let mark = |text: &String| -> Option<Mark> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok()
    };
    let mut withdrawn = Withdrawn::default();
    if let Some(key) = mark(&revocation.id) {
        let good = revocation.good.iter().flatten();
        withdrawn.add(key, good.filter_map(mark));
    }
    withdrawn
}

/// `muster pki list`.
pub(super) async fn list(dir: &Path, session: &Session<'_>) -> Result<(), Failure> {
    let issued = pki::list(dir).map_err(failure)?;
    let known = Known::ask(session).await;
    let output = session.output;
    if output.is_json() {
        let items: Vec<Value> = issued.iter().map(|one| item(one, known.as_ref())).collect();
        return output.json(&json!({ "items": items, "next": null }));
    }
    let mut table = Table::new(&["NAME", "UNTIL", "ID", "ROLE", "REVOKED"]);
    for one in &issued {
        let until = one.not_after.map(expires);
        let until = until.map(|at| output.time(&at, &TimeZone::system()));
        let id = HEXLOWER.encode(&one.id);
        let revocation = known.as_ref().and_then(|known| known.of(one));
        let revoked = match revocation {
            Some(revocation) => session.time(&revocation.at.to_string()),
            None if is_revoked(one, known.as_ref()).is_none() => "?".to_owned(),
            None => String::new(),
        };
        table.row([
            one.name.as_str().into(),
            until.unwrap_or_default().into(),
            Cell::painted(&id, Paint::Dim),
            one.role.as_str().into(),
            Cell::painted(&revoked, Paint::Red),
        ]);
    }
    output.table(&table)
}

fn is_revoked(one: &IssuedName, known: Option<&Known>) -> Option<bool> {
    known?.is_revoked(one)
}

fn item(one: &IssuedName, known: Option<&Known>) -> Value {
    json!({
        "name": one.name, "role": one.role, "id": HEXLOWER.encode(&one.id),
        "not_after": one.not_after.map(expires), "revoked": is_revoked(one, known),
    })
}
