//! Servers that shake hands as they should and mean harm afterwards: in their answers to operations.
//!
//! Each lies to every kind of call, first as a standalone server, then as the secondary beside a healthy primary, which
//! must stay in service.

use super::child::{Case, Servers};
use super::client::{bounded, connect, connect_unheard, expect_service, judge, things};
use super::pair::{self, Names, honest};
use futures::TryStreamExt;
use quorate_harness::hostile::{Answer, HostileServer, Request, bend, body};
use quorate_harness::wire;
use quorate_tokio::bson::{Bson, Document, RawDocumentBuf, doc};
use quorate_tokio::error::ErrorKind;
use quorate_tokio::options::{ReadPreference, SelectionCriteria};
use quorate_tokio::{Client, ServerType};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// No call takes longer: the socket time-out twice (reads are tried again), the selection between, and some slack.
const LIMIT: Duration = Duration::from_secs(6);

/// A way to lie in answers; the words by which reads and writes must tell, `None` where an answer is as good.
#[derive(Clone)]
pub(super) struct Harm {
    name: String,
    /// More options of the client.
    options: &'static str,
    reads: Option<&'static str>,
    writes: Option<&'static str>,
    lie: Arc<dyn Fn(&Request) -> Answer + Send + Sync>,
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        [framing(), bodies(), writes()].into_iter().flatten().flat_map(Harm::cases).collect();
    cases.extend([
        endless_batches(),
        endless_empty_batches(),
        wide_batch(),
        greatest_reply(),
        flood_after_answer(),
    ]);
    cases.extend(cursor_lies());
    cases.extend([never_answers_by_timeout_ms(), no_answer_leaves_others_alone()]);
    cases
}

