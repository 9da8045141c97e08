//! What one connection makes of compression: what it offers, what it agrees to, what it opens.

use quorate_core::connection::{Connection, ConnectionOutput, HandshakeOptions};
use quorate_core::raw::{DocWriter, RawDoc};
use quorate_core::wire::compression::{compress, inflate};
use quorate_core::wire::{
    Compressor, Flags, Header, Request, WireError, decode, decode_op_query, encode_op_msg, encode_op_reply,
    op_code,
};
use quorate_core::{Duration, Instant};
use std::sync::Arc;

const NOW: Instant = Instant::ZERO;
const LIMIT: usize = 48_000_000;

/// What this build has.
fn available() -> Vec<Compressor> {
    let all = [Compressor::Zstd { level: None }, Compressor::Zlib { level: Some(1) }, Compressor::Snappy];
    all.into_iter().filter(|compressor| compressor.is_available()).collect()
}

/// A connection that was opened, and the compressors it has offered.
fn opened(wanted: &[Compressor], is_monitor: bool) -> (Connection, Vec<String>) {
    let mut handshake = HandshakeOptions::new(Arc::from(RawDoc::EMPTY.as_bytes()));
    handshake.compressors = Arc::from(wanted);
    handshake.is_monitor = is_monitor;
    let mut connection = Connection::new(NOW, handshake, Duration::from_secs(10), None);
    connection.handle_opened(NOW);
    let Some(ConnectionOutput::Transmit(hello)) = connection.poll_output() else { panic!("a hello") };
    assert_eq!(Header::from_bytes(hello.first_chunk().unwrap()).op_code, op_code::OP_QUERY);
    let hello = decode_op_query(&hello).unwrap();
    let hello: bson::Document = bson::deserialize_from_slice(hello.query.as_bytes()).unwrap();
    let offered =
        hello.get_array("compression").unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    let offered = offered.collect();
    (connection, offered)
}

/// A server's answer to the first hello.
fn greeting(shared: &[&str]) -> Vec<u8> {
    let (mut body, mut message) = (Vec::new(), Vec::new());
    DocWriter::new(&mut body)
        .bool("isWritablePrimary", true)
        .i32("maxWireVersion", 21)
        .strs("compression", shared.iter().copied())
        .i32("ok", 1)
        .finish();
    encode_op_reply(&mut message, 9, 1, RawDoc::new(&body).unwrap()).unwrap();
    message
}

fn established(wanted: &[Compressor], shared: &[&str]) -> Connection {
    let (mut connection, _) = opened(wanted, false);
    connection.handle_bytes(NOW, &greeting(shared));
    assert!(matches!(connection.poll_output(), Some(ConnectionOutput::Established(..))));
    connection
}

/// A ping for that connection, on its way.
fn sent(connection: &mut Connection, command: &str) -> Request {
    let mut request = Request::new();
    request.body().i32(command, 1).str("$db", "admin").suspend();
    let id = connection.begin_request(NOW, true, None).unwrap();
    request.attempt(id, Flags::NONE, |body| body).unwrap();
    connection.compress(&mut request);
    request
}

fn op_code_of(message: &[u8]) -> i32 {
    Header::from_bytes(message.first_chunk().unwrap()).op_code
}

/// A reply to the request of that number.
fn reply(to: i32) -> Vec<u8> {
    let (mut body, mut message) = (Vec::new(), Vec::new());
    DocWriter::new(&mut body).i32("n", 7).i32("ok", 1).finish();
    encode_op_msg(&mut message, 10, to, Flags::NONE, RawDoc::new(&body).unwrap()).unwrap();
    message
}

