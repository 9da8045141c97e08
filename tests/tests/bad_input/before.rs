//! Servers that mean harm from the first byte on: wrong answers to the handshake, and to every monitor's check.
//!
//! Each is met alone, where it must end in a server selection error that says what was wrong with it, and beside a healthy
//! primary, which must stay in service all the while.

use super::child::{Case, Servers};
use super::client::{bounded, connect, expect_no_server, expect_service, things};
use super::pair::{self, Names};
use quorate_harness::hostile::{Answer, HostileServer, Request, bend, body};
use quorate_harness::wire;
use quorate_tokio::bson::{Bson, Document, doc};
use quorate_tokio::error::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// What a server answers, given the honest answer's document.
type Lie = Arc<dyn Fn(&Request, Document) -> Answer + Send + Sync>;

/// One way to lie, and the words by which the error must tell it; `None` where taking the answer is right as well.
struct Harm {
    name: String,
    words: Option<&'static str>,
    greeting: Vec<u8>,
    lie: Lie,
    /// Whether it is met beside a healthy server too.
    beside: bool,
}

pub(crate) fn cases() -> Vec<Case> {
    let harms = [framing(), bodies(), fields(), nesting(), numbers(), timing()];
    let mut cases: Vec<Case> = harms.into_iter().flatten().flat_map(Harm::cases).collect();
    cases.push(incompatible());
    cases
}

fn harm(
    name: &str,
    words: impl Into<Option<&'static str>>,
    lie: impl Fn(&Request, Document) -> Answer + Send + Sync + 'static,
) -> Harm {
    Harm { name: name.into(), words: words.into(), greeting: Vec::new(), lie: Arc::new(lie), beside: true }
}

impl Harm {
    /// Only alone: its like is met beside a healthy server in another case.
    fn alone(self) -> Self {
        Harm { beside: false, ..self }
    }

    fn cases(self) -> Vec<Case> {
        let (lie, greeting, words) = (self.lie.clone(), self.greeting.clone(), self.words);
        let alone = Case::new(
            format!("before::{}", self.name),
            move || {
                let lie = lie.clone();
                let answer = move |request: &Request| answer(request, &lie, body::hello_standalone());
                let server = HostileServer::greeting_then(greeting.clone(), answer).expect("a port");
                Servers { addresses: vec![server.address()], keep: Box::new(server) }
            },
            move |seeds| async move {
                let client = connect(&seeds, "&socketTimeoutMS=500").await;
                match words {
                    Some(words) => drop(expect_no_server(&client, &[(&seeds[0], words)]).await),
                    None => {
                        let write = async { things(&client).insert_one(doc! {}).await };
                        drop(bounded("a write", Duration::from_secs(5), write).await);
                    }
                }
            },
        );
        if !self.beside {
            return vec![alone];
        }
        let (lie, greeting) = (self.lie, self.greeting);
        let beside = Case::new(
            format!("before::{}_beside_a_healthy_one", self.name),
            move || {
                let lie = lie.clone();
                let answer =
                    move |request: &Request, names: &Names| answer(request, &lie, names.secondary_hello());
                pair::greeting(greeting.clone(), answer)
            },
            |seeds| async move {
                let client = connect(&seeds, "&replicaSet=rs").await;
                expect_service(&client, 20).await;
            },
        );
        vec![alone, beside]
    }
}

fn answer(request: &Request, lie: &Lie, hello: Document) -> Answer {
    if request.is_hello() { lie(request, hello) } else { request.reply(&body::ok()).into() }
}

fn with(mut hello: Document, name: &str, value: impl Into<Bson>) -> Document {
    hello.insert(name, value);
    hello
}

