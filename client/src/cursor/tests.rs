use super::state::*;
use crate::command::decoded;
use crate::reply::reply;
use bson::{Document, doc};
use quorate_core::ErrorKind;
use quorate_core::error::{CommandError, IoErrorKind};
use quorate_core::selection::SelectionCriteria;
use quorate_core::{Error, ServerAddress};
use std::time::Duration;

fn first(id: i64, batch: &[Document]) -> crate::exec::Reply {
    reply(doc! { "cursor": { "firstBatch": batch, "id": id, "ns": "db.c.d" }, "ok": 1.0 })
}

fn next(id: i64, batch: &[Document]) -> crate::exec::Reply {
    reply(doc! { "cursor": { "nextBatch": batch, "id": id, "ns": "db.c.d" }, "ok": 1.0 })
}

fn rest(state: &mut CursorState) -> Vec<i32> {
    let mut seen = Vec::new();
    while state.advance().unwrap() {
        seen.push(as_raw_document(state.current()).get_i32("x").unwrap());
    }
    seen
}

#[test]
fn batches_are_read_in_place_and_asked_for_until_the_id_is_zero() {
    let get_more = GetMore {
        batch_size: Some(2),
        max_await_time: Some(Duration::from_millis(250)),
        comment: Some("why".into()),
    };
    let mut state = CursorState::new(first(7, &[doc! { "x": 1 }, doc! { "x": 2 }]), get_more).unwrap();
    assert!(state.has_next() && state.current().is_none());
    assert_eq!(rest(&mut state), [1, 2]);
    assert!(!state.is_finished());
    let (operation, mut request) = state.next_batch().unwrap();
    assert_eq!(operation.criteria, SelectionCriteria::Server(ServerAddress::default()));
    assert!(operation.keep_session && &*operation.database == "db");
    assert_eq!(
        decoded(&mut request),
        doc! { "getMore": 7_i64, "collection": "c.d", "$db": "db", "batchSize": 2, "maxTimeMS": 250, "comment": "why" }
    );
    state.on_batch(Ok(next(7, &[]))).unwrap();
    assert!(rest(&mut state).is_empty() && state.has_next());
    state.on_batch(Ok(next(0, &[doc! { "x": 3 }]))).unwrap();
    assert!(state.is_finished() && state.has_next());
    assert_eq!(rest(&mut state), [3]);
    assert!(!state.has_next() && state.kill().is_none());
}

#[test]
fn a_cursor_left_early_is_killed_once() {
    let mut state = CursorState::new(first(7, &[doc! { "x": 1 }]), GetMore::default()).unwrap();
    let (operation, mut request) = state.kill().unwrap();
    assert_eq!(operation.name, "killCursors");
    assert_eq!(decoded(&mut request), doc! { "killCursors": "c.d", "cursors": [7_i64], "$db": "db" });
    assert!(state.kill().is_none() && state.is_finished());
}

#[test]
fn a_cursor_the_server_does_not_know_any_more_is_not_killed() {
    let gone = |code| Error::new(ErrorKind::Command(CommandError::new(code, "", "gone", Vec::new())));
    for (error, killed) in [
        (gone(43), false),
        (gone(237), false),
        (Error::io(IoErrorKind::Reset, "reset"), false),
        (gone(50), true),
    ] {
        let mut state = CursorState::new(first(7, &[]), GetMore::default()).unwrap();
        state.on_batch(Err(error.clone())).unwrap_err();
        assert!(!state.has_next() && !state.advance().unwrap());
        assert_eq!(state.kill().is_some(), killed, "{error}");
    }
}

#[test]
fn replies_that_are_no_cursor_are_refused() {
    for bad in [
        doc! { "ok": 1 },
        doc! { "ok": 1, "cursor": 1 },
        doc! { "ok": 1, "cursor": { "id": 0_i64, "ns": "a.b" } },
        doc! { "ok": 1, "cursor": { "firstBatch": [], "ns": "a.b" } },
        doc! { "ok": 1, "cursor": { "firstBatch": [], "id": 0_i64, "ns": "ab" } },
        doc! { "ok": 1, "cursor": { "firstBatch": {}, "id": 0_i64, "ns": "a.b" } },
    ] {
        let text = bad.to_string();
        let error = CursorState::new(reply(bad), GetMore::default()).unwrap_err();
        assert!(matches!(&*error.kind, ErrorKind::InvalidResponse { .. }), "{text}");
    }
}

#[test]
fn a_batch_with_something_else_in_it_ends_the_batch() {
    let mixed = reply(
        doc! { "ok": 1, "cursor": { "firstBatch": [{ "x": 1 }, 2, { "x": 3 }], "id": 0_i64, "ns": "a.b" } },
    );
    let mut state = CursorState::new(mixed, GetMore::default()).unwrap();
    assert!(state.advance().unwrap());
    assert!(state.advance().is_err());
    assert!(!state.advance().unwrap() && state.current().is_none());
}

#[test]
fn a_batch_of_another_cursor_is_refused() {
    let mut state = CursorState::new(first(7, &[]), GetMore::default()).unwrap();
    assert!(state.on_batch(Ok(next(8, &[]))).is_err());
    assert!(state.is_finished());
}