pub(super) fn harm(
    name: impl Into<String>,
    words: impl Into<Option<&'static str>>,
    lie: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> Harm {
    let words = words.into();
    Harm { name: name.into(), options: "", reads: words, writes: words, lie: Arc::new(lie) }
}

impl Harm {
    /// The same against a client with these options.
    pub(super) fn with(mut self, options: &'static str) -> Self {
        self.options = options;
        self
    }

    pub(super) fn cases(self) -> [Case; 2] {
        let (one, two) = (self.clone(), self.clone());
        let alone = Case::new(
            format!("after::{}", self.name),
            move || {
                let lie = one.lie.clone();
                standalone(move |request| lie(request))
            },
            move |seeds| {
                let harm = two.clone();
                async move {
                    let client = connect(&seeds, &format!("&socketTimeoutMS=500{}", harm.options)).await;
                    expect_reads(&client, harm.reads).await;
                    expect_writes(&client, harm.writes).await;
                }
            },
        );
        let lie = self.lie.clone();
        let beside = Case::new(
            format!("after::{}_beside_a_healthy_one", self.name),
            move || {
                let lie = lie.clone();
                pair::start(move |request, names| secondary(request, names, |request| lie(request)))
            },
            move |seeds| async move {
                let options = format!("&replicaSet=rs&socketTimeoutMS=500{}", self.options);
                let client = connect(&seeds, &options).await;
                let read = async { things(&client).find_one(doc! {}).selection_criteria(hostile()).await };
                judge("a read", bounded("a read", LIMIT, read).await, self.reads);
                expect_service(&client, 5).await;
            },
        );
        [alone, beside]
    }
}

/// A server that is honest in the handshake only.
fn standalone(lie: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Servers {
    let server = HostileServer::scripted(move |request| {
        if request.is_hello() { request.reply(&body::hello_standalone()).into() } else { lie(request) }
    });
    let server = server.expect("a port");
    Servers { addresses: vec![server.address()], keep: Box::new(server) }
}

fn secondary(request: &Request, names: &Names, lie: impl Fn(&Request) -> Answer) -> Answer {
    if request.is_hello() { honest(request, &names.secondary_hello()) } else { lie(request) }
}

/// Reads that go to the hostile member of a pair.
fn hostile() -> SelectionCriteria {
    ReadPreference::secondary(None).into()
}

async fn expect_reads(client: &Client, words: Option<&str>) {
    let (things, database) = (things(client), client.database("suite"));
    let raw = things.clone_with_type::<RawDocumentBuf>();
    let call = async { things.find_one(doc! {}).await };
    judge("find_one", bounded("find_one", LIMIT, call).await, words);
    let call = async { raw.find_one(doc! {}).await };
    judge("find_one raw", bounded("find_one raw", LIMIT, call).await.map(|found| found.is_some()), words);
    let call = async { things.find(doc! {}).await?.try_next().await };
    judge("find", bounded("find", LIMIT, call).await, words);
    let call = async { things.aggregate([doc! { "$match": {} }]).await?.try_next().await };
    judge("aggregate", bounded("aggregate", LIMIT, call).await, words);
    let call = async { things.count_documents(doc! {}).await };
    judge("count_documents", bounded("count_documents", LIMIT, call).await, words);
    let call = async { things.estimated_document_count().await };
    judge("estimated_document_count", bounded("estimated_document_count", LIMIT, call).await, words);
    let call = async { things.distinct("x", doc! {}).await };
    judge("distinct", bounded("distinct", LIMIT, call).await.map(|values| values.len()), words);
    let call = async { client.list_database_names().await };
    judge("list_database_names", bounded("list_database_names", LIMIT, call).await, words);
    let call = async { database.list_collection_names().await };
    judge("list_collection_names", bounded("list_collection_names", LIMIT, call).await, words);
    let call = async { things.list_index_names().await };
    judge("list_index_names", bounded("list_index_names", LIMIT, call).await, words);
    let call = async { database.run_command(doc! { "ping": 1 }).await };
    judge("run_command", bounded("run_command", LIMIT, call).await.map(|reply| reply.len()), words);
}

async fn expect_writes(client: &Client, words: Option<&str>) {
    let things = things(client);
    let call = async { things.insert_one(doc! { "x": 1 }).await };
    judge("insert_one", bounded("insert_one", LIMIT, call).await, words);
    let call = async { things.insert_many([doc! { "x": 1 }, doc! { "x": 2 }]).ordered(false).await };
    judge("insert_many", bounded("insert_many", LIMIT, call).await, words);
    let call = async { things.update_one(doc! {}, doc! { "$set": { "x": 2 } }).upsert(true).await };
    judge("update_one", bounded("update_one", LIMIT, call).await, words);
    let call = async { things.delete_many(doc! {}).await };
    judge("delete_many", bounded("delete_many", LIMIT, call).await, words);
    let call = async { things.find_one_and_delete(doc! {}).await };
    judge("find_one_and_delete", bounded("find_one_and_delete", LIMIT, call).await, words);
    let call = async { things.drop().await };
    judge("drop", bounded("drop", LIMIT, call).await, words);
}

/// Lies about the message around the document.
fn framing() -> Vec<Harm> {
    let bent = |name: &'static str, words: &'static str, bend: fn(Vec<u8>) -> Vec<u8>| {
        harm(name, words, move |request| bend(request.reply(&body::ok())).into())
    };
    vec![
        bent("length_0", "length", |m| bend::message_length(m, 0)),
        bent("negative_length", "length", |m| bend::message_length(m, -1)),
        bent("two_gib_length", "length", |m| bend::message_length(m, i32::MAX)),
        bent("length_48_mb_and_silence", "timed out", |m| bend::message_length(m, 48_000_000)),
        bent("answer_to_another_request", "nobody asked", |m| bend::response_to(m, -9)),
        bent("unknown_op_code", "op", |m| bend::op_code(m, 1)),
        bent("compressed_unasked", "compress", |m| bend::op_code(m, 2012)),
        bent("required_flags_nobody_knows", "", |m| bend::flags(m, 0x10)),
        bent("checksum_that_is_none", "", |m| bend::flags(m, 1)),
        bent("unknown_section", "", |m| bend::section_kind(m, 9)),
        bent("sequence_instead_of_a_body", "", |m| bend::section_kind(m, 1)),
        bent("document_of_all_bits", "", |m| bend::document_length(m, i32::MAX)),
        bent("document_of_negative_length", "", |m| bend::document_length(m, -7)),
        harm("op_reply_to_a_msg", None, |request| {
            let bytes = body::ok().to_vec().expect("encodes");
            wire::op_reply(1, request.request_id, &bytes).into()
        }),
        harm("no_answer", "timed out", |_| Answer::Nothing),
        harm("half_an_answer", "timed out", |request| bend::truncated(request.reply(&body::ok()), 20).into()),
        harm("closes", "closed", |_| Answer::Close(Vec::new())),
        harm("half_an_answer_and_close", "closed", |request| {
            Answer::Close(bend::truncated(request.reply(&body::ok()), 20))
        }),
        harm("resets", "", |_| Answer::Reset(Vec::new())),
        harm("flood_of_strange_answers", "nobody asked", |request| {
            Answer::flood(bend::response_to(request.reply(&body::ok()), 77))
        }),
        harm("endless_bytes_of_one_message", "timed out", |request| {
            // 48 MB promised, a little at a time: alive, and never done.
            let head = bend::message_length(request.reply(&body::ok()), 48_000_000);
            let drops = std::iter::repeat_with(|| {
                std::thread::sleep(Duration::from_millis(20));
                vec![0; 100]
            });
            Answer::Stream(Box::new(std::iter::once(head).chain(drops)))
        }),
    ]
}

/// Replies that are no replies, or too deep to be read.
fn bodies() -> Vec<Harm> {
    let deep = |name: &'static str, reply: fn(usize) -> Vec<u8>| {
        harm(name, None, move |request| request.reply_bytes(&reply(500_000)).into())
    };
    let document = |name: &'static str, words: &'static str, reply: Document| {
        harm(name, words, move |request| request.reply(&reply).into())
    };
    vec![
        deep("nested_beside_ok", |depth| body::with_nested_documents(&body::ok(), "x", depth)),
        deep("nested_in_cursor", |depth| body::with_nested_documents(&body::ok(), "cursor", depth)),
        deep("nested_in_value", |depth| body::with_nested_documents(&body::ok(), "value", depth)),
        deep("nested_in_values", |depth| body::with_nested_arrays(&body::ok(), "values", depth)),
        deep("nested_in_write_errors", |depth| body::with_nested_arrays(&body::ok(), "writeErrors", depth)),
        deep("nested_in_write_concern_error", |depth| {
            body::with_nested_documents(&doc! { "ok": 1.0, "n": 1 }, "writeConcernError", depth)
        }),
        deep("nested_in_refusal", |depth| {
            body::with_nested_documents(&doc! { "ok": 0.0, "code": 1, "errmsg": "no" }, "errInfo", depth)
        }),
        deep("nested_in_cluster_time", |depth| {
            body::with_nested_documents(&doc! { "ok": 1.0, "n": 1 }, "$clusterTime", depth)
        }),
        document("empty", "ok", doc! {}),
        document("ok_that_is_a_word", "ok", doc! { "ok": "fine" }),
        document("refusal_without_words", "", doc! { "ok": 0.0 }),
        document(
            "refusal_with_wrong_types",
            "",
            doc! { "ok": 0.0, "code": "x", "errmsg": 7, "errorLabels": 3 },
        ),
        document("refusal_with_100_000_labels", "no", {
            doc! { "ok": 0.0, "code": 1, "errmsg": "no", "errorLabels": vec!["Label"; 100_000] }
        }),
        document(
            "refusal_of_ten_megabytes",
            "aaaa",
            doc! { "ok": 0.0, "code": 1, "errmsg": "a".repeat(10 << 20) },
        ),
        harm("garbage_in_a_document", "", |request| {
            request.reply_bytes(&body::with_field(&body::ok(), 0x99, "x", &[1, 2, 3])).into()
        }),
    ]
}

/// Answers to writes that cannot be true.
fn writes() -> Vec<Harm> {
    let write = |name: &'static str, reply: Document| Harm {
        name: name.into(),
        options: "",
        reads: None,
        writes: None,
        lie: Arc::new(move |request| request.reply(&reply).into()),
    };
    let errors = |errors: Vec<Bson>| doc! { "ok": 1.0, "n": 0, "writeErrors": errors };
    vec![
        write("n_negative", doc! { "ok": 1.0, "n": -1 }),
        write("n_that_is_a_word", doc! { "ok": 1.0, "n": "many" }),
        write("n_greatest", doc! { "ok": 1.0, "n": i64::MAX, "nModified": i64::MAX }),
        write("upserted_of_wrong_type", doc! { "ok": 1.0, "n": 1, "nModified": 0, "upserted": [1, "x"] }),
        write("write_errors_of_wrong_type", doc! { "ok": 1.0, "n": 0, "writeErrors": "none" }),
        write("write_errors_of_numbers", errors(vec![Bson::Int32(1)])),
        write("write_errors_out_of_range", errors(vec![doc! { "index": 1 << 30, "code": 1 }.into()])),
        write("write_errors_negative", errors(vec![doc! { "index": -1, "code": 1 }.into()])),
        write("write_errors_20_000", errors(vec![doc! { "index": 0 }.into(); 20_000])),
        write("write_concern_error_of_wrong_type", doc! { "ok": 1.0, "n": 1, "writeConcernError": 7 }),
        write("write_concern_error_of_wrong_types", {
            doc! { "ok": 1.0, "n": 1, "writeConcernError": { "code": "x", "errmsg": 1, "errInfo": [] } }
        }),
        write("topology_version_of_wrong_type", {
            doc! { "ok": 0.0, "code": 10107, "errmsg": "not primary", "topologyVersion": { "counter": "x" } }
        }),
    ]
}

