//! A deserializer that reads no bytes: whatever is asked for is drawn.

use super::Dice;
use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor, value,
};
use serde::forward_to_deserialize_any;

/// How many elements a sequence or a map has at most.
const MAX_ELEMENTS: usize = 3;

/// Draws a value.
pub(super) struct Maker<'a> {
    dice: &'a mut dyn Dice,
    /// The nearest field around the value.
    field: &'static str,
}

impl<'a> Maker<'a> {
    pub(super) fn new(dice: &'a mut dyn Dice) -> Self {
        Self { dice, field: "" }
    }

    /// For a part of the value that has no field of its own.
    fn part(&mut self) -> Maker<'_> {
        self.of(self.field)
    }

    fn of(&mut self, field: &'static str) -> Maker<'_> {
        Maker {
            dice: &mut *self.dice,
            field,
        }
    }

    fn is_so(&mut self) -> bool {
        self.dice.below(2) == 1
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $kind:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            let number = self.dice.number(self.field);
            visitor.$visit(<$kind>::try_from(number).unwrap_or(<$kind>::MAX))
        }
    )*};
}

impl<'de> Deserializer<'de> for Maker<'_> {
    type Error = value::Error;

    numbers! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_bool(self.is_so())
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_string(self.dice.text(self.field))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_byte_buf(self.dice.blob(self.field))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.is_so() {
            visitor.visit_some(self)
        } else {
            visitor.visit_none()
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let left = self.dice.below(MAX_ELEMENTS + 1);
        visitor.visit_seq(Parts { maker: self, left })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let left = self.dice.below(MAX_ELEMENTS + 1);
        visitor.visit_map(Parts { maker: self, left })
    }

    /// A tuple of more than three is an array of bytes: an id, an address.
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if length > 3 {
            let bytes = self.dice.array(self.field, length);
            return visitor.visit_seq(value::SeqDeserializer::new(bytes.into_iter()));
        }
        visitor.visit_seq(Parts {
            maker: self,
            left: length,
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_seq(Fields {
            maker: self,
            fields: fields.iter(),
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(Variant {
            of: variants.len(),
            maker: self,
        })
    }

    forward_to_deserialize_any! { f32 f64 char unit unit_struct identifier ignored_any }
}

/// So many values one after the other.
struct Parts<'a> {
    maker: Maker<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = value::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Self::Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.maker.part()).map(Some)
    }
}

impl<'de> MapAccess<'de> for Parts<'_> {
    type Error = value::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Self::Error> {
        seed.deserialize(self.maker.part())
    }
}

/// The fields of a structure.
struct Fields<'a> {
    maker: Maker<'a>,
    fields: std::slice::Iter<'static, &'static str>,
}

impl<'de> SeqAccess<'de> for Fields<'_> {
    type Error = value::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Self::Error> {
        let Some(field) = self.fields.next() else {
            return Ok(None);
        };
        seed.deserialize(self.maker.of(field)).map(Some)
    }
}

/// One of so many variants.
struct Variant<'a> {
    of: usize,
    maker: Maker<'a>,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a> {
    type Error = value::Error;
    type Variant = Maker<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), Self::Error> {
        let drawn = u32::try_from(self.maker.dice.below(self.of)).unwrap_or(0);
        let index: U32Deserializer<value::Error> = drawn.into_deserializer();
        Ok((seed.deserialize(index)?, self.maker))
    }
}

impl<'de> VariantAccess<'de> for Maker<'_> {
    type Error = value::Error;

    fn unit_variant(self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, Self::Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_struct("", fields, visitor)
    }
}
