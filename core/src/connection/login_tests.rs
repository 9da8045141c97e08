use super::super::{Connection, ConnectionOutput, HandshakeOptions};
use crate::auth::{Answer, Authenticator, Work};
use crate::error::{Error, ErrorKind, IoErrorKind};
use crate::options::{AuthMechanism, Credential};
use crate::raw::RawDoc;
use crate::wire::{Flags, decode, decode_op_query, encode_op_msg, encode_op_reply};
use crate::{Arc, Duration, Instant};
use alloc::string::ToString;
use alloc::vec::Vec;
use bson::{Document, doc};

const LIMIT: Duration = Duration::from_secs(10);

fn credential(mechanism: AuthMechanism) -> Credential {
    Credential {
        username: Some("user".into()),
        password: Some("canary".into()),
        source: Some("$external".into()),
        mechanism: Some(mechanism),
        ..Credential::default()
    }
}

fn opened(credential: &Credential, is_monitor: bool) -> Connection {
    let mut handshake = HandshakeOptions::new(Arc::from(RawDoc::EMPTY.as_bytes()));
    handshake.auth = Some(Authenticator::new(credential, [3; 32]).start(1));
    handshake.is_monitor = is_monitor;
    let mut connection = Connection::new(Instant::ZERO, handshake, LIMIT, None);
    connection.handle_opened(Instant::ZERO);
    connection
}

fn transmitted(connection: &mut Connection) -> Vec<u8> {
    match connection.poll_output() {
        Some(ConnectionOutput::Transmit(bytes)) => bytes,
        other => panic!("{other:?}"),
    }
}

fn hello(connection: &mut Connection) -> Document {
    let bytes = transmitted(connection);
    let query = decode_op_query(&bytes).unwrap();
    let hello = bson::deserialize_from_slice(query.query.as_bytes()).unwrap();
    let reply = doc! { "ok": 1, "isWritablePrimary": true, "maxWireVersion": 17, "connectionId": 5 };
    let reply = bson::serialize_to_vec(&reply).unwrap();
    let mut answer = Vec::new();
    encode_op_reply(&mut answer, 1, query.header.request_id, RawDoc::new(&reply).unwrap()).unwrap();
    connection.handle_bytes(Instant::ZERO + Duration::from_millis(2), &answer);
    hello
}

/// Takes a command, and answers it.
fn answer(connection: &mut Connection, reply: Document) -> Document {
    let bytes = transmitted(connection);
    let message = decode(&bytes).unwrap();
    let command = bson::deserialize_from_slice(message.body.as_bytes()).unwrap();
    let reply = bson::serialize_to_vec(&reply).unwrap();
    let mut answer = Vec::new();
    let reply = RawDoc::new(&reply).unwrap();
    encode_op_msg(&mut answer, 1, message.header.request_id, Flags::NONE, reply).unwrap();
    connection.handle_bytes(Instant::ZERO + Duration::from_millis(4), &answer);
    command
}

fn greeted(connection: &mut Connection) {
    assert!(matches!(connection.poll_output(), Some(ConnectionOutput::Greeted { service_id: None })));
}

#[test]
fn a_pools_connection_is_established_when_it_has_logged_in() {
    let mut connection = opened(&credential(AuthMechanism::Plain), false);
    hello(&mut connection);
    greeted(&mut connection);
    assert_eq!(connection.poll_timeout(), Some(Instant::ZERO + LIMIT), "one limit for all of it");
    assert!(connection.begin_request(Instant::ZERO, true, None).is_err(), "not before the log-in");
    let command = answer(&mut connection, doc! { "ok": 1, "conversationId": 1, "done": true });
    assert_eq!(command.get_str("$db").unwrap(), "$external");
    match connection.poll_output() {
        Some(ConnectionOutput::Established(hello, round_trip)) => {
            assert_eq!(hello.connection_id, Some(5));
            assert_eq!(round_trip, Duration::from_millis(2), "the hello's alone");
        }
        other => panic!("{other:?}"),
    }
    assert!(connection.poll_output().is_none() && connection.poll_timeout().is_none());
    connection.begin_request(Instant::ZERO, true, None).unwrap();
}

