//! Query strings, strictly: a parameter that a call does not know, or that comes twice, is an error
//! and not ignored.
//!
//! A call takes groups of parameters: `Query<(Page, Filter)>`. What a group looks like on the wire
//! is a type of the `api` crate, which clients write queries from; each group picks its parameters
//! by the names of that type's fields, and what no group has picked is refused. (One struct of all
//! groups by serde's `flatten` would not do: it keeps what is left over, and reads no numbers from
//! text.)

use crate::config::nearest::nearest;
use crate::http::problem::{Kind, Problem, Refuses};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt::{self, Display};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

/// The parameters of a call, and no others.
#[derive(Debug)]
pub(crate) struct Query<G>(pub(crate) G);

/// Parameters that belong together, checked.
pub(crate) trait Group: Sized {
    /// As they are written.
    type Written: DeserializeOwned + IntoParams;

    /// Checks what was written.
    fn check(written: Self::Written) -> Result<Self, Problem>;
}

/// Groups whose parameters need no check beyond their types.
macro_rules! unchecked {
    ($($group:ty),+) => {$(
        impl Group for $group {
            type Written = Self;

            fn check(written: Self) -> Result<Self, Problem> {
                Ok(written)
            }
        }
    )+};
}

unchecked!(
    api::cluster::AwayQuery,
    api::cluster::LeaveQuery,
    api::lists::ListsQuery,
    api::processes::LinkQuery,
    api::quarantine::ReplaceQuery,
    api::processes::MonitorQuery
);

/// All groups of a call.
pub(crate) trait Groups: Sized {
    fn take(given: &mut Given) -> Result<Self, Problem>;
    fn params() -> Vec<Parameter>;
}

macro_rules! groups {
    ($($group:ident)*) => {
        impl<$($group: Group),*> Groups for ($($group,)*) {
            fn take(_given: &mut Given) -> Result<Self, Problem> {
                Ok(($($group::check(_given.take()?)?,)*))
            }

            fn params() -> Vec<Parameter> {
                let of_groups: Vec<Vec<Parameter>> =
                    vec![$($group::Written::into_params(|| Some(ParameterIn::Query))),*];
                of_groups.concat()
            }
        }
    };
}

groups!();
groups!(A);
groups!(A B);
groups!(A B C);
groups!(A B C D);

impl<G: Groups> Query<G> {
    /// Reads `a=1&b=2` as forms write it: `+` is a space, `%41` an `A`.
    pub(crate) fn parse(raw: Option<&str>) -> Result<Self, Problem> {
        let mut given = Given::parse(raw)?;
        let groups = G::take(&mut given)?;
        given.end()?;
        Ok(Self(groups))
    }
}

impl<S: Sync, G: Groups> FromRequestParts<S> for Query<G> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query())
    }
}

impl<G: Groups> Refuses for Query<G> {
    fn kinds() -> Vec<Kind> {
        if G::params().is_empty() {
            vec![Kind::Malformed]
        } else {
            vec![Kind::Malformed, Kind::Invalid]
        }
    }
}

impl<G: Groups> IntoParams for Query<G> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        G::params()
    }
}

/// What was given and not taken yet.
pub(crate) struct Given {
    pairs: Vec<(String, String)>,
    /// The names that were asked for.
    known: Vec<&'static str>,
}

impl Given {
    fn parse(raw: Option<&str>) -> Result<Self, Problem> {
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

    fn take<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        T::deserialize(self).map_err(|Wrong(problem)| problem)
    }

    /// Takes all values of a parameter, in their order.
    fn all(&mut self, name: &'static str) -> Option<(&'static str, Values)> {
        let values: Vec<String> = self
            .pairs
            .extract_if(.., |(given, _)| given == name)
            .map(|(_, value)| value)
            .collect();
        (!values.is_empty()).then_some((name, Values { name, values }))
    }

    /// Refuses what nobody took.
    fn end(self) -> Result<(), Problem> {
        let Some((name, _)) = self.pairs.first() else {
            return Ok(());
        };
        let known = match nearest(name, self.known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None if self.known.is_empty() => "it takes none".to_owned(),
            None => format!("known: {}", self.known.join(", ")),
        };
        Err(Problem::malformed(format!(
            "the parameter {name:?} is unknown here; {known}"
        )))
    }
}

fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    match percent_decode(spaced.as_bytes()).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(Problem::malformed(format!(
            "the query has {text:?}, which is not UTF-8 when decoded"
        ))),
    }
}

