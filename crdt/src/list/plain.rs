//! Values as other programs write them, and what a list makes of them.
//!
//! JavaScript writes strings as texts and any number as it likes. What has the wrong type is no
//! value at all, never an error: other replicas hold it too.

use automerge::{Automerge, ObjId, ObjType, ReadDoc, ScalarValue, ScalarValueRef, Value, ValueRef};

/// Integers beyond this are not exact in JavaScript, which reads and writes these documents too.
const MAX_INTEGER: i64 = (1 << 53) - 1;
/// A value as far as a list makes use of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plain {
    Null,
    Text(String),
    Integer(i64),
    Time(i64),
    Other,
}

impl Plain {
    /// One of several concurrent values.
    pub(super) fn of(doc: &Automerge, value: &Value<'_>, op: &ObjId) -> Self {
        match value {
            Value::Object(kind) => Self::of_object(doc, *kind, op),
            Value::Scalar(scalar) => Self::of_scalar(scalar),
        }
    }

    /// A value that is no object.
    pub(super) fn of_scalar(value: &ScalarValue) -> Self {
        match value {
            ScalarValue::Str(text) => Self::Text(text.to_string()),
            ScalarValue::Int(value) => Self::of_i64(*value),
            ScalarValue::Uint(value) => Self::of_u64(*value),
            ScalarValue::F64(value) => Self::of_f64(*value),
            ScalarValue::Timestamp(ms) => Self::Time(*ms),
            ScalarValue::Null => Self::Null,
            ScalarValue::Bytes(_)
            | ScalarValue::Counter(_)
            | ScalarValue::Boolean(_)
            | ScalarValue::Unknown { .. } => Self::Other,
        }
    }

    /// The value of a range's item.
    pub(super) fn of_ref(doc: &Automerge, value: &ValueRef<'_>, op: &ObjId) -> Self {
        match value {
            ValueRef::Object(kind) => Self::of_object(doc, *kind, op),
            ValueRef::Scalar(scalar) => match scalar {
                ScalarValueRef::Str(text) => Self::Text(text.to_string()),
                ScalarValueRef::Int(value) => Self::of_i64(*value),
                ScalarValueRef::Uint(value) => Self::of_u64(*value),
                ScalarValueRef::F64(value) => Self::of_f64(*value),
                ScalarValueRef::Timestamp(ms) => Self::Time(*ms),
                ScalarValueRef::Null => Self::Null,
                ScalarValueRef::Bytes(_)
                | ScalarValueRef::Counter(_)
                | ScalarValueRef::Boolean(_)
                | ScalarValueRef::Unknown { .. } => Self::Other,
            },
        }
    }

    fn of_object(doc: &Automerge, kind: ObjType, op: &ObjId) -> Self {
        match kind {
            ObjType::Text => doc.text(op).map_or(Self::Other, Self::Text),
            ObjType::Map | ObjType::List | ObjType::Table => Self::Other,
        }
    }

    pub(super) fn of_i64(value: i64) -> Self {
        if value.unsigned_abs() <= MAX_INTEGER.unsigned_abs() {
            Self::Integer(value)
        } else {
            Self::Other
        }
    }

    fn of_u64(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Other, Self::of_i64)
    }

    fn of_f64(value: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "2^53 - 1 is exact")]
        let most = MAX_INTEGER as f64;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "integral and within 53 bits"
        )]
        if value.fract() == 0.0 && value.abs() <= most {
            Self::Integer(value as i64)
        } else {
            Self::Other
        }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            Self::Null | Self::Text(_) | Self::Time(_) | Self::Other => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Integer(_) | Self::Time(_) | Self::Other => None,
        }
    }

    /// As it is written again; `None` for what this program does not understand.
    pub(super) fn scalar(&self) -> Option<ScalarValue> {
        match self {
            Self::Null => Some(ScalarValue::Null),
            Self::Text(text) => Some(text.as_str().into()),
            Self::Integer(value) => Some(ScalarValue::Int(*value)),
            Self::Time(ms) => Some(ScalarValue::Timestamp(*ms)),
            Self::Other => None,
        }
    }

    /// A text that may be cleared; an empty one is a cleared one.
    pub(crate) fn text(&self) -> Option<Option<String>> {
        match self {
            Self::Null => Some(None),
            Self::Text(text) => Some(Some(text.clone()).filter(|text| !text.is_empty())),
            Self::Integer(_) | Self::Time(_) | Self::Other => None,
        }
    }
}
