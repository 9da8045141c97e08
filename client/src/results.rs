//! What operations give back.

use crate::options::CreateCollectionOptions;
use crate::serde_helpers::u64_number;
use bson::{Binary, Bson, Document};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What `Collection::insert_one` did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InsertOneResult {
    /// The document's `_id`, made here where it had none.
    pub inserted_id: Bson,
}

/// What `Collection::insert_many` did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InsertManyResult {
    /// Each document's `_id`, by its position.
    pub inserted_ids: HashMap<usize, Bson>,
}

/// What an update or replacement did. All zero where the write concern asks for no acknowledgment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UpdateResult {
    /// How many documents matched.
    #[serde(with = "u64_number")]
    pub matched_count: u64,
    /// How many are different now.
    #[serde(with = "u64_number")]
    pub modified_count: u64,
    /// The `_id` of the document that was inserted because none matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upserted_id: Option<Bson>,
}

/// What a delete did. Zero where the write concern asks for no acknowledgment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeleteResult {
    /// How many documents are gone.
    #[serde(with = "u64_number")]
    pub deleted_count: u64,
}

/// What `Collection::create_index` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateIndexResult {
    /// The index's name.
    pub index_name: String,
}

/// What `Collection::create_indexes` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateIndexesResult {
    /// The indexes' names in the order they were given.
    pub index_names: Vec<String>,
}

/// What kind of collection it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum CollectionType {
    /// A view.
    View,
    /// An ordinary collection.
    #[default]
    Collection,
    /// A time series.
    Timeseries,
}

/// What else a listing says of a collection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CollectionSpecificationInfo {
    /// Whether it cannot be written.
    #[serde(default)]
    pub read_only: bool,
    /// Its UUID; views have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Binary>,
}

/// A collection as `Database::list_collections` lists it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CollectionSpecification {
    /// Its name.
    pub name: String,
    /// What kind it is.
    #[serde(rename = "type")]
    pub collection_type: CollectionType,
    /// How it was made.
    pub options: CreateCollectionOptions,
    /// The rest.
    pub info: CollectionSpecificationInfo,
    /// Its index on `_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_index: Option<Document>,
}

/// A database as `Client::list_databases` lists it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DatabaseSpecification {
    /// Its name.
    pub name: String,
    /// Bytes on disk.
    #[serde(with = "u64_number")]
    pub size_on_disk: u64,
    /// Whether it has no data.
    pub empty: bool,
    /// Which shards it lies on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<Document>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn listings_read_as_servers_write_them() {
        let database = doc! { "name": "a", "sizeOnDisk": 8192.0, "empty": false };
        let database: DatabaseSpecification = bson::deserialize_from_document(database).unwrap();
        assert_eq!(database.size_on_disk, 8192);
        let collection = doc! {
            "name": "c", "type": "collection", "info": { "readOnly": false },
            "options": { "capped": true, "size": 4096_i64, "max": 3.0, "clusteredIndex": true, "autoIndexId": false },
            "idIndex": { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
        };
        let collection: CollectionSpecification = bson::deserialize_from_document(collection).unwrap();
        assert_eq!((collection.options.size, collection.options.max), (Some(4096), Some(3)));
        assert_eq!(collection.options.clustered_index, Some(Default::default()));
    }
}
