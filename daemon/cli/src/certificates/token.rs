//! Commands about tokens.

use crate::args::{self, CreateToken};
use crate::failure::Failure;
use crate::ids::{self, Match};
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::printable;
use api::tokens::{NewToken, TokenScope};

/// `muster token create`: in a pipe the token and nothing else, so that it can go straight into a
/// file.
pub(crate) async fn create(session: &Session<'_>, args: &CreateToken) -> Result<(), Failure> {
    let token = NewToken {
        scope: match args.scope {
            args::TokenScope::Page => TokenScope::Page,
            args::TokenScope::Read => TokenScope::Read,
            args::TokenScope::Sd => TokenScope::Sd,
        },
        ttl: args.ttl.clone(),
    };
    let wait = session.wait();
    let answer = session
        .make(session.client().create_token(&token, &wait))
        .await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let created = answer.value;
    session.output.line(&printable(&created.token))?;
    if session.output.is_for_people() {
        let until = session.time(&created.expires_at.to_string());
        let (id, scope) = (printable(&created.id), printable(created.scope.as_str()));
        let note = format!(
            "valid for {scope} until {until}; shown only now; muster token revoke {id} ends it"
        );
        session
            .output
            .line(&session.output.paint(&note, Paint::Dim))?;
    }
    Ok(())
}

/// `muster token list`, those that end first at the top.
pub(crate) async fn list(session: &Session<'_>) -> Result<(), Failure> {
    let answer = session.ask(session.client().tokens()).await?;
    if session.output.is_json() {
        return session.output.json(&answer.raw);
    }
    let mut tokens = answer.value;
    tokens.sort_by_key(|token| token.expires_at);
    let mut table = Table::new(&["ID", "SCOPE", "UID", "EXPIRES"]);
    for token in &tokens {
        let expires = session.time(&token.expires_at.to_string());
        table.row([
            token.id.as_str().into(),
            token.scope.as_str().into(),
            token.uid.to_string().into(),
            Cell::painted(&expires, Paint::Dim),
        ]);
    }
    session.output.table(&table)
}

/// `muster token revoke`.
pub(crate) async fn revoke(session: &Session<'_>, typed: &str) -> Result<(), Failure> {
    let tokens = session.ask(session.client().tokens()).await?.value;
    let id = pick(typed, tokens.iter().map(|token| token.id.as_str()))?;
    let wait = session.wait();
    session
        .make(session.client().revoke_token(&id, &wait))
        .await?;
    if session.output.is_json() {
        Ok(())
    } else {
        session
            .output
            .line(&format!("revoked the token {}", printable(&id)))
    }
}

fn pick<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Result<String, Failure> {
    match ids::find(typed, known) {
        Match::One(id) => Ok(id),
        Match::TooShort => Err(Failure::Usage(format!(
            "{typed:?} is too short for an id: 3 or more characters of \
                its beginning or end are needed"
        ))),
        Match::Nothing => Err(Failure::NotFound(format!(
            "no token has an id that begins or ends \
            with {typed:?}"
        ))),
        Match::Several(ids) => {
            let lines: String = ids
                .iter()
                .map(|id| format!("\n  {}", printable(id)))
                .collect();
            Err(Failure::Usage(format!(
                "{typed:?} may be any of these:{lines}"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_few_characters_name_a_token() {
        let pick = |typed| super::pick(typed, ["64a1576da8d3d794", "64a202accba48373"].into_iter());
        assert_eq!(pick("64A1").ok().as_deref(), Some("64a1576da8d3d794"));
        assert_eq!(pick("373").ok().as_deref(), Some("64a202accba48373"));
        for (typed, code) in [("64a", 2), ("64", 2), ("fff", 3)] {
            assert_eq!(
                pick(typed).map_err(|failure| failure.code()),
                Err(code),
                "{typed}"
            );
        }
    }
}