/// What is wrong with a group, on its way through serde.
#[derive(Debug)]
pub(crate) struct Wrong(Problem);

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.detail())
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: Display>(detail: T) -> Self {
        Self(Problem::malformed(detail))
    }

    fn missing_field(name: &'static str) -> Self {
        Self::custom(format!("the parameter {name:?} is missing"))
    }
}

/// A struct takes the parameters that its fields are named after.
impl<'de> Deserializer<'de> for &mut Given {
    type Error = Wrong;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.known.extend(fields);
        let taken: Vec<_> = fields.iter().filter_map(|name| self.all(name)).collect();
        visitor.visit_map(MapDeserializer::new(taken.into_iter()))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        Err(de::Error::invalid_type(de::Unexpected::Map, &visitor))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The values of one parameter: one, unless its field is a list.
struct Values {
    name: &'static str,
    values: Vec<String>,
}

impl Values {
    fn one(mut self) -> Result<String, Wrong> {
        match (self.values.pop(), self.values.is_empty()) {
            (Some(value), true) => Ok(value),
            _ => Err(de::Error::custom(format!(
                "the parameter {:?} is given more than once",
                self.name
            ))),
        }
    }

    fn parse<T: std::str::FromStr>(self, right: &str) -> Result<T, Wrong> {
        let name = self.name;
        let text = self.one()?;
        text.parse().map_err(|_| {
            let detail = format!("{name:?} is {text:?}; it must be {right}");
            Wrong(Problem::invalid(detail))
        })
    }
}

impl<'de> IntoDeserializer<'de, Wrong> for Values {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Values {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_string(self.one()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_seq(SeqDeserializer::new(self.values.into_iter()))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_bool(self.parse("true or false")?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_u32(self.parse("a whole number from 0")?)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, PartialEq, Eq, IntoParams)]
    struct Sample {
        title: Option<String>,
        tag: Option<Vec<String>>,
        force: Option<bool>,
        limit: Option<u32>,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq, IntoParams)]
    struct Needed {
        list: String,
    }

    unchecked!(Sample, Needed);

    fn sample(text: &str) -> Result<Sample, Problem> {
        Query::<(Sample,)>::parse(Some(text)).map(|Query((sample,))| sample)
    }

    fn refused(text: &str) -> (u16, String) {
        let problem = sample(text).unwrap_err();
        (problem.status(), problem.detail().to_owned())
    }

    #[test]
    fn a_value_is_decoded_as_forms_encode_it() {
        let expected = Sample {
            title: Some("a b+c".into()),
            tag: Some(vec!["x".into(), "é".into()]),
            force: Some(true),
            limit: Some(3),
        };
        let text = "title=a+b%2Bc&tag=x&tag=%C3%A9&force=true&limit=3";
        assert_eq!(sample(text).unwrap(), expected);
        assert_eq!(sample("title").unwrap().title.as_deref(), Some(""));
        assert_eq!(sample("").unwrap(), Sample::default());
    }

    #[test]
    fn each_group_takes_its_own() {
        let query = Query::<(Needed, Sample)>::parse(Some("limit=3&list=a"));
        let Query((needed, sample)) = query.unwrap();
        assert_eq!((needed.list.as_str(), sample.limit), ("a", Some(3)));
        let missing = Query::<(Needed, Sample)>::parse(Some("limit=3")).unwrap_err();
        assert_eq!(missing.detail(), "the parameter \"list\" is missing");
    }

    #[test]
    fn an_unknown_parameter_is_answered_with_what_was_meant() {
        let near = (
            400,
            "the parameter \"limits\" is unknown here; did you mean \"limit\"?".to_owned(),
        );
        assert_eq!(refused("title=a&limits=3"), near);
        let far = "the parameter \"colour\" is unknown here; known: title, tag, force, limit";
        assert_eq!(refused("limit=3&colour=red"), (400, far.to_owned()));
        assert_eq!(
            Query::<()>::parse(Some("x=1")).unwrap_err().detail(),
            "the parameter \"x\" is unknown here; it takes none"
        );
    }

    #[test]
    fn a_parameter_that_is_given_twice_is_refused() {
        assert_eq!(refused("title=1&title=2").0, 400);
        assert_eq!(refused("limit=1&limit=2").0, 400);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(refused("title=%FF").0, 400);
    }

    #[test]
    fn a_value_of_another_type_is_named() {
        let flag = "\"force\" is \"1\"; it must be true or false";
        assert_eq!(refused("force=1"), (422, flag.to_owned()));
        assert_eq!(refused("limit=x").0, 422);
        assert_eq!(refused("limit=").0, 422);
    }
}