/// Lies about the message around the document.
fn framing() -> Vec<Harm> {
    let bent = |name: &str, words: &'static str, bend: fn(Vec<u8>) -> Vec<u8>| {
        harm(name, words, move |request, hello| bend(request.reply(&hello)).into())
    };
    let unasked = wire::op_msg(1, 12345, 0, &body::ok().to_vec().expect("encodes"));
    let mut greeted =
        harm("message_before_any_question", "nobody asked", |request, hello| request.reply(&hello).into());
    greeted.greeting = unasked.clone();
    let mut flooded = harm("flood_of_messages", "nobody asked", {
        let unasked = unasked.clone();
        move |_, _| Answer::flood(unasked.clone())
    });
    flooded.greeting = unasked.repeat(1000);
    vec![
        bent("length_0", "length", |m| bend::message_length(m, 0)),
        bent("length_15", "length", |m| bend::message_length(m, 15)),
        bent("negative_length", "length", |m| bend::message_length(m, -5)),
        bent("length_of_all_bits", "length", |m| bend::message_length(m, i32::MIN)),
        bent("length_48_mb", "length", |m| bend::message_length(m, 48_000_000)),
        bent("length_too_long_by_one", "timed out during the handshake|in time", |m| {
            let length = i32::try_from(m.len()).unwrap_or(0) + 1;
            bend::message_length(m, length)
        }),
        bent("length_too_short_by_one", "", |m| {
            let length = i32::try_from(m.len()).unwrap_or(0) - 1;
            bend::message_length(m, length)
        }),
        bent("answer_to_another_request", "nobody asked", |m| bend::response_to(m, 4711)),
        bent("answer_to_no_request", "nobody asked", |m| bend::response_to(m, 0)),
        bent("unknown_op_code", "op", |m| bend::op_code(m, 2002)),
        bent("compressed_unasked", "compress", |m| bend::op_code(m, 2012)),
        bent("query_as_an_answer", "op", |m| bend::op_code(m, 2004)),
        harm("flags_of_an_old_server", None, |request, hello| bend::flags(request.reply(&hello), 1).into()),
        bent("document_longer_than_its_message", "", |m| bend::document_length(m, 1 << 20)),
        bent("document_of_negative_length", "", |m| bend::document_length(m, -1)),
        bent("document_of_length_4", "", |m| bend::document_length(m, 4)),
        bent("document_of_all_bits", "", |m| bend::document_length(m, i32::MAX)),
        harm("half_an_answer", "closed", |request, hello| {
            Answer::Close(bend::truncated(request.reply(&hello), 40))
        }),
        harm("half_a_header", "closed", |request, hello| {
            Answer::Close(bend::truncated(request.reply(&hello), 7))
        }),
        harm("half_and_a_reset", "", |request, hello| {
            Answer::Reset(bend::truncated(request.reply(&hello), 40))
        }),
        harm("answer_twice", None, |request, hello| request.reply(&hello).repeat(2).into()),
        harm("msg_for_query", None, |request, hello| {
            wire::op_msg(1, request.request_id, 0, &hello.to_vec().expect("encodes")).into()
        }),
        greeted,
        flooded,
    ]
}

/// Bodies that are no document at all, or no reply.
fn bodies() -> Vec<Harm> {
    let raw =
        |name: &str, bytes: Vec<u8>| harm(name, "", move |request, _| request.reply_bytes(&bytes).into());
    // A string that says it is longer than the document, one without its terminator, one that is no UTF-8, a type nobody
    // knows, a field name without an end.
    let string = |length: i32, text: &[u8]| {
        body::with_field(&body::hello_standalone(), 2, "setName", &[&length.to_le_bytes()[..], text].concat())
    };
    vec![
        raw("empty_document", vec![5, 0, 0, 0, 0]),
        raw("no_bytes", Vec::new()),
        raw("zeros", vec![0; 1000]),
        raw("ones", vec![0xff; 1000]),
        raw("long_string", string(i32::MAX, b"rs\0")),
        raw("negative_string", string(-1, b"rs\0")),
        raw("string_without_end", string(3, b"rsx")),
        raw("string_of_no_text", string(3, b"\xff\xfe\0")),
        raw("unknown_type", body::with_field(&body::hello_standalone(), 0x55, "setName", b"")),
        raw("name_without_end", {
            let mut bytes = vec![0xff_u8; 64];
            bytes[..4].copy_from_slice(&64_i32.to_le_bytes());
            bytes[4] = 1;
            bytes
        }),
        harm("refusal", "no hello for you", |request, _| {
            request.reply(&doc! { "ok": 0.0, "code": 59, "errmsg": "no hello for you" }).into()
        }),
        harm("refusal_of_a_megabyte", "aaaa", |request, _| {
            request.reply(&doc! { "ok": 0.0, "code": 59, "errmsg": "a".repeat(1 << 20) }).into()
        }),
        harm("ok_that_is_a_word", "ok", |request, hello| request.reply(&with(hello, "ok", "yes")).into()),
    ]
}

