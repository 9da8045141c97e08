use super::*;
use crate::raw::RawError;
use crate::wire::decode;
use alloc::format;
use alloc::string::{String, ToString};

fn names(bytes: &[u8]) -> Vec<String> {
    decode(bytes).unwrap().body.iter().map(|element| element.unwrap().0.to_string()).collect()
}

fn one_field(number: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    DocWriter::new(&mut bytes).i32("_id", number).finish();
    bytes
}

#[test]
fn attempts_replace_each_others_fields() {
    let mut request = Request::new();
    assert!(request.is_empty());
    request.body().str("find", "c").str("$db", "d").suspend();
    let first = request.attempt(1, Flags::NONE, |body| body.str("lsid", "long long long")).unwrap();
    assert_eq!(names(first), ["find", "$db", "lsid"]);
    let second = request.attempt(2, Flags::CHECKSUM_PRESENT, |body| body).unwrap();
    assert_eq!(names(second), ["find", "$db"]);
    let third = request.attempt(3, Flags::EXHAUST_ALLOWED, |body| body.i64("txnNumber", 1)).unwrap();
    assert_eq!(names(third), ["find", "$db", "txnNumber"]);
    let incoming = decode(third).unwrap();
    assert_eq!((incoming.header.request_id, incoming.header.response_to), (3, 0));
    assert_eq!(incoming.flags, Flags::EXHAUST_ALLOWED);
    assert_eq!(third.len(), request.len());
}

#[test]
fn stable_fields_may_be_added_between_attempts() {
    let mut request = Request::new();
    request.body().str("find", "c").finish();
    request.body().str("$db", "d").finish();
    request.attempt(1, Flags::CHECKSUM_PRESENT, |body| body.i64("txnNumber", 1)).unwrap();
    request.body().i32("maxTimeMS", 5).suspend();
    assert!(request.message().is_empty(), "no longer what was sent");
    request.attempt(2, Flags::NONE, |body| body.i64("txnNumber", 2)).unwrap();
    assert_eq!(names(request.message()), ["find", "$db", "maxTimeMS", "txnNumber"]);
}

#[test]
fn sequences_stand_before_the_body_even_if_written_later() {
    for order in 0..4 {
        let mut request = Request::new();
        if order == 1 {
            request.body().str("insert", "c").suspend();
        } else if order == 2 {
            request.body().str("insert", "c").finish();
        } else if order == 3 {
            request.body().str("insert", "c").suspend();
            request.attempt(1, Flags::CHECKSUM_PRESENT, |body| body.str("late", "gone again")).unwrap();
        }
        let mut list = request.sequence("documents");
        list.push(RawDoc::new(&one_field(1)).unwrap());
        list.push_with(|document| document.i32("_id", 2));
        assert_eq!((list.count(), list.byte_len()), (2, 28));
        list.finish();
        let _ = request.sequence("empty");
        if order == 0 {
            request.body().str("insert", "c").suspend();
        }
        let bytes = request.attempt(2, Flags::NONE, |body| body.bool("ordered", true)).unwrap();
        assert_eq!(names(bytes), ["insert", "ordered"]);
        let incoming = decode(bytes).unwrap();
        let lists: Vec<_> = incoming.sequences().map(|s| (s.identifier, s.documents().count())).collect();
        assert_eq!(lists, [("documents", 2), ("empty", 0)]);
        let ids: Vec<_> = incoming.sequences().next().unwrap().documents().collect();
        assert_eq!((ids[0].as_bytes(), ids[1].as_bytes()), (&one_field(1)[..], &one_field(2)[..]));
        // The body stands last.
        let end = incoming.body.as_bytes().as_ptr_range().end;
        assert_eq!(end, bytes.as_ptr_range().end);
    }
}

