//! Query strings, strictly: a parameter that a call does not know, or that comes twice, is an error
//! and not ignored.

use crate::http::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode;

/// The parameters of a call. A handler takes those that it knows out of it, then calls
/// [`Query::end`].
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Query {
    /// Reads `a=1&b=2` as forms write it: `+` is a space, `%41` an `A`.
    pub(crate) fn parse(raw: Option<&str>) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        for pair in raw
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self {
            pairs,
            known: Vec::new(),
        })
    }

    /// Takes a parameter that may be given once.
    pub(crate) fn one(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let mut values = self.all(name);
        let value = values.pop();
        if values.is_empty() {
            Ok(value)
        } else {
            Err(Problem::malformed(format!(
                "the parameter {name:?} is given more than once"
            )))
        }
    }

    /// Takes a parameter that may be repeated.
    pub(crate) fn all(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        if self.pairs.is_empty() {
            return Vec::new();
        }
        self.pairs
            .extract_if(.., |(given, _)| given == name)
            .map(|(_, value)| value)
            .collect()
    }

    /// Takes a parameter that is `true` or `false`; false without.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, Problem> {
        match self.one(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Problem::invalid(format!(
                "{name:?} is {other:?}; true or false is \
                right"
            ))),
        }
    }

    /// Refuses what nobody took.
    pub(crate) fn end(self) -> Result<(), Problem> {
        let Some((name, _)) = self.pairs.first() else {
            return Ok(());
        };
        let known = if self.known.is_empty() {
            "none".to_owned()
        } else {
            self.known.join(", ")
        };
        Err(Problem::malformed(format!(
            "the parameter {name:?} is unknown here; known: {known}"
        )))
    }
}

fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    match percent_decode(spaced.as_bytes()).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(Problem::malformed(format!(
            "the query has {text:?}, which is not UTF-8 when \
            decoded"
        ))),
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(Some(text)).unwrap()
    }

    #[test]
    fn a_value_is_decoded_as_forms_encode_it() {
        let mut query = query("title=a+b%2Bc&tag=x&tag=%C3%A9&flag");
        assert_eq!(query.one("title").unwrap().as_deref(), Some("a b+c"));
        assert_eq!(query.all("tag"), ["x", "é"]);
        assert_eq!(query.one("flag").unwrap().as_deref(), Some(""));
        assert!(query.end().is_ok());
    }

    #[test]
    fn an_unknown_parameter_is_named_with_those_that_are_known() {
        let mut query = query("limit=3&colour=red");
        query.one("limit").unwrap();
        let problem = query.end().unwrap_err();
        assert_eq!(problem.status(), 400);
        assert_eq!(
            problem.detail(),
            "the parameter \"colour\" is unknown here; known: limit"
        );
    }

    #[test]
    fn a_parameter_that_is_given_twice_is_refused() {
        assert_eq!(query("a=1&a=2").one("a").unwrap_err().status(), 400);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(Query::parse(Some("a=%FF")).unwrap_err().status(), 400);
    }

    #[test]
    fn a_flag_is_true_or_false() {
        assert!(query("force=true").flag("force").unwrap());
        assert!(!query("force=false").flag("force").unwrap() && !query("").flag("force").unwrap());
        assert_eq!(query("force=1").flag("force").unwrap_err().status(), 422);
    }
}