fn batch(id: i64, name: &str, documents: Vec<Bson>) -> Document {
    doc! { "ok": 1.0, "cursor": { "id": id, "ns": "suite.things", name: documents } }
}

/// A cursor that never ends: whoever reads it may stop at any time, and holds one batch.
fn endless_batches() -> Case {
    let start = || {
        let documents: Vec<Bson> =
            (0..1000).map(|i| doc! { "i": i, "pad": "x".repeat(1000) }.into()).collect();
        standalone(move |request| match request.command() {
            "find" => request.reply(&batch(7, "firstBatch", documents.clone())).into(),
            "getMore" => request.reply(&batch(7, "nextBatch", documents.clone())).into(),
            _ => request.reply(&body::ok()).into(),
        })
    };
    Case::new("after::batches_without_end", start, |seeds| async move {
        let client = connect(&seeds, "").await;
        let call = async {
            let mut cursor = things(&client).find(doc! {}).await.expect("a cursor");
            for _ in 0..100_000 {
                assert!(cursor.advance().await.expect("a document"));
            }
        };
        bounded("100 batches", Duration::from_secs(40), call).await;
    })
}

/// A cursor without end and without documents: its wait can be given up, and harms nobody else.
fn endless_empty_batches() -> Case {
    let start = || {
        pair::start(|request, names| {
            secondary(request, names, |request| match request.command() {
                "find" => request.reply(&batch(7, "firstBatch", Vec::new())).into(),
                "getMore" => request.reply(&batch(7, "nextBatch", Vec::new())).into(),
                _ => request.reply(&body::ok()).into(),
            })
        })
    };
    Case::new("after::empty_batches_without_end", start, |seeds| async move {
        let client = connect(&seeds, "&replicaSet=rs").await;
        let read = async {
            let mut cursor =
                things(&client).find(doc! {}).selection_criteria(hostile()).await.expect("a cursor");
            cursor.advance().await
        };
        let given_up = tokio::time::timeout(Duration::from_secs(1), read);
        let (given_up, ()) = futures::join!(given_up, expect_service(&client, 10));
        if let Ok(outcome) = given_up {
            judge("the cursor", outcome, Some("batch"));
        }
        expect_service(&client, 5).await;
    })
}

