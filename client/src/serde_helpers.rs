//! Numbers and times as servers write them: any numeric type, seconds for durations.

use bson::Bson;
use serde::{Deserialize, Deserializer, Serializer, de::Error as _, ser::Error as _};

/// A whole number of any numeric type: servers answer 64-bit integers and doubles where 32-bit integers were sent.
pub(crate) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match Option::<Bson>::deserialize(deserializer)? {
        None | Some(Bson::Null) => Ok(None),
        Some(Bson::Int32(number)) => Ok(Some(number.into())),
        Some(Bson::Int64(number)) => Ok(Some(number)),
        // Exact below 2^53, which is the range a double counts in.
        Some(Bson::Double(number)) if number % 1.0 == 0.0 && number.abs() < 9_007_199_254_740_992.0 => {
            Ok(Some(number as i64))
        }
        Some(other) => Err(D::Error::custom(format!("expected a whole number, got {other}"))),
    }
}

/// A number as the 32-bit integer it is expected to be, where it fits.
pub(crate) fn serialize_u32<S: Serializer>(value: u32, serializer: S) -> Result<S::Ok, S::Error> {
    match i32::try_from(value) {
        Ok(small) => serializer.serialize_i32(small),
        Err(_) => serializer.serialize_i64(value.into()),
    }
}

macro_rules! number_module {
    ($name:ident, $type:ty) => {
        pub(crate) mod $name {
            use super::*;

            pub(crate) fn serialize<S: Serializer>(
                value: &Option<$type>,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let Some(value) = value else { return serializer.serialize_none() };
                match i32::try_from(*value) {
                    Ok(small) => serializer.serialize_i32(small),
                    Err(_) => serializer.serialize_i64(i64::try_from(*value).map_err(S::Error::custom)?),
                }
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Option<$type>, D::Error> {
                whole(deserializer)?.map(<$type>::try_from).transpose().map_err(D::Error::custom)
            }
        }
    };
}

number_module!(opt_u32_number, u32);
number_module!(opt_u64_number, u64);

/// A size: any numeric type in, a 64-bit integer out.
pub(crate) mod u64_number {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(i64::try_from(*value).map_err(S::Error::custom)?)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let value = whole(deserializer)?.ok_or_else(|| D::Error::custom("expected a number"))?;
        u64::try_from(value).map_err(D::Error::custom)
    }
}

/// A duration as whole seconds.
pub(crate) mod opt_seconds {
    use super::*;
    use std::time::Duration;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        opt_u64_number::serialize(&value.map(|value| value.as_secs()), serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(opt_u64_number::deserialize(deserializer)?.map(Duration::from_secs))
    }
}

/// A document, or `true` for its default (`clusteredIndex` in collection listings).
pub(crate) fn self_or_true<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Default + serde::de::DeserializeOwned,
{
    match Option::<Bson>::deserialize(deserializer)? {
        None | Some(Bson::Null) => Ok(None),
        Some(Bson::Boolean(true)) => Ok(Some(T::default())),
        Some(other) => bson::deserialize_from_bson(other).map(Some).map_err(D::Error::custom),
    }
}
