//! Commands about nodes that are shut out.

use crate::failure::Failure;
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::printable;
use api::authority::{NewRevocation, Revocation, RevocationKind};

/// `muster revoke`.
pub(crate) async fn revoke(
    session: &Session<'_>,
    node: &str,
    reason: Option<String>,
) -> Result<(), Failure> {
    let (why, wait) = (NewRevocation { reason }, session.wait());
    let revoked = session.client().revoke(node, &why, &wait);
    let answer = session.make(revoked).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let name = named(&answer.value);
    session
        .output
        .line(&format!("{} is revoked", printable(&name)))
}

/// The name of a node, or its id where nobody knew the name.
fn named(revocation: &Revocation) -> String {
    if revocation.name.is_empty() {
        revocation.id.clone()
    } else {
        revocation.name.clone()
    }
}

/// `muster revocations`, the latest first.
pub(crate) async fn list(session: &Session<'_>) -> Result<(), Failure> {
    let answer = session.ask(session.client().revocations()).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let mut revocations = answer.value;
    revocations.sort_by_key(|revocation| std::cmp::Reverse(revocation.at));
    let mut table = Table::new(&["NAME", "ID", "REVOKED", "BY", "REASON", "KIND"])
        .cut(&["REASON"])
        .spare(&["BY", "REASON"]);
    for revocation in &revocations {
        let at = session.time(&revocation.at.to_string());
        let kind = revocation.kind.clone().unwrap_or(RevocationKind::Node);
        table.row([
            revocation.name.as_str().into(),
            revocation.id.as_str().into(),
            Cell::painted(&at, Paint::Dim),
            revocation.by.as_str().into(),
            revocation.reason.as_str().into(),
            kind.as_str().into(),
        ]);
    }
    session.output.table(&table)
}