/// Lies a cursor can tell, each an error of the call that meets it.
fn cursor_lies() -> Vec<Case> {
    let lies: [(&str, Document); 8] = [
        ("batch_of_another_cursor", batch(8, "nextBatch", Vec::new())),
        ("batch_of_no_name", batch(7, "otherBatch", Vec::new())),
        ("batch_of_numbers", batch(7, "nextBatch", vec![Bson::Int32(1)])),
        (
            "batch_that_is_a_word",
            doc! { "ok": 1.0, "cursor": { "id": 7_i64, "ns": "a.b", "nextBatch": "x" } },
        ),
        ("cursor_that_is_a_word", doc! { "ok": 1.0, "cursor": "x" }),
        (
            "cursor_id_that_is_a_word",
            doc! { "ok": 1.0, "cursor": { "id": "x", "ns": "a.b", "nextBatch": [] } },
        ),
        ("no_cursor", doc! { "ok": 1.0 }),
        ("cursor_not_found", doc! { "ok": 0.0, "code": 43, "codeName": "CursorNotFound", "errmsg": "gone" }),
    ];
    let lies = lies.into_iter().map(|(name, reply)| {
        let start = move || {
            let reply = reply.clone();
            standalone(move |request| match request.command() {
                "find" => request.reply(&batch(7, "firstBatch", vec![doc! { "i": 1 }.into()])).into(),
                "getMore" => request.reply(&reply).into(),
                _ => request.reply(&body::ok()).into(),
            })
        };
        Case::new(format!("after::cursor_{name}"), start, |seeds| async move {
            let client = connect(&seeds, "").await;
            let mut cursor = bounded("a cursor", LIMIT, async { things(&client).find(doc! {}).await })
                .await
                .expect("a cursor");
            assert!(cursor.try_next().await.expect("the first document").is_some());
            let next = bounded("the next batch", LIMIT, cursor.try_next()).await;
            judge("the next batch", next, Some(""));
            // Nothing comes of it any more.
            assert_eq!(bounded("after the end", LIMIT, cursor.try_next()).await.ok().flatten(), None);
        })
    });
    lies.collect()
}

