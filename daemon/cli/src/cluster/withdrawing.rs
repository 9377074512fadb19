//! Commands about authorities that are withdrawn.

use crate::args::Withdraw;
use crate::certificates::statement;
use crate::failure::Failure;
use crate::session::Session;
use crate::table::Paint;
use crate::text::printable;
use api::authority::{NewWithdrawal, SignedStatement};
use data_encoding::BASE64;
use pki::files::Replace;
use std::path::Path;

/// `muster authority withdraw`.
pub(crate) async fn draft(session: &Session<'_>, args: &Withdraw) -> Result<(), Failure> {
    let wanted = NewWithdrawal {
        authority: args.authority.clone(),
        reason: args.reason.clone(),
        without: (!args.without.is_empty()).then(|| args.without.clone()),
    };
    let wait = session.wait();
    let drafted = session.client().draft_withdrawal(&wanted, &wait);
    let answer = session.make(drafted).await?;
    let unusable = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let bytes = BASE64.decode(answer.value.statement.as_bytes());
    let bytes = bytes.map_err(|error| unusable(&error))?;
    statement::write(&args.out, &bytes, Replace::No).map_err(|error| unusable(&error))?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    session.output.line(&printable(&answer.value.text))?;
    let file = args.out.display();
    let note = format!(
        "nothing is changed yet: where the key of the cluster's own authority is, muster pki sign {file}; then \
         muster authority publish {file}"
    );
    session
        .output
        .line(&session.output.paint(&note, Paint::Dim))
}

/// `muster authority publish`.
pub(crate) async fn publish(session: &Session<'_>, file: &Path) -> Result<(), Failure> {
    let statement = SignedStatement {
        statement: statement::text(file)?,
    };
    let wait = session.wait();
    let published = session.client().publish_revocation(&statement, &wait);
    let answer = session.make(published).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let one = answer.value;
    let name = if one.name.is_empty() {
        &one.id
    } else {
        &one.name
    };
    let words = match one.stay_good {
        Some(good) => format!(
            "the authority {} is withdrawn; {good} of its certificates and revocations stay good",
            printable(name)
        ),
        None => format!("{} is revoked", printable(name)),
    };
    session.output.line(&words)
}