/// "Authentication (including mechanism negotiation) MUST NOT happen on monitoring-only sockets."
#[test]
fn a_monitors_connection_never_logs_in() {
    let who = Credential { mechanism: None, source: None, ..credential(AuthMechanism::ScramSha256) };
    let mut connection = opened(&who, true);
    let said = hello(&mut connection);
    assert!(!said.contains_key("saslSupportedMechs") && !said.contains_key("speculativeAuthenticate"));
    assert!(matches!(connection.poll_output(), Some(ConnectionOutput::Established(..))));
    let mut connection = opened(&who, false);
    let said = hello(&mut connection);
    assert_eq!(said.get_str("saslSupportedMechs").unwrap(), "admin.user");
    assert!(said.contains_key("speculativeAuthenticate"));
}

#[test]
fn a_refusal_fails_it_and_the_host_hears_of_the_hello_first() {
    let mut connection = opened(&credential(AuthMechanism::Plain), false);
    hello(&mut connection);
    // Nobody has looked yet: the refusal comes with the next bytes.
    greeted(&mut connection);
    answer(&mut connection, doc! { "ok": 0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": "no" });
    match connection.poll_output() {
        Some(ConnectionOutput::Failed(error)) => {
            assert!(matches!(*error.kind, ErrorKind::Authentication { .. }));
            assert!(error.to_string().contains("PLAIN: no (code 18 AuthenticationFailed)"));
        }
        other => panic!("{other:?}"),
    }
    assert!(connection.poll_output().is_none());
    connection.handle_answer(Instant::ZERO, Answer::Failed(Error::invalid_argument("late")));
    assert!(connection.poll_output().is_none());
}

#[test]
fn a_lost_or_late_log_in_is_a_network_error_that_says_so() {
    let mut late = opened(&credential(AuthMechanism::Plain), false);
    hello(&mut late);
    late.handle_timeout(Instant::ZERO + LIMIT);
    let mut lost = opened(&credential(AuthMechanism::Plain), false);
    hello(&mut lost);
    lost.handle_closed();
    for (mut connection, kind) in [(late, IoErrorKind::TimedOut), (lost, IoErrorKind::Closed)] {
        // What is due is known only once the hello's reply was looked at; either way it is a network error.
        let failed = core::iter::from_fn(|| match connection.poll_output() {
            Some(ConnectionOutput::Failed(error)) => Some(Some(error)),
            Some(_) => Some(None),
            None => None,
        });
        let error = failed.flatten().next().unwrap();
        assert!(matches!(&*error.kind, ErrorKind::Io(io) if io.kind == kind), "{error:?}");
    }
}

#[test]
fn a_key_is_asked_for_and_early_and_late_answers_do_no_harm() {
    let who = Credential { source: None, ..credential(AuthMechanism::ScramSha256) };
    let mut connection = opened(&who, false);
    connection.handle_answer(Instant::ZERO, Answer::Failed(Error::invalid_argument("early")));
    hello(&mut connection);
    greeted(&mut connection);
    let bytes = transmitted(&mut connection);
    let message = decode(&bytes).unwrap();
    let command: Document = bson::deserialize_from_slice(message.body.as_bytes()).unwrap();
    connection.handle_answer(Instant::ZERO, Answer::Failed(Error::invalid_argument("early")));
    let said = command.get_binary_generic("payload").unwrap();
    let nonce = core::str::from_utf8(said).unwrap().rsplit_once("r=").unwrap().1.to_string();
    let first = alloc::format!("r={nonce}x,s=c2FsdA==,i=4096").into_bytes();
    let first = bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: first };
    let reply = doc! { "ok": 1, "conversationId": 1, "done": false, "payload": first };
    let reply = bson::serialize_to_vec(&reply).unwrap();
    let mut answer = Vec::new();
    let reply = RawDoc::new(&reply).unwrap();
    encode_op_msg(&mut answer, 1, message.header.request_id, Flags::NONE, reply).unwrap();
    connection.handle_bytes(Instant::ZERO, &answer);
    let Some(ConnectionOutput::Work(Work::Derive(job))) = connection.poll_output() else {
        panic!("a key to derive")
    };
    assert!(connection.poll_output().is_none());
    assert_eq!(connection.poll_timeout(), Some(Instant::ZERO + LIMIT), "deriving counts");
    connection.handle_answer(Instant::ZERO, Answer::Keys(job.run()));
    let proof = transmitted(&mut connection);
    assert!(!proof.windows(6).any(|bytes| bytes == b"canary"));
    assert!(!alloc::format!("{connection:?}").contains("canary"));
}
