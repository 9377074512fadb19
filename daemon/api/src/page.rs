//! Lists of things, a page at a time.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// Which page of a list of things.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many at most. A page of large things may have fewer.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

/// A page of some kind of things.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Page<T> {
    /// The things, in the order of the call.
    pub items: Vec<T>,
    /// To be given as `cursor` for what follows; null at the end.
    pub next: Option<String>,
}

/// Things as they are, with which a stream begins: in several parts if they are many.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Snapshot<T> {
    /// The things, at most 1000.
    pub items: Vec<T>,
    /// Whether this is the last part; what follows it is what happens.
    pub last: bool,
}

fn items<T: ToSchema>(described: &str) -> ArrayBuilder {
    ArrayBuilder::new()
        .items(Ref::from_schema_name(T::name()))
        .description(Some(described))
}

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let next = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some(
                "To be given as `cursor` for what follows; null at the end.",
            ));
        ObjectBuilder::new()
            .description(Some("A page of them."))
            .property("items", items::<T>("In the order of the call."))
            .required("items")
            .property("next", next)
            .required("next")
            .into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

impl<T: ToSchema> PartialSchema for Snapshot<T> {
    fn schema() -> RefOr<Schema> {
        let last = ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .description(Some("Whether this is the last part."));
        ObjectBuilder::new()
            .description(Some("Things as they are, with which a stream begins."))
            .property("items", items::<T>("At most 1000 of them."))
            .required("items")
            .property("last", last)
            .required("last")
            .into()
    }
}

impl<T: ToSchema> ToSchema for Snapshot<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Snapshot", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}