/// Fields of the wrong type, and lists too long.
fn fields() -> Vec<Harm> {
    let field = |name: &'static str, value: Bson| {
        let title = format!("field_{}_as_{:?}", name, value.element_type()).to_lowercase();
        harm(&title, name, move |request, hello| request.reply(&with(hello, name, value.clone())).into())
            .alone()
    };
    let hosts = |name: &str, words: Option<&'static str>, hosts: Vec<String>| {
        harm(name, words, move |request, hello| request.reply(&with(hello, "hosts", hosts.clone())).into())
    };
    let text = || Bson::String("x".into());
    vec![
        field("hosts", text()),
        field("hosts", Bson::Array(vec![Bson::Int32(1)])),
        field("setName", Bson::Int32(1)),
        field("setVersion", text()),
        field("electionId", text()),
        field("tags", Bson::Array(vec![text()])),
        field("tags", Bson::Document(doc! { "dc": 1 })),
        field("topologyVersion", Bson::Document(doc! { "processId": 1, "counter": "x" })),
        field("me", Bson::Int32(1)),
        field("primary", Bson::Double(0.5)),
        field("maxWireVersion", text()),
        field("isWritablePrimary", text()),
        field("logicalSessionTimeoutMinutes", text()),
        field("lastWrite", text()),
        field("setName", Bson::String("long".repeat(1000))),
        hosts("hosts_of_no_form", Some("hosts"), vec!["a:b".into(), "".into()]),
        hosts("hosts_100_000", Some(""), body::many_hosts(100_000)),
        hosts("hosts_100_000_short", Some("hosts"), vec!["h:1".into(); 100_000]),
        hosts("hosts_1001", Some("hosts"), (1..=1001).map(|port| format!("127.0.0.1:{port}")).collect()),
        hosts("hosts_1000", None, (1..=1000).map(|port| format!("127.0.0.1:{port}")).collect()),
    ]
}

/// Deep documents, in fields somebody reads and in fields nobody does.
fn nesting() -> Vec<Harm> {
    let deep = |name: &str, field: &'static str, depth: usize, arrays: bool| {
        harm(name, None, move |request, hello| {
            let nest = if arrays { body::with_nested_arrays } else { body::with_nested_documents };
            request.reply_bytes(&nest(&hello, field, depth)).into()
        })
    };
    vec![
        deep("nested_100_000_deep", "x", 100_000, false),
        deep("nested_500_000_deep", "x", 500_000, false),
        deep("arrays_100_000_deep", "hosts", 100_000, true),
        deep("tags_100_000_deep", "tags", 100_000, false),
        deep("topology_version_100_000_deep", "topologyVersion", 100_000, false),
        deep("cluster_time_100_000_deep", "$clusterTime", 100_000, false),
        deep("last_write_100_000_deep", "lastWrite", 100_000, false),
        deep("speculation_100_000_deep", "speculativeAuthenticate", 100_000, false),
        harm("refusal_100_000_deep", "", |request, _| {
            request.reply_bytes(&body::with_nested_documents(&doc! { "ok": 0.0 }, "x", 100_000)).into()
        }),
    ]
}

