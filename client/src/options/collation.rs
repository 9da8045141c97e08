//! Collation: how strings are compared.

use quorate_core::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use typed_builder::TypedBuilder;

/// How the server compares strings: the rules of a language. Only `locale` is required.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Collation {
    /// The ICU locale, such as `en` or `de@collation=phonebook`; `simple` compares bytes.
    #[builder(!default)]
    pub locale: String,
    /// Which differences count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<CollationStrength>,
    /// Whether case counts at strength `Primary` or `Secondary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_level: Option<bool>,
    /// Which case sorts first at strength `Tertiary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_first: Option<CollationCaseFirst>,
    /// Whether digits compare as numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numeric_ordering: Option<bool>,
    /// Whether spaces and punctuation count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternate: Option<CollationAlternate>,
    /// Which characters `alternate: shifted` leaves out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_variable: Option<CollationMaxVariable>,
    /// Whether text is normalized first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization: Option<bool>,
    /// Whether diacritics compare from the end of the string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backwards: Option<bool>,
}

/// Which differences between strings count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CollationStrength {
    /// Base characters only.
    Primary,
    /// And diacritics.
    Secondary,
    /// And case and variants: the server's default.
    Tertiary,
    /// And punctuation.
    Quaternary,
    /// And code points.
    Identical,
}

impl From<CollationStrength> for u32 {
    fn from(strength: CollationStrength) -> Self {
        match strength {
            CollationStrength::Primary => 1,
            CollationStrength::Secondary => 2,
            CollationStrength::Tertiary => 3,
            CollationStrength::Quaternary => 4,
            CollationStrength::Identical => 5,
        }
    }
}

impl TryFrom<u32> for CollationStrength {
    type Error = Error;

    fn try_from(level: u32) -> Result<Self, Error> {
        Ok(match level {
            1 => CollationStrength::Primary,
            2 => CollationStrength::Secondary,
            3 => CollationStrength::Tertiary,
            4 => CollationStrength::Quaternary,
            5 => CollationStrength::Identical,
            _ => {
                return Err(Error::invalid_argument(format!(
                    "a collation's strength is 1 to 5, not {level}"
                )));
            }
        })
    }
}

impl Serialize for CollationStrength {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::serde_helpers::serialize_u32(u32::from(*self), serializer)
    }
}

impl<'de> Deserialize<'de> for CollationStrength {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(u32::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for CollationStrength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        u32::from(*self).fmt(f)
    }
}

/// Declares an enum that the protocol spells as words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The protocol's word for it.
            pub fn as_str(&self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(word: &str) -> Result<Self, Error> {
                match word {
                    $($word => Ok($name::$variant),)*
                    _ => Err(Error::invalid_argument(format!(concat!("no ", stringify!($name), ": {}"), word))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Which case sorts first.
    CollationCaseFirst {
        /// Upper case.
        Upper = "upper",
        /// Lower case.
        Lower = "lower",
        /// As the locale has it.
        Off = "off",
    }
}

words! {
    /// Whether spaces and punctuation are characters like others.
    CollationAlternate {
        /// They are.
        NonIgnorable = "non-ignorable",
        /// They count at strength `Quaternary` and above only.
        Shifted = "shifted",
    }
}

words! {
    /// Which characters [`CollationAlternate::Shifted`] is about.
    CollationMaxVariable {
        /// Spaces and punctuation.
        Punct = "punct",
        /// Spaces.
        Space = "space",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn only_what_is_set_is_written() {
        let collation = Collation::builder()
            .locale("de")
            .strength(CollationStrength::Secondary)
            .alternate(CollationAlternate::NonIgnorable)
            .build();
        let document = bson::serialize_to_document(&collation).unwrap();
        assert_eq!(document, doc! { "locale": "de", "strength": 2, "alternate": "non-ignorable" });
        assert_eq!(bson::deserialize_from_document::<Collation>(document).unwrap(), collation);
    }

    #[test]
    fn words_read_as_they_are_written() {
        assert_eq!("space".parse::<CollationMaxVariable>().unwrap(), CollationMaxVariable::Space);
        assert!("Space".parse::<CollationMaxVariable>().is_err());
        assert!(CollationStrength::try_from(6).is_err());
    }
}
