//! Options of indexes and of the operations on them.

use super::{Collation, WriteConcern};
use crate::serde_helpers::{opt_seconds, opt_u32_number};
use bson::{Bson, Document};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;
use typed_builder::TypedBuilder;

/// An index: its keys and its properties.
#[derive(Clone, Debug, Default, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IndexModel {
    /// Fields and directions or kinds: `doc! { "name": 1, "place": "2dsphere" }`.
    #[serde(rename = "key")]
    pub keys: Document,
    /// The rest.
    #[serde(flatten)]
    pub options: Option<IndexOptions>,
}

impl IndexModel {
    /// The index's name, or the one made of its keys as the server's shell does: `name_1_place_2dsphere`
    /// (index management specification, "Index Name Generation").
    pub(crate) fn name(&self) -> String {
        if let Some(name) = self.options.as_ref().and_then(|options| options.name.clone()) {
            return name;
        }
        let part = |(key, value): (&String, &Bson)| match value {
            Bson::String(kind) => format!("{key}_{kind}"),
            value => format!("{key}_{value}"),
        };
        self.keys.iter().map(part).collect::<Vec<_>>().join("_")
    }
}

/// Properties of an index.
#[derive(Clone, Debug, Default, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IndexOptions {
    /// Whether to build it in the background. Servers since 4.2 pay no heed to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<bool>,
    /// How long after the indexed time documents are removed; whole seconds.
    #[serde(
        rename = "expireAfterSeconds",
        default,
        with = "opt_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub expire_after: Option<Duration>,
    /// Its name; made of the keys where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it leaves out documents without the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse: Option<bool>,
    /// Settings for the storage engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_engine: Option<Document>,
    /// Whether no two documents may have the same keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<bool>,
    /// The version of the index format.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<IndexVersion>,
    /// The language of a text index.
    #[serde(rename = "default_language", default, skip_serializing_if = "Option::is_none")]
    pub default_language: Option<String>,
    /// The field that names a document's language.
    #[serde(rename = "language_override", default, skip_serializing_if = "Option::is_none")]
    pub language_override: Option<String>,
    /// The version of a text index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_index_version: Option<TextIndexVersion>,
    /// Weights of a text index's fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Document>,
    /// The version of a 2dsphere index.
    #[serde(rename = "2dsphereIndexVersion", default, skip_serializing_if = "Option::is_none")]
    pub sphere_2d_index_version: Option<Sphere2DIndexVersion>,
    /// Precision of a 2d index.
    #[serde(default, with = "opt_u32_number", skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// Upper bound of a 2d index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Lower bound of a 2d index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Bucket size of a geoHaystack index.
    #[serde(default, with = "opt_u32_number", skip_serializing_if = "Option::is_none")]
    pub bucket_size: Option<u32>,
    /// Which documents it covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_filter_expression: Option<Document>,
    /// How strings compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<Collation>,
    /// Which fields a wildcard index covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wildcard_projection: Option<Document>,
    /// Whether the query planner passes it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    #[builder(default, setter(skip))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clustered: Option<bool>,
}

impl IndexOptions {
    /// Whether the server says that it is a clustered index. It cannot be asked for here.
    pub fn clustered(&self) -> Option<bool> {
        self.clustered
    }
}

/// Declares a version number with names for the known ones.
macro_rules! versions {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// Another version.
            Custom(u32),
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let version = match self {
                    $($name::$variant => $number,)*
                    $name::Custom(version) => *version,
                };
                crate::serde_helpers::serialize_u32(version, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // Indexes made long ago have a double there.
                Ok(match crate::serde_helpers::whole(deserializer)? {
                    $(Some($number) => $name::$variant,)*
                    version => $name::Custom(version.and_then(|version| u32::try_from(version).ok()).unwrap_or(0)),
                })
            }
        }
    };
}

versions! {
    /// The version of the index format.
    IndexVersion {
        /// Version 0; no server in use knows it.
        V0 = 0,
        /// Version 1.
        V1 = 1,
        /// Version 2: the default since 3.4.
        V2 = 2,
    }
}

versions! {
    /// The version of a text index.
    TextIndexVersion {
        /// Version 1.
        V1 = 1,
        /// Version 2.
        V2 = 2,
        /// Version 3: the default since 3.2.
        V3 = 3,
    }
}

versions! {
    /// The version of a 2dsphere index.
    Sphere2DIndexVersion {
        /// Version 2.
        V2 = 2,
        /// Version 3: the default since 3.2.
        V3 = 3,
    }
}

/// Options of `Collection::create_index` and `Collection::create_indexes`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct CreateIndexOptions {
    /// How many members must have built it before it is ready.
    pub commit_quorum: Option<CommitQuorum>,
    /// How long the server may work on it; whole milliseconds.
    pub max_time: Option<Duration>,
    /// The write concern.
    pub write_concern: Option<WriteConcern>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
}

/// How many data-bearing members must have built an index before the primary marks it ready.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitQuorum {
    /// That many.
    Nodes(u32),
    /// All that vote: the server's default.
    VotingMembers,
    /// A majority of those that vote.
    Majority,
    /// Those of a replica set tag.
    Custom(String),
}

impl Serialize for CommitQuorum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            CommitQuorum::Nodes(nodes) => crate::serde_helpers::serialize_u32(*nodes, serializer),
            CommitQuorum::VotingMembers => serializer.serialize_str("votingMembers"),
            CommitQuorum::Majority => serializer.serialize_str("majority"),
            CommitQuorum::Custom(tag) => serializer.serialize_str(tag),
        }
    }
}

/// Options of `Collection::drop_index` and `Collection::drop_indexes`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct DropIndexOptions {
    /// How long the server may work on it; whole milliseconds.
    pub max_time: Option<Duration>,
    /// The write concern.
    pub write_concern: Option<WriteConcern>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
}

/// Options of `Collection::list_indexes` and `Collection::list_index_names`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct ListIndexesOptions {
    /// How long the server may work on it; whole milliseconds.
    pub max_time: Option<Duration>,
    /// Indexes a batch.
    pub batch_size: Option<u32>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn models_read_what_servers_list() {
        let listed = doc! {
            "v": 2, "key": { "at": 1 }, "name": "at_1", "expireAfterSeconds": 3600.0, "bits": 26_i64, "ns": "a.b",
        };
        let model: IndexModel = bson::deserialize_from_document(listed).unwrap();
        let options = model.options.unwrap();
        assert_eq!(options.version, Some(IndexVersion::V2));
        assert_eq!(options.expire_after, Some(Duration::from_secs(3600)));
        assert_eq!(options.bits, Some(26));
    }

    #[test]
    fn names_are_made_of_keys() {
        let keys = doc! { "a": 1, "b.c": -1, "p": "2dsphere" };
        assert_eq!(IndexModel::builder().keys(keys).build().name(), "a_1_b.c_-1_p_2dsphere");
    }
}
