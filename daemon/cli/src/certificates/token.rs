//! Commands about tokens.

use crate::args::CreateToken;
use crate::failure::Failure;
use crate::ids::{self, Match};
use crate::session::Session;
use crate::table::{Cell, Paint, Table};
use crate::text::printable;
use clap::ValueEnum;
use client::ApiPath;
use hyper::Method;
use serde_json::{Value, json};

/// `muster token create`: in a pipe the token and nothing else, so that it can go straight into a
/// file.
pub(crate) async fn create(session: &Session<'_>, args: &CreateToken) -> Result<(), Failure> {
    let scope = args
        .scope
        .to_possible_value()
        .map(|scope| scope.get_name().to_owned());
    let mut body = json!({ "scope": scope });
    if let (Some(ttl), Some(fields)) = (&args.ttl, body.as_object_mut()) {
        fields.insert("ttl".to_owned(), ttl.as_str().into());
    }
    let path = ApiPath::new(&["tokens"]).query("timeout", &session.timeout());
    let created = session.send(Method::POST, &path, Some(&body)).await?;
    if session.output.is_json() {
        return session.output.json(&created);
    }
    session.output.line(&printable(text(&created, "token")))?;
    if session.output.is_for_people() {
        let until = session.time(text(&created, "expires_at"));
        let (id, scope) = (
            printable(text(&created, "id")),
            printable(text(&created, "scope")),
        );
        let note = format!(
            "good for {scope} until {until}; shown only now; muster token revoke \
            {id} ends it"
        );
        session
            .output
            .line(&session.output.paint(&note, Paint::Dim))?;
    }
    Ok(())
}

/// `muster token list`, those that end first at the top.
pub(crate) async fn list(session: &Session<'_>) -> Result<(), Failure> {
    let mut tokens = session.items(&ApiPath::new(&["tokens"])).await?;
    if session.output.is_json() {
        return session
            .output
            .json(&json!({ "items": tokens, "next": null }));
    }
    tokens.sort_by(|a, b| text(a, "expires_at").cmp(text(b, "expires_at")));
    let mut table = Table::new(&["ID", "SCOPE", "UID", "EXPIRES"]);
    for token in &tokens {
        let uid = token
            .get("uid")
            .and_then(Value::as_u64)
            .unwrap_or(0)
            .to_string();
        let expires = session.time(text(token, "expires_at"));
        table.row([
            Cell::from(text(token, "id")),
            text(token, "scope").into(),
            uid.into(),
            Cell::painted(&expires, Paint::Dim),
        ]);
    }
    session.output.table(&table)
}

/// `muster token revoke`.
pub(crate) async fn revoke(session: &Session<'_>, typed: &str) -> Result<(), Failure> {
    let tokens = session.items(&ApiPath::new(&["tokens"])).await?;
    let id = pick(typed, &tokens)?;
    let path = ApiPath::new(&["tokens", &id]).query("timeout", &session.timeout());
    session.send(Method::DELETE, &path, None).await?;
    if session.output.is_json() {
        Ok(())
    } else {
        session
            .output
            .line(&format!("revoked the token {}", printable(&id)))
    }
}

fn pick(typed: &str, tokens: &[Value]) -> Result<String, Failure> {
    match ids::find(typed, tokens.iter().map(|token| text(token, "id"))) {
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

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_characters_name_a_token() {
        let tokens = [
            json!({ "id": "64a1576da8d3d794" }),
            json!({ "id": "64a202accba48373" }),
        ];
        assert_eq!(
            pick("64A1", &tokens).ok().as_deref(),
            Some("64a1576da8d3d794")
        );
        assert_eq!(
            pick("373", &tokens).ok().as_deref(),
            Some("64a202accba48373")
        );
        for (typed, code) in [("64a", 2), ("64", 2), ("fff", 3)] {
            assert_eq!(
                pick(typed, &tokens).map_err(|failure| failure.code()),
                Err(code),
                "{typed}"
            );
        }
    }
}