/// The widest batch of a message: a million documents of five bytes, counted without holding them.
fn wide_batch() -> Case {
    let start = || {
        let documents = vec![Bson::Document(doc! {}); 1_000_000];
        let reply = batch(0, "firstBatch", documents).to_vec().expect("encodes");
        standalone(move |request| match request.command() {
            "find" => request.reply_bytes(&reply).into(),
            _ => request.reply(&body::ok()).into(),
        })
    };
    Case::new("after::a_million_documents_in_a_batch", start, |seeds| async move {
        let client = connect_unheard(&seeds, "").await;
        let call = async {
            let mut count = 0;
            let mut cursor = things(&client).find(doc! {}).await.expect("a cursor");
            while cursor.advance().await.expect("documents") {
                count += 1;
            }
            count
        };
        assert_eq!(bounded("a million documents", Duration::from_secs(40), call).await, 1_000_000);
    })
}

/// The longest message there may be: it is held once.
fn greatest_reply() -> Case {
    let start = || {
        let reply = doc! { "ok": 1.0, "cursor": { "id": 0_i64, "ns": "suite.things", "firstBatch": [] } };
        let reply = body::with_field(&reply, 5, "pad", &{
            const SIZE: i32 = 47_900_000;
            let mut binary = SIZE.to_le_bytes().to_vec();
            binary.resize(5 + usize::try_from(SIZE).expect("positive"), 0);
            binary
        });
        standalone(move |request| match request.command() {
            "find" => request.reply_bytes(&reply).into(),
            _ => request.reply(&body::ok()).into(),
        })
    };
    Case::new("after::the_longest_reply", start, |seeds| async move {
        let client = connect_unheard(&seeds, "").await;
        for _ in 0..3 {
            let call = async { things(&client).find(doc! {}).await };
            drop(bounded("a long reply", Duration::from_secs(20), call).await.expect("a cursor"));
        }
    })
}

/// Answers what it was asked and goes on talking: the answer counts, the connection is not used again.
fn flood_after_answer() -> Case {
    let start = || {
        pair::start(|request, names| {
            secondary(request, names, |request| {
                let bytes = batch(0, "firstBatch", Vec::new()).to_vec().expect("encodes");
                let answer = wire::op_msg(1, request.request_id, 0, &bytes);
                let more = wire::op_msg(2, 1, 2, &bytes);
                Answer::Stream(Box::new(std::iter::once(answer).chain(std::iter::repeat(more))))
            })
        })
    };
    Case::new("after::flood_behind_an_answer", start, |seeds| async move {
        let client = connect(&seeds, "&replicaSet=rs&socketTimeoutMS=500").await;
        for _ in 0..10 {
            let read = async { things(&client).find_one(doc! {}).selection_criteria(hostile()).await };
            judge("a read", bounded("a read", LIMIT, read).await, None);
            expect_service(&client, 1).await;
        }
    })
}

fn never_answers_by_timeout_ms() -> Case {
    Case::new(
        "after::no_answer_within_timeout_ms",
        || standalone(|_| Answer::Nothing),
        |seeds| async move {
            let client = connect(&seeds, "&timeoutMS=400").await;
            let begin = std::time::Instant::now();
            let call = async { things(&client).find_one(doc! {}).await };
            let error = bounded("find_one", LIMIT, call).await.expect_err("no answer");
            assert!(matches!(*error.kind, ErrorKind::Timeout { .. }), "{error:?}");
            assert!(
                begin.elapsed() < Duration::from_millis(400) + super::client::SLACK,
                "{:?}",
                begin.elapsed()
            );
        },
    )
}

/// Twenty reads wait for a server that never answers; writes to the other one are as fast as ever.
fn no_answer_leaves_others_alone() -> Case {
    let start = || {
        let asked = AtomicU64::new(0);
        pair::start(move |request, names| {
            secondary(request, names, |_| {
                asked.fetch_add(1, Ordering::Relaxed);
                Answer::Nothing
            })
        })
    };
    Case::new("after::no_answer_leaves_others_alone", start, |seeds| async move {
        let client = connect(&seeds, "&replicaSet=rs&socketTimeoutMS=1000").await;
        expect_service(&client, 1).await;
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(
                    async move { things(&client).find_one(doc! {}).selection_criteria(hostile()).await },
                )
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(200)).await;
        expect_service(&client, 20).await;
        let primaries = client.topology();
        assert!(primaries.servers.values().any(|server| server.server_type == ServerType::RsPrimary));
        for read in waiting {
            let error = bounded("a read", LIMIT, read).await.expect("no panic").expect_err("no answer");
            assert!(
                error.is_network_timeout()
                    || matches!(
                        *error.kind,
                        ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::ServerSelection { .. }
                    ),
                "{error:?}"
            );
        }
    })
}
