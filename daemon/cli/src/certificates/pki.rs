//! `muster pki`: certificates, made where the authority's key is.

use super::{issued, statement};
use crate::args::Pki;
use crate::failure::Failure;
use crate::output::Output;
use crate::program::{Program, SignError};
use crate::session::Session;
use crate::text::printable;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use names::Role;
use pki::files::Replace;
use pki::{Issued, PkiError, Unrenewed};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs one of the commands. No daemon is asked but for who is revoked.
pub(crate) async fn run(
    command: &Pki,
    program: &Program,
    session: &Session<'_>,
) -> Result<(), Failure> {
    let output = session.output;
    match command {
        Pki::Init { dir } => {
            let made = pki::init(dir).map_err(failure)?;
            let words = format!(
                "made the certificate authority of a new cluster in {}: keep ca.key \
                    there, it belongs on no node",
                dir.display()
            );
            told_made(&made, dir, &words, output)
        }
        Pki::Rotate { dir } => {
            let made = pki::rotate(dir).map_err(failure)?;
            let words = format!(
                "made a new authority in {}; ca.pem holds both: bring it to all nodes and reload \
                    them before you renew a certificate",
                dir.display()
            );
            told_made(&made, dir, &words, output)
        }
        Pki::Retire { dir, force } => retire(dir, *force, output),
        Pki::Authority {
            name,
            dir,
            out,
            days,
        } => {
            let made = pki::delegate(dir, name, out, days_long(*days)).map_err(failure)?;
            let words = format!(
                "wrote authority.pem and authority.key of {} to {}, valid until {}",
                printable(name),
                out.display(),
                output.time(&expires(made.not_after), &TimeZone::system())
            );
            told(
                output,
                &words,
                &json!({ "cluster": HEXLOWER.encode(&made.cluster), "out": out, "not_after": expires(made.not_after) }),
            )
        }
        Pki::Sign { file, dir, out } => sign(program, dir, (file, out.as_deref()), output),
        Pki::List { dir } => issued::list(dir, session).await,
        Pki::Issue {
            name,
            dir,
            out,
            renew,
            rename,
            role,
            days,
        } => {
            let role = role.map(Role::from).unwrap_or_default();
            let out = out.clone().unwrap_or_else(|| PathBuf::from(name));
            let life = days_long(*days);
            let issued = match rename {
                Some(old) => pki::rename(dir, (old, name), &out, life),
                None if *renew => pki::renew(dir, name, &out, life),
                None => pki::issue(dir, (name, role), &out, life),
            };
            told_issued(&issued.map_err(failure)?, &out, output)
        }
    }
}

/// Ends the trust in the authorities that were replaced.
fn retire(dir: &Path, force: bool, output: &Output) -> Result<(), Failure> {
    let unrenewed = if force {
        Unrenewed::ShutOut
    } else {
        Unrenewed::Refuse
    };
    let retired = pki::retire(dir, unrenewed).map_err(failure)?;
    let shown = dir.display();
    let words = match retired {
        0 => format!("ca.pem in {shown} holds one authority: nothing was changed"),
        _ => format!(
            "ca.pem in {shown} trusts the newest authority only, and keeps those before it to check what \
             was written to lists: bring it to all nodes and reload them"
        ),
    };
    told(output, &words, &json!({ "dir": dir, "retired": retired }))
}

/// Signs a withdrawal, and says what it says.
fn sign(
    program: &Program,
    dir: &Path,
    (file, out): (&Path, Option<&Path>),
    output: &Output,
) -> Result<(), Failure> {
    let draft = statement::read(file)?;
    let signed = (program.sign)(dir, &draft).map_err(|error| match error {
        SignError::Draft(words) => Failure::Usage(format!("{}: {words}", file.display())),
        SignError::Key(error) => failure(error),
    })?;
    let replace = out.map_or(Replace::Yes, |_| Replace::No);
    let out = out.unwrap_or(file);
    statement::write(out, &signed.statement, replace).map_err(failure)?;
    let at = Timestamp::from_millisecond(signed.at_ms).unwrap_or_default();
    let at = at.to_string();
    let words = format!(
        "signed in {}: the authority {} with the key {} is withdrawn, and {} of its certificates and \
         revocations stay good; drafted by {} at {}; reason: {}",
        out.display(),
        printable(&signed.name),
        signed.key,
        signed.good,
        printable(&signed.by),
        output.time(&at, &TimeZone::system()),
        printable(&signed.reason)
    );
    let answer = json!({
        "file": out, "name": signed.name, "key": signed.key, "reason": signed.reason, "at": at,
        "by": signed.by, "stay_good": signed.good,
    });
    told(output, &words, &answer)
}

fn told_made(
    made: &pki::Authority,
    dir: &Path,
    words: &str,
    output: &Output,
) -> Result<(), Failure> {
    let answer = json!({ "cluster": HEXLOWER.encode(&made.cluster), "dir": dir, "not_after": expires(made.not_after) });
    told(output, words, &answer)
}

fn told_issued(issued: &Issued, out: &Path, output: &Output) -> Result<(), Failure> {
    let words = format!(
        "wrote ca.pem, node.pem and node.key of {} to {}, valid until {}",
        printable(&issued.name),
        out.display(),
        output.time(&expires(issued.not_after), &TimeZone::system())
    );
    let answer = json!({ "id": HEXLOWER.encode(&issued.id), "name": issued.name, "role": issued.role, "out": out, "not_after": expires(issued.not_after) });
    told(output, &words, &answer)
}

fn days_long(days: u16) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 60 * 60)
}

/// A time of a certificate, in RFC 3339.
pub(super) fn expires(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| String::new(), |at| at.to_string())
}

fn told(output: &Output, words: &str, json: &Value) -> Result<(), Failure> {
    if output.is_json() {
        output.json(json)
    } else {
        output.line(words)
    }
}

pub(super) fn failure(error: PkiError) -> Failure {
    let words = error.to_string();
    match error {
        PkiError::Name(_) => Failure::Usage(words),
        PkiError::NotIssued(_) => Failure::NotFound(words),
        PkiError::Exists { .. } | PkiError::Issued { .. } => Failure::Conflict(words),
        PkiError::Unrenewed(_) => Failure::Conflict(format!(
            "{words}; --force retires it all the same, where they were renewed elsewhere or are not to \
             come back"
        )),
        PkiError::File { .. }
        | PkiError::Record { .. }
        | PkiError::Authority(_)
        | PkiError::Key { .. }
        | PkiError::NoDelegates { .. }
        | PkiError::Distrusted { .. }
        | PkiError::Generate(_) => Failure::Failed(words),
    }
}
