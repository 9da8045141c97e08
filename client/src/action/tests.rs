//! What is sent, and what is made of the answers.

use super::insert_many::{Progress, split};
use super::insert_one::{LARGEST_DOCUMENT, encode_document, finish};
use super::update::Change;
use super::*;
use crate::collection::Target;
use crate::command::{decoded, encode};
use crate::exec::{Operation, Retry};
use crate::options::*;
use crate::reply::reply;
use crate::results::UpdateResult;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use quorate_core::client_session::ReadConcernField;
use quorate_core::error::{ErrorKind, labels};
use quorate_core::selection;
use quorate_core::wire::Request;
use quorate_core::{Result, ServerAddress};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

const PRIMARY: selection::SelectionCriteria = selection::SelectionCriteria::Writable;

/// Runs `check` with a collection `db.c` that has these concerns.
fn with_target<T>(
    read: Option<ReadConcern>,
    write: Option<WriteConcern>,
    check: impl FnOnce(&Target<'_>) -> T,
) -> T {
    let database: Arc<str> = Arc::from("db");
    let criteria = ReadPreference::secondary(None).to_core().into();
    check(&Target::new(&database, "c", &criteria).with_concerns(read.as_ref(), write.as_ref()))
}

fn sent(encode: impl FnOnce(&Target<'_>) -> Result<(Operation, Request)>) -> (Operation, Document) {
    let (operation, mut request) = with_target(None, None, encode).unwrap();
    let document = decoded(&mut request);
    (operation, document)
}

#[test]
fn find_sends_only_what_is_set() {
    let (operation, command) = sent(|target| find::encode(target, &doc! { "a": 1 }, &FindOptions::default()));
    assert_eq!(command, doc! { "find": "c", "$db": "db", "filter": { "a": 1 } });
    assert_eq!((operation.retry, operation.keep_session), (Retry::Read, true));
    assert_eq!(operation.criteria, ReadPreference::secondary(None).to_core().into());
}

#[test]
fn find_sends_every_option_by_the_names_of_the_protocol() {
    let options = FindOptions::builder()
        .allow_disk_use(true)
        .allow_partial_results(true)
        .batch_size(5)
        .comment(Bson::from("why"))
        .cursor_type(CursorType::TailableAwait)
        .hint(Hint::Name("a_1".into()))
        .limit(10)
        .max(doc! { "a": 9 })
        .max_await_time(Duration::from_millis(5))
        .max_time(Duration::from_micros(10))
        .min(doc! { "a": 0 })
        .no_cursor_timeout(true)
        .projection(doc! { "a": 1 })
        .read_concern(ReadConcern::majority())
        .return_key(false)
        .selection_criteria(SelectionCriteria::from(ReadPreference::Primary))
        .show_record_id(true)
        .skip(3)
        .sort(doc! { "a": -1 })
        .collation(Collation::builder().locale("de").build())
        .let_vars(doc! { "x": 1 })
        .build();
    let (operation, command) = sent(|target| find::encode(target, &doc! {}, &options));
    let expected = doc! {
        "find": "c", "$db": "db", "filter": {}, "sort": { "a": -1 }, "projection": { "a": 1 }, "hint": "a_1",
        "skip": 3_i64, "limit": 10_i64, "batchSize": 5, "comment": "why", "maxTimeMS": 1, "max": { "a": 9 },
        "min": { "a": 0 }, "returnKey": false, "showRecordId": true, "tailable": true, "awaitData": true,
        "noCursorTimeout": true, "allowPartialResults": true, "allowDiskUse": true,
        "collation": { "locale": "de" }, "let": { "x": 1 },
    };
    assert_eq!(command, expected);
    assert_eq!(operation.read_concern, ReadConcernField::Causal(Some(ReadConcern::majority())));
    assert_eq!(operation.criteria, ReadPreference::Primary.to_core().into());
    assert_eq!(find::get_more(options).max_await_time, Some(Duration::from_millis(5)));
    let plain = FindOptions::builder().max_await_time(Duration::from_secs(1)).build();
    assert_eq!(find::get_more(plain).max_await_time, None);
}

#[test]
fn limits_follow_the_find_specification() {
    for (limit, batch, expected) in [
        (Some(0), None, doc! {}),
        (Some(-7), None, doc! { "limit": 7_i64, "singleBatch": true }),
        (Some(7), Some(7), doc! { "limit": 7_i64, "batchSize": 8 }),
        (Some(7), Some(3), doc! { "limit": 7_i64, "batchSize": 3 }),
        (None, Some(0), doc! { "batchSize": 0 }),
    ] {
        let options = FindOptions::builder().limit(limit).batch_size(batch).build();
        let (_, mut command) = sent(|target| find::encode(target, &doc! {}, &options));
        for always in ["find", "$db", "filter"] {
            command.remove(always).unwrap();
        }
        assert_eq!(command, expected, "{limit:?} {batch:?}");
    }
    let too_large = FindOptions::builder().batch_size(u32::MAX).build();
    assert!(with_target(None, None, |target| find::encode(target, &doc! {}, &too_large)).is_err());
    assert_eq!(FindOptions::from(FindOneOptions::builder().skip(2).build()).limit, Some(-1));
}

#[test]
fn concerns_are_inherited_and_overridden() {
    let read = |options: FindOptions| {
        let (operation, mut request) =
            with_target(Some(ReadConcern::local()), Some(WriteConcern::nodes(2)), |target| {
                find::encode(target, &doc! {}, &options)
            })
            .unwrap();
        // With each attempt, as it depends on the session.
        assert!(!decoded(&mut request).contains_key("readConcern"));
        operation.read_concern
    };
    assert_eq!(read(FindOptions::default()), ReadConcernField::Causal(Some(ReadConcern::local())));
    let own = FindOptions::builder().read_concern(ReadConcern::majority()).build();
    assert_eq!(read(own), ReadConcernField::Causal(Some(ReadConcern::majority())));
    // The server's default, said explicitly, overrides what would be inherited (and is not sent).
    let default = FindOptions::builder().read_concern(ReadConcern::default()).build();
    assert_eq!(read(default), ReadConcernField::Causal(Some(ReadConcern::default())));

    let write = |options: DeleteOptions| {
        let (operation, mut request) =
            with_target(Some(ReadConcern::local()), Some(WriteConcern::nodes(2)), |target| {
                delete::encode(target, &doc! {}, false, &options)
            })
            .unwrap();
        let command = decoded(&mut request);
        assert!(!command.contains_key("readConcern"));
        (operation.acknowledged, operation.retry, command.get("writeConcern").cloned())
    };
    assert_eq!(write(DeleteOptions::default()), (true, Retry::Write, Some(doc! { "w": 2 }.into())));
    let own = DeleteOptions::builder().write_concern(WriteConcern::majority()).build();
    assert_eq!(write(own), (true, Retry::Write, Some(doc! { "w": "majority" }.into())));
    let none = DeleteOptions::builder().write_concern(WriteConcern::nodes(0)).build();
    assert_eq!(write(none), (false, Retry::None, Some(doc! { "w": 0 }.into())));
}

#[test]
fn contradictory_write_concerns_are_refused() {
    let concern = WriteConcern::builder().w(Acknowledgment::Nodes(0)).journal(true).build();
    let options = DeleteOptions::builder().write_concern(concern).build();
    let outcome = with_target(None, None, |target| delete::encode(target, &doc! {}, false, &options));
    assert!(matches!(&*outcome.unwrap_err().kind, ErrorKind::InvalidArgument { .. }));
}

#[test]
fn updates_are_one_statement_and_only_single_ones_are_retried() {
    let options = UpdateOptions::builder()
        .array_filters(vec![doc! { "e": 1 }])
        .bypass_document_validation(true)
        .upsert(true)
        .hint(Hint::Keys(doc! { "a": 1 }))
        .let_vars(doc! { "v": 1 })
        .comment(Bson::Int32(5))
        .sort(doc! { "a": 1 })
        .build();
    let update = UpdateModifications::from(doc! { "$set": { "b": 1 } });
    let one = sent(|target| update::encode(target, &doc! { "a": 1 }, Change::of(&update)?, false, &options));
    let expected = doc! {
        "update": "c", "$db": "db", "ordered": true, "bypassDocumentValidation": true, "let": { "v": 1 }, "comment": 5,
        "updates": [{
            "q": { "a": 1 }, "u": { "$set": { "b": 1 } }, "upsert": true, "arrayFilters": [{ "e": 1 }],
            "hint": { "a": 1 }, "sort": { "a": 1 },
        }],
    };
    assert_eq!((one.1, one.0.retry, one.0.criteria), (expected, Retry::Write, PRIMARY));
    let pipeline = UpdateModifications::from(vec![doc! { "$set": { "b": "$a" } }]);
    let many = sent(|target| {
        update::encode(target, &doc! {}, Change::of(&pipeline)?, true, &UpdateOptions::default())
    });
    let statement = doc! { "q": {}, "u": [{ "$set": { "b": "$a" } }], "multi": true };
    assert_eq!(many.1.get_array("updates").unwrap(), &[Bson::Document(statement)]);
    assert_eq!(many.0.retry, Retry::None);
}

#[test]
fn updates_and_replacements_are_told_apart() {
    for bad in [doc! {}, doc! { "a": 1 }] {
        assert!(Change::of(&bad.into()).is_err());
    }
    assert!(Change::replacement(&encode(&doc! { "$set": {} }).unwrap()).is_err());
    for good in [doc! {}, doc! { "a": { "$set": 1 } }] {
        assert!(Change::replacement(&encode(&good).unwrap()).is_ok());
    }
}

#[test]
fn update_results_do_not_count_an_upsert_as_a_match() {
    let matched = update::read(&reply(doc! { "ok": 1, "n": 3, "nModified": 2 })).unwrap();
    assert_eq!(matched, UpdateResult { matched_count: 3, modified_count: 2, upserted_id: None });
    let answer = doc! { "ok": 1, "n": 1, "nModified": 0, "upserted": [{ "index": 0, "_id": "x" }] };
    let upserted = update::read(&reply(answer)).unwrap();
    assert_eq!(upserted, UpdateResult { matched_count: 0, modified_count: 0, upserted_id: Some("x".into()) });
    assert!(update::read(&reply(doc! { "ok": 1, "n": 1, "upserted": [1] })).is_err());
    assert!(update::read(&reply(doc! { "ok": 1, "n": -1 })).is_err());
}

#[test]
fn deletes_are_one_statement() {
    let (operation, command) =
        sent(|target| delete::encode(target, &doc! { "a": 1 }, false, &DeleteOptions::default()));
    let deletes = vec![doc! { "q": { "a": 1 }, "limit": 1 }];
    assert_eq!(command, doc! { "delete": "c", "$db": "db", "ordered": true, "deletes": deletes });
    assert_eq!(operation.retry, Retry::Write);
    let (operation, command) =
        sent(|target| delete::encode(target, &doc! {}, true, &DeleteOptions::default()));
    assert_eq!(command.get_array("deletes").unwrap(), &[Bson::Document(doc! { "q": {}, "limit": 0 })]);
    assert_eq!(operation.retry, Retry::None);
}

#[derive(Serialize)]
struct Pen {
    colour: &'static str,
}

#[test]
fn an_insert_gets_an_id_in_front_unless_it_has_one() {
    let (mut request, id) = encode_document(&Pen { colour: "red" }, &ObjectId::new).unwrap();
    let operation =
        with_target(None, None, |target| finish(target, &mut request, &InsertManyOptions::default()))
            .unwrap();
    assert_eq!((operation.retry, operation.criteria), (Retry::Write, PRIMARY));
    let documents = vec![doc! { "_id": id.as_object_id().unwrap(), "colour": "red" }];
    assert_eq!(
        decoded(&mut request),
        doc! { "insert": "c", "$db": "db", "ordered": true, "documents": documents }
    );
    for own in [Bson::ObjectId(ObjectId::new()), "text".into(), Bson::Null, doc! { "a": 1 }.into()] {
        let document = doc! { "x": 1, "_id": own.clone() };
        let (mut request, id) = encode_document(&document, &ObjectId::new).unwrap();
        assert_eq!(id, own);
        assert_eq!(decoded(&mut request).get_array("documents").unwrap(), &[Bson::Document(document)]);
    }
}

#[test]
fn what_is_no_document_or_too_large_is_not_inserted() {
    let invalid = |error: quorate_core::Error| matches!(&*error.kind, ErrorKind::InvalidArgument { .. });
    let large = doc! { "x": "y".repeat(LARGEST_DOCUMENT) };
    assert!(invalid(encode_document(&large, &ObjectId::new).unwrap_err()));
    assert!(encode_document(&5_i32, &ObjectId::new).is_err());
    assert!(encode_document(&vec![doc! {}], &ObjectId::new).is_err());
}

#[test]
fn many_documents_are_split_by_count_and_by_size() {
    let documents: Vec<Document> = (0..7).map(|i| doc! { "_id": i }).collect();
    let size = encode(&documents[0]).unwrap().len();
    let shape = |most_documents, most_bytes| {
        let batches = split::<Document>(&documents, most_documents, most_bytes, &ObjectId::new).unwrap();
        let mut seen = Vec::new();
        let mut shape = Vec::new();
        for mut batch in batches {
            let sent = decoded(&mut batch.request);
            let sent = sent.get_array("documents").unwrap();
            assert_eq!(sent.len(), batch.ids.len());
            shape.push(sent.len());
            seen.extend(sent.iter().map(|document| document.as_document().unwrap().clone()));
            assert_eq!(&seen[seen.len() - 1].get("_id").unwrap(), &batch.ids.last().unwrap());
        }
        assert_eq!(seen, documents);
        shape
    };
    assert_eq!(shape(100, 1_000_000), [7]);
    assert_eq!(shape(3, 1_000_000), [3, 3, 1]);
    assert_eq!(shape(100, 2 * size), [2, 2, 2, 1]);
    assert_eq!(shape(100, 2 * size + 1), [2, 2, 2, 1]);
    assert_eq!(shape(100, 7 * size), [7]);
    // A document larger than the rest of the message goes alone.
    assert_eq!(shape(100, 1), [1; 7]);
    assert!(split::<Document>(Vec::<Document>::new(), 3, 100, &ObjectId::new).unwrap().is_empty());
}

fn ids(count: i32) -> Vec<Bson> {
    (0..count).map(Bson::Int32).collect()
}

#[test]
fn insert_many_counts_over_all_messages() {
    let mut progress = Progress::new(true);
    assert!(progress.absorb(ids(2), Some(&reply(doc! { "ok": 1, "n": 2 }))).unwrap());
    assert!(progress.absorb(ids(1), None).unwrap());
    let result = progress.finish().unwrap();
    assert_eq!(result.inserted_ids.len(), 3);
    assert_eq!(result.inserted_ids[&2], Bson::Int32(0));
}

#[test]
fn an_ordered_insert_stops_at_the_first_write_error() {
    let mut progress = Progress::new(true);
    assert!(progress.absorb(ids(10), Some(&reply(doc! { "ok": 1, "n": 10 }))).unwrap());
    let refused = doc! { "ok": 1, "n": 3, "writeErrors": [{ "index": 3, "code": 11000, "errmsg": "dup" }] };
    assert!(!progress.absorb(ids(10), Some(&reply(refused))).unwrap());
    let error = progress.finish().unwrap_err();
    let ErrorKind::InsertMany(failed) = &*error.kind else { panic!("{error}") };
    assert_eq!(failed.inserted_count, 13);
    assert_eq!(failed.write_errors.as_ref().unwrap()[0].index, 13);
    assert_eq!(error.server_address(), Some(&ServerAddress::default()));
}

#[test]
fn an_unordered_insert_goes_on_and_gathers_errors() {
    let refused = doc! { "ok": 1, "n": 1, "writeErrors": [{ "index": 1, "code": 11000, "errmsg": "dup" }] };
    let late = doc! {
        "ok": 1, "n": 2, "errorLabels": ["RetryableWriteError"],
        "writeConcernError": { "code": 64, "errmsg": "waiting", "errInfo": { "wtimeout": true } },
    };
    let mut progress = Progress::new(false);
    for answer in [refused.clone(), late, refused, doc! { "ok": 1, "n": 2 }] {
        assert!(progress.absorb(ids(2), Some(&reply(answer))).unwrap());
    }
    let error = progress.finish().unwrap_err();
    let ErrorKind::InsertMany(failed) = &*error.kind else { panic!("{error}") };
    assert_eq!(failed.inserted_count, 6);
    let indexes: Vec<_> = failed.write_errors.as_ref().unwrap().iter().map(|error| error.index).collect();
    assert_eq!(indexes, [1, 5]);
    assert!(failed.write_concern_error.as_ref().unwrap().is_timeout());
    assert!(error.contains_label(labels::RETRYABLE_WRITE_ERROR));
}

#[test]
fn a_write_concern_error_does_not_stop_an_ordered_insert() {
    let late = doc! { "ok": 1, "n": 2, "writeConcernError": { "code": 64, "errmsg": "waiting" } };
    let mut progress = Progress::new(true);
    assert!(progress.absorb(ids(2), Some(&reply(late))).unwrap());
    assert!(matches!(&*progress.finish().unwrap_err().kind, ErrorKind::InsertMany(_)));
}

#[test]
fn find_and_modify_removes_replaces_or_updates() {
    let (operation, command) = sent(|target| {
        find_and_modify::encode(target, &doc! { "a": 1 }, None, &FindOneAndDeleteOptions::default().into())
    });
    assert_eq!(command, doc! { "findAndModify": "c", "$db": "db", "query": { "a": 1 }, "remove": true });
    assert_eq!((operation.retry, operation.criteria), (Retry::Write, PRIMARY));
    let options = FindOneAndReplaceOptions::builder()
        .return_document(ReturnDocument::After)
        .projection(doc! { "a": 1 })
        .upsert(true)
        .max_time(Duration::from_secs(2))
        .build();
    let bytes = encode(&doc! { "b": 2 }).unwrap();
    let (_, command) = sent(|target| {
        find_and_modify::encode(target, &doc! {}, Some(Change::replacement(&bytes)?), &options.into())
    });
    let expected = doc! {
        "findAndModify": "c", "$db": "db", "query": {}, "update": { "b": 2 }, "new": true, "upsert": true,
        "fields": { "a": 1 }, "maxTimeMS": 2000,
    };
    assert_eq!(command, expected);
    let found = find_and_modify::read::<Document>(&reply(doc! { "ok": 1, "value": { "b": 2 } })).unwrap();
    assert_eq!(found, Some(doc! { "b": 2 }));
    assert_eq!(find_and_modify::read::<Document>(&reply(doc! { "ok": 1, "value": null })).unwrap(), None);
    assert!(find_and_modify::read::<Document>(&reply(doc! { "ok": 1 })).is_err());
}

#[test]
fn an_aggregation_that_writes_goes_to_the_primary_and_is_not_retried() {
    let read = vec![doc! { "$match": { "a": 1 } }];
    let options = AggregateOptions::builder()
        .batch_size(2)
        .bypass_document_validation(true)
        .write_concern(WriteConcern::majority())
        .build();
    let (operation, command) = sent(|target| aggregate::encode(target, false, &read, &options));
    let expected = doc! { "aggregate": "c", "$db": "db", "pipeline": [{ "$match": { "a": 1 } }], "cursor": { "batchSize": 2 } };
    assert_eq!((command, operation.retry), (expected, Retry::Read));
    for stage in ["$out", "$merge"] {
        let write = vec![doc! { stage: "x" }];
        let (operation, command) = sent(|target| aggregate::encode(target, false, &write, &options));
        let expected = doc! {
            "aggregate": "c", "$db": "db", "pipeline": [{ stage: "x" }], "cursor": {},
            "bypassDocumentValidation": true, "writeConcern": { "w": "majority" },
        };
        assert_eq!((command, operation.retry, operation.criteria), (expected, Retry::None, PRIMARY));
    }
    let (_, command) = sent(|target| aggregate::encode(target, true, &read, &AggregateOptions::default()));
    assert_eq!(command.get("aggregate"), Some(&Bson::Int32(1)));
}

#[test]
fn counts_are_read_from_the_group_or_from_n() {
    let options = CountOptions::builder().skip(1).limit(5).hint(Hint::Name("x".into())).build();
    let (operation, command) = sent(|target| count::encode_count_documents(target, doc! { "a": 1 }, options));
    let pipeline = vec![
        doc! { "$match": { "a": 1 } },
        doc! { "$skip": 1_i64 },
        doc! { "$limit": 5_i64 },
        doc! { "$group": { "_id": 1, "n": { "$sum": 1 } } },
    ];
    assert_eq!(
        command,
        doc! { "aggregate": "c", "$db": "db", "pipeline": pipeline, "cursor": {}, "hint": "x" }
    );
    assert!(!operation.keep_session);
    let answer = |batch: Vec<Document>| {
        reply(doc! { "ok": 1, "cursor": { "id": 0_i64, "ns": "db.c", "firstBatch": batch } })
    };
    assert_eq!(count::read_count_documents(&answer(vec![doc! { "_id": 1, "n": 4 }])).unwrap(), 4);
    assert_eq!(count::read_count_documents(&answer(vec![])).unwrap(), 0);
    assert!(count::read_count_documents(&answer(vec![doc! { "_id": 1 }])).is_err());
    let too_many = CountOptions::builder().limit(u64::MAX).build();
    assert!(
        with_target(None, None, |target| count::encode_count_documents(target, doc! {}, too_many)).is_err()
    );
    let (_, command) =
        sent(|target| count::encode_estimated(target, &EstimatedDocumentCountOptions::default()));
    assert_eq!(command, doc! { "count": "c", "$db": "db" });
}

#[test]
fn distinct_gives_the_values() {
    let (operation, command) =
        sent(|target| distinct::encode(target, "a.b", &doc! {}, &DistinctOptions::default()));
    assert_eq!(command, doc! { "distinct": "c", "$db": "db", "key": "a.b" });
    assert_eq!(operation.retry, Retry::Read);
    let values = distinct::read(&reply(doc! { "ok": 1, "values": [1, "x", { "y": 2 }] })).unwrap();
    assert_eq!(values, [Bson::Int32(1), "x".into(), doc! { "y": 2 }.into()]);
    assert!(distinct::read(&reply(doc! { "ok": 1 })).is_err());
}

#[test]
fn a_command_goes_as_it_is_to_the_primary() {
    let database: Arc<str> = Arc::from("db");
    let command = encode(&doc! { "ping": 1, "x": { "y": 1 } }).unwrap();
    let (operation, mut request) = run_command::encode(&database, &command, None).unwrap();
    assert_eq!(decoded(&mut request), doc! { "ping": 1, "x": { "y": 1 }, "$db": "db" });
    assert_eq!((&*operation.name, operation.retry), ("ping", Retry::None));
    assert_eq!(operation.criteria, selection::SelectionCriteria::default());
    for bad in [doc! {}, doc! { "ping": 1, "$db": "other" }] {
        assert!(run_command::encode(&database, &encode(&bad).unwrap(), None).is_err());
    }
}

#[test]
fn listings_ask_the_primary_and_for_names_only_where_that_is_right() {
    let database: Arc<str> = Arc::from("db");
    let names_only = |filter: Option<Document>| {
        let options = ListCollectionsOptions::builder().filter(filter).build();
        let (operation, mut request) = list_collections::encode(&database, true, &options).unwrap();
        assert_eq!(operation.criteria, selection::SelectionCriteria::default());
        decoded(&mut request).get_bool("nameOnly").unwrap_or(false)
    };
    assert!(names_only(None));
    assert!(names_only(Some(doc! { "name": "x" })));
    assert!(!names_only(Some(doc! { "options.capped": true })));
    let (operation, mut request) = list_databases::encode(true, &ListDatabasesOptions::default()).unwrap();
    assert_eq!(decoded(&mut request), doc! { "listDatabases": 1, "$db": "admin", "nameOnly": true });
    assert_eq!(operation.retry, Retry::Read);
    let answer = reply(doc! { "ok": 1, "databases": [{ "name": "a" }] });
    assert_eq!(list_databases::databases(&answer).unwrap().len(), 1);
    assert!(list_databases::databases(&reply(doc! { "ok": 1 })).is_err());
}

#[test]
fn collections_are_made_with_their_options() {
    let database: Arc<str> = Arc::from("db");
    let options = CreateCollectionOptions::builder()
        .capped(true)
        .size(4096_u64)
        .expire_after_seconds(Duration::from_secs(60))
        .validation_level(ValidationLevel::Moderate)
        .clustered_index(ClusteredIndex::default())
        .timeseries(TimeseriesOptions::builder().time_field("t").build())
        .build();
    let inherited = WriteConcern::majority();
    let (operation, mut request) =
        create_collection::encode(&database, "c", &options, Some(&inherited)).unwrap();
    let expected = doc! {
        "create": "c", "$db": "db", "capped": true, "size": 4096, "validationLevel": "moderate",
        "timeseries": { "timeField": "t" }, "expireAfterSeconds": 60,
        "clusteredIndex": { "key": { "_id": 1 }, "unique": true }, "writeConcern": { "w": "majority" },
    };
    assert_eq!((decoded(&mut request), operation.retry), (expected, Retry::None));
}

#[test]
fn indexes_have_names_and_are_dropped_by_them() {
    let unique = IndexOptions::builder().unique(true).name("a_1".to_owned()).build();
    let index = IndexModel::builder().keys(doc! { "a": 1 }).options(unique).build();
    let options = CreateIndexOptions::builder().commit_quorum(CommitQuorum::Majority).build();
    let (operation, command) = sent(|target| indexes::encode_create(target, &[index], &options));
    let expected = doc! {
        "createIndexes": "c", "$db": "db", "indexes": [{ "key": { "a": 1 }, "name": "a_1", "unique": true }],
        "commitQuorum": "majority",
    };
    assert_eq!((command, operation.retry), (expected, Retry::None));
    let (_, command) = sent(|target| indexes::encode_drop(target, None, &DropIndexOptions::default()));
    assert_eq!(command, doc! { "dropIndexes": "c", "$db": "db", "index": "*" });
    let star = with_target(None, None, |target| indexes::encode_drop(target, Some("*"), &Default::default()));
    assert!(star.is_err());
    let listing = ListIndexesOptions::builder().batch_size(3).build();
    let (operation, command) = sent(|target| indexes::encode_list(target, &listing));
    assert_eq!(command, doc! { "listIndexes": "c", "$db": "db", "cursor": { "batchSize": 3 } });
    assert_eq!(operation.retry, Retry::Read);
}