#[test]
fn a_document_too_many_is_taken_back() {
    let mut request = Request::new();
    let mut list = request.sequence("documents");
    list.push(RawDoc::new(&one_field(1)).unwrap());
    list.push(RawDoc::new(&one_field(2)).unwrap());
    list.pop();
    list.pop();
    assert_eq!((list.count(), list.byte_len()), (1, 14));
    list.push(RawDoc::EMPTY);
    assert_eq!(list.count(), 2);
    list.finish();
    let mut empty = request.sequence("other");
    empty.pop();
    assert_eq!((empty.count(), empty.byte_len()), (0, 0));
    empty.finish();
    let bytes = request.attempt(1, Flags::NONE, |body| body.i32("ping", 1)).unwrap();
    let first = decode(bytes).unwrap().sequences().next().unwrap();
    assert_eq!(first.as_bytes(), [&one_field(1)[..], RawDoc::EMPTY.as_bytes()].concat());
}

#[test]
fn an_encoder_that_fails_leaves_no_trace() {
    #[derive(Debug, PartialEq)]
    enum Failure {
        Encoder,
        Raw(RawError),
    }
    impl From<RawError> for Failure {
        fn from(error: RawError) -> Self {
            Failure::Raw(error)
        }
    }
    let mut request = Request::new();
    let mut list = request.sequence("documents");
    let failed = list.push_encoded(|out| {
        out.extend_from_slice(b"half a docum");
        Err(Failure::Encoder)
    });
    assert_eq!(failed, Err(Failure::Encoder));
    let two = |out: &mut Vec<u8>| {
        out.extend_from_slice(&[one_field(1), one_field(2)].concat());
        Ok(())
    };
    assert!(matches!(list.push_encoded(two), Err(Failure::Raw(_))));
    assert!(matches!(list.push_encoded(|_| Ok(())), Err(Failure::Raw(_))));
    assert_eq!((list.count(), list.byte_len()), (0, 0));
    let good = list.push_encoded::<Failure>(|out| {
        out.extend_from_slice(&one_field(1));
        Ok(())
    });
    assert_eq!((good, list.count(), list.byte_len()), (Ok(()), 1, 14));
}

#[test]
fn events_see_what_was_sent() {
    let mut request = Request::new();
    assert_eq!(request.command_name(), None);
    request.sequence("documents").push(RawDoc::EMPTY);
    request.body().str("insert", "c").suspend();
    assert_eq!(request.command_name(), Some("insert"));
    assert!(request.body_and_sequences().is_none());
    request.attempt(1, Flags::CHECKSUM_PRESENT, |body| body.i64("txnNumber", 1)).unwrap();
    let (body, mut sequences) = request.body_and_sequences().unwrap();
    assert_eq!(body.get("txnNumber").unwrap().unwrap().as_i64(), Some(1));
    let list = sequences.next().unwrap();
    assert_eq!((list.identifier, list.documents().count()), ("documents", 1));
    assert!(sequences.next().is_none());
    assert!(!format!("{request:?}").contains("txnNumber"));
}

#[test]
fn a_used_buffer_starts_anew() {
    let mut request = Request::new();
    request.body().str("ping", &"x".repeat(1000)).suspend();
    request.attempt(1, Flags::NONE, |body| body).unwrap();
    let buffer = request.into_buffer();
    let at = buffer.as_ptr();
    let mut request = Request::reusing(buffer);
    assert!(request.is_empty());
    request.body().i32("ping", 1).suspend();
    let bytes = request.attempt(2, Flags::NONE, |body| body).unwrap();
    assert_eq!((names(bytes), bytes.as_ptr()), (["ping".to_string()].into(), at));
}

#[test]
fn names_are_cut_at_a_zero_byte() {
    let mut request = Request::new();
    request.sequence("docu\0ments").push(RawDoc::EMPTY);
    let bytes = request.attempt(1, Flags::NONE, |body| body.i32("ping", 1)).unwrap();
    assert_eq!(decode(bytes).unwrap().sequences().next().unwrap().identifier, "docu");
}