/// Numbers no server gives: an error that names the field, or taken for what they can be.
fn numbers() -> Vec<Harm> {
    let number = |name: &'static str, value: Bson| {
        let title = format!("number_{name}_{value}").to_lowercase();
        harm(&title, None, move |request, hello| request.reply(&with(hello, name, value.clone())).into())
            .alone()
    };
    let names = [
        "maxBsonObjectSize",
        "maxMessageSizeBytes",
        "maxWriteBatchSize",
        "logicalSessionTimeoutMinutes",
        "connectionId",
        "setVersion",
        "minWireVersion",
        "maxWireVersion",
    ];
    let extremes = [Bson::Int64(i64::MAX), Bson::Int64(i64::MIN), Bson::Int32(0), Bson::Double(f64::NAN)];
    // Every extreme somewhere, every field with an extreme: all pairs would only take longer.
    let mut harms: Vec<Harm> =
        names.iter().enumerate().map(|(i, name)| number(name, extremes[i % 4].clone())).collect();
    harms.extend(names.iter().enumerate().map(|(i, name)| number(name, extremes[(i + 1) % 4].clone())));
    harms
}

/// A server of another age. The specification has the whole deployment refused for it ("Checking wire protocol
/// compatibility"), at once and beside a healthy server too.
fn incompatible() -> Case {
    let start = || {
        pair::start(|request, names| {
            let hello = with(with(names.secondary_hello(), "minWireVersion", 900), "maxWireVersion", 999);
            pair::honest(request, &hello)
        })
    };
    Case::new("before::wire_versions_of_the_future", start, |seeds| async move {
        for (seeds, more) in [(&seeds[..1], ""), (&seeds[..], "&replicaSet=rs")] {
            let client = connect(seeds, more).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            let write = async { things(&client).insert_one(doc! {}).await };
            let error = bounded("a write", Duration::from_secs(5), write).await.expect_err("incompatible");
            assert!(matches!(*error.kind, ErrorKind::Incompatible { .. }), "{error:?}");
            assert!(error.to_string().contains("wire version 900"), "{error}");
        }
    })
}

/// Answers that take their time, and streams nobody can follow.
fn timing() -> Vec<Harm> {
    let stream = |name: &str, words: Option<&'static str>, next: fn(&Document, i64) -> Document| {
        harm(name, words, move |request, hello| {
            let hello = with(hello, "topologyVersion", version(0));
            if request.op_code != wire::OP_MSG {
                return request.reply(&hello).into();
            }
            // Says that more is to come, for ever, as fast as it can.
            let (first, mut asked) = (request.request_id, request.request_id);
            let replies = (1_i64..).map(move |count| {
                let id =
                    first.wrapping_add(1_000_000).wrapping_add(i32::try_from(count % 1_000_000).unwrap_or(0));
                let bytes = next(&hello, count).to_vec().expect("encodes");
                let reply = wire::op_msg(id, asked, 2, &bytes);
                asked = id;
                reply
            });
            Answer::Stream(Box::new(replies))
        })
    };
    vec![
        harm("byte_by_byte_too_slowly", "timed out|in time", |request, hello| {
            Answer::Trickle(request.reply(&hello), Duration::from_millis(50))
        }),
        harm("byte_by_byte", None, |request, hello| {
            Answer::Trickle(request.reply(&hello), Duration::from_micros(100))
        }),
        stream("stream_of_the_same_hello", None, |hello, _| hello.clone()),
        stream("stream_of_new_hellos", None, |hello, count| {
            with(hello.clone(), "topologyVersion", version(count))
        }),
        stream("stream_of_new_tags", None, |hello, count| {
            with(
                with(hello.clone(), "topologyVersion", version(count)),
                "tags",
                doc! { "n": count.to_string() },
            )
        }),
        stream("stream_of_new_members", None, |hello, count| {
            let hosts: Vec<String> =
                (0..50).map(|i| format!("127.0.0.1:{}", 1 + (count * 50 + i) % 60_000)).collect();
            with(with(hello.clone(), "topologyVersion", version(count)), "hosts", hosts)
        }),
    ]
}

fn version(counter: i64) -> Document {
    doc! { "processId": quorate_tokio::bson::oid::ObjectId::from_bytes([7; 12]), "counter": counter }
}
