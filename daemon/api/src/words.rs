//! Closed sets of words that may grow: a program keeps a word that is newer than itself.

/// Defines enums whose values are words. Each reads as any word, known or not, and has a schema with
/// the known ones.
macro_rules! words {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident { $( $(#[doc = $about:literal])+ $variant:ident = $word:literal, )+ }
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[doc = $about])+ $variant, )+
            /// A word that this version does not know.
            Other(String),
        }

        impl $name {
            /// All words that this version knows, in the order of the documentation.
            pub const KNOWN: &[Self] = &[$(Self::$variant),+];

            /// The word.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl $name {
            /// Whether this version knows the word.
            pub fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Word;

                impl serde::de::Visitor<'_> for Word {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a word")
                    }

                    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<$name, E> {
                        Ok(word.into())
                    }
                }

                deserializer.deserialize_str(Word)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let about = [$(concat!("\n- `", $word, "`:", $($about),+)),+];
                let description = concat!($($doc),+).trim_start().to_owned() + "\n" + &about.concat();
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .enum_values(Some([$($word),+]))
                    .description(Some(description))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}
pub(crate) use words;

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro makes what is public elsewhere")]
mod tests {
    words! {
        /// The state of water.
        Water {
            /// Below 0 °C.
            Ice = "ice",
            /// Above
            /// 100 °C.
            Steam = "steam",
        }
    }

    #[test]
    fn a_word_that_is_not_known_is_kept() {
        let read: Vec<Water> = serde_json::from_str(r#"["ice", "plasma"]"#).unwrap();
        assert_eq!(read, [Water::Ice, Water::Other("plasma".into())]);
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["ice","plasma"]"#);
        assert!(read[0].is_known() && !read[1].is_known());
        assert_eq!(Water::KNOWN, [Water::Ice, Water::Steam]);
    }

    #[test]
    fn a_schema_has_the_words_that_are_known() {
        let schema = serde_json::to_value(<Water as utoipa::PartialSchema>::schema()).unwrap();
        assert_eq!(
            schema,
            serde_json::json!({
                "type": "string",
                "enum": ["ice", "steam"],
                "description": "The state of water.\n\n- `ice`: Below 0 °C.\n- `steam`: Above 100 °C.",
            })
        );
    }
}