fn error_of(connection: &mut Connection) -> String {
    match connection.poll_output() {
        Some(ConnectionOutput::Failed(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_offers_what_it_has_in_the_users_order() {
    let names: Vec<&str> = available().into_iter().map(Compressor::name).collect();
    assert_eq!(opened(&available(), false).1, names);
    let mut reversed = available();
    reversed.reverse();
    assert_eq!(opened(&reversed, false).1, names.into_iter().rev().collect::<Vec<_>>());
    // "When no compression is enabled on the client, drivers SHOULD send an empty compression argument."
    assert!(opened(&[], false).1.is_empty());
    // What monitors say is never compressed.
    assert!(opened(&available(), true).1.is_empty());
}

#[test]
fn it_takes_the_users_first_that_the_server_has() {
    let wanted = available();
    let names: Vec<&str> = wanted.iter().map(|compressor| compressor.name()).collect();
    let backwards: Vec<&str> = names.iter().rev().copied().collect();
    assert_eq!(established(&wanted, &names).compressor(), wanted.first().copied());
    assert_eq!(established(&wanted, &backwards).compressor(), wanted.first().copied());
    for compressor in &wanted {
        assert_eq!(established(&wanted, &["rar", compressor.name()]).compressor(), Some(*compressor));
    }
    assert_eq!(established(&wanted, &[]).compressor(), None);
    assert_eq!(established(&wanted, &["rar"]).compressor(), None);
    // A server that agrees to what was not offered.
    assert_eq!(established(&[], &names).compressor(), None);
}

#[test]
fn requests_are_compressed_as_agreed() {
    for compressor in available() {
        let mut connection = established(&[compressor], &[compressor.name()]);
        let request = sent(&mut connection, "ping");
        assert_eq!(op_code_of(request.message()), op_code::OP_COMPRESSED);
        let mut plain = Vec::new();
        inflate(request.message(), LIMIT, &mut plain).unwrap();
        assert_eq!(decode(&plain).unwrap().body, request.body_and_sequences().unwrap().0);

        let mut connection = established(&[compressor], &[compressor.name()]);
        assert_eq!(op_code_of(sent(&mut connection, "saslStart").message()), op_code::OP_MSG);
        let mut connection = established(&[compressor], &[]);
        assert_eq!(op_code_of(sent(&mut connection, "ping").message()), op_code::OP_MSG);
    }
}

#[test]
fn replies_are_opened_whichever_compressor_they_name() {
    for offered in available() {
        for used in available() {
            // Nothing was agreed on: "it is completely acceptable for the server to use compression for any and all replies".
            let mut connection = established(&[offered], &[]);
            sent(&mut connection, "ping");
            let mut bytes = Vec::new();
            compress(used, &reply(2), &mut bytes).unwrap();
            connection.handle_bytes(NOW, &bytes);
            let Some(ConnectionOutput::Reply(message)) = connection.poll_output() else { panic!("a reply") };
            assert_eq!(message.body.get("n").unwrap().unwrap().as_i64(), Some(7));
            assert!(connection.is_idle());
            assert_eq!(connection.take_reply().unwrap().header.response_to, 2);
        }
    }
}

#[test]
fn even_the_first_reply_may_be_compressed() {
    for compressor in available() {
        let mut bytes = Vec::new();
        compress(compressor, &greeting(&[compressor.name()]), &mut bytes).unwrap();
        let (mut connection, _) = opened(&[compressor], false);
        connection.handle_bytes(NOW, &bytes);
        assert!(matches!(connection.poll_output(), Some(ConnectionOutput::Established(..))));
        assert_eq!(connection.compressor(), Some(compressor));
        // One that is a bomb is held against the limit for hellos.
        let mut bytes = Vec::new();
        compress(compressor, &vec![0; 3_000_000], &mut bytes).unwrap();
        let (mut connection, _) = opened(&[compressor], false);
        connection.handle_bytes(NOW, &bytes);
        let error = error_of(&mut connection);
        assert!(error.contains("claims 2999984 bytes"), "{error}");
    }
}

#[test]
fn compression_that_was_not_offered_is_an_error() {
    for compressor in available() {
        for is_monitor in [false, true] {
            let wanted = if is_monitor { available() } else { Vec::new() };
            let (mut connection, _) = opened(&wanted, is_monitor);
            let mut bytes = Vec::new();
            compress(compressor, &greeting(&[]), &mut bytes).unwrap();
            connection.handle_bytes(NOW, &bytes);
            let expected =
                WireError::Compressed { original_op_code: op_code::OP_REPLY, compressor: bytes[24] };
            assert!(error_of(&mut connection).contains(&expected.to_string()));
        }
    }
}
