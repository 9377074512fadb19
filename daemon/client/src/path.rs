//! Paths of the API, with names of people's choice in them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// What RFC 3986 leaves alone, but for the dot: a segment `..` must not be taken for a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// A path with its query, each part percent-encoded as it is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiPath {
    path: String,
    query: String,
}

impl ApiPath {
    /// `/v1` and these segments: `ApiPath::new(&["lists", name])`.
    pub fn new(segments: &[&str]) -> Self {
        let mut path = "/v1".to_owned();
        for segment in segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment, ESCAPED));
        }
        Self {
            path,
            query: String::new(),
        }
    }

    /// A path beside `/v1`, such as `metrics`.
    pub fn outside(segment: &str) -> Self {
        Self {
            path: format!("/{}", utf8_percent_encode(segment, ESCAPED)),
            query: String::new(),
        }
    }

    /// With one more query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query
            .push(if self.query.is_empty() { '?' } else { '&' });
        self.query.extend(utf8_percent_encode(name, ESCAPED));
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, ESCAPED));
        self
    }

    /// With the parameters of a query of the `api` crate: those that have a value, and each value
    /// of a list.
    #[must_use]
    pub fn with(self, query: &impl Serialize) -> Self {
        let Ok(Value::Object(fields)) = serde_json::to_value(query) else {
            return self;
        };
        let mut path = self;
        for (name, value) in fields {
            let values = match value.as_array() {
                Some(values) => values.as_slice(),
                None => std::slice::from_ref(&value),
            };
            for value in values.iter().filter(|value| !value.is_null()) {
                path = match value.as_str() {
                    Some(text) => path.query(&name, text),
                    None => path.query(&name, &value.to_string()),
                };
            }
        }
        path
    }

    /// With a query parameter, if there is a value.
    #[must_use]
    pub fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }
}

impl fmt::Display for ApiPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.path, self.query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::lists::EntriesQuery;

    #[test]
    fn a_query_is_written_as_the_daemon_reads_it() {
        let query = EntriesQuery {
            tag: Some(vec!["a b".into(), "c".into()]),
            estimate_max: Some(90),
            state: Some("open".into()),
            ..EntriesQuery::default()
        };
        assert_eq!(
            ApiPath::new(&["entries"]).with(&query).to_string(),
            "/v1/entries?estimate_max=90&state=open&tag=a%20b&tag=c"
        );
    }

    #[test]
    fn names_cannot_change_the_path() {
        let path = ApiPath::new(&["lists", "a/../b?c é", "entries"])
            .query("tag", "x&y=z")
            .maybe("due", None);
        assert_eq!(ApiPath::outside("metrics").to_string(), "/metrics");
        assert_eq!(
            path.to_string(),
            "/v1/lists/a%2F%2E%2E%2Fb%3Fc%20%C3%A9/entries?tag=x%26y%3Dz"
        );
    }
}
