//! Operations that write.

use super::super::history::{Effect, Known, token};
use super::super::plan::{Concern, DeleteBy, LISTS, Level, OpPlan, PushBy};
use super::super::watch::{CallKind, Place};
use super::{Worker, write_concern};
use bson::{Document, doc};
use quorate::action::Action;
use quorate::error::{Error, ErrorKind, Result, WriteFailure};
use quorate::options::ReturnDocument;

const DUPLICATE_KEY: i32 = 11000;

impl Worker {
    /// What is known of a write after its call.
    fn judge<T>(&self, op: &OpPlan, call: usize, concern: Concern, result: Option<&Result<T>>) -> Known {
        let (sent, refused) = self.recorder.update(|record, _| {
            let call = &record.calls[call];
            (call.was_sent(), call.was_refused())
        });
        let unknown = if !sent || refused { Known::Never } else { Known::Maybe };
        match result {
            Some(Ok(_)) if !sent => {
                self.wrong(op, "said to be done, and nothing was sent");
                Known::Never
            }
            Some(Ok(_)) if concern == Concern::None => Known::Maybe,
            Some(Ok(_)) if self.is_durable(concern) => Known::Durable,
            Some(Ok(_)) => Known::Applied,
            Some(Err(error)) => self.judge_error(op, error).unwrap_or(unknown),
            None => unknown,
        }
    }

    fn judge_error(&self, op: &OpPlan, error: &Error) -> Option<Known> {
        let code = match &*error.kind {
            ErrorKind::Write(WriteFailure::WriteConcernError(_)) => return Some(Known::Applied),
            ErrorKind::Write(WriteFailure::WriteError(error)) => error.code,
            ErrorKind::InsertMany(error) => match &error.write_errors {
                Some(errors) => errors.first().map_or(0, |first| first.error.code),
                None => return Some(Known::Applied),
            },
            _ => error.code()?,
        };
        if code == DUPLICATE_KEY {
            let text = format!("{op}: the id was there already, and it is used once: {error}");
            self.recorder.violated(super::Rule::Once, text);
        }
        None
    }

    pub(super) async fn insert(&mut self, op: &OpPlan, concern: Concern) {
        let id = token(op.id);
        let docs = self.collection("docs");
        let kind = if concern == Concern::None { CallKind::Once } else { CallKind::Write };
        let insert = docs
            .insert_one(doc! { "_id": id, "by": i64::from(op.id) })
            .optional(write_concern(concern), |insert, concern| insert.write_concern(concern));
        let (call, result) = self.call(op, kind, Place::Writable, insert.into_future()).await;
        let known = self.judge(op, call, concern, result.as_ref());
        self.note(Effect::Insert(id), known, call);
        if known == Known::Durable {
            self.own.push(id);
        }
    }

    pub(super) async fn insert_many(&mut self, op: &OpPlan, count: u32, ordered: bool, concern: Concern) {
        let ids: Vec<i64> = (0..i64::from(count)).map(|number| token(op.id) + number).collect();
        let documents: Vec<Document> =
            ids.iter().map(|id| doc! { "_id": id, "by": i64::from(op.id) }).collect();
        let docs = self.collection("docs");
        let kind = if concern == Concern::None { CallKind::Once } else { CallKind::Write };
        let insert = docs
            .insert_many(documents)
            .ordered(ordered)
            .optional(write_concern(concern), |insert, concern| insert.write_concern(concern));
        let (call, result) = self.call(op, kind, Place::Writable, insert.into_future()).await;
        let known = self.judge(op, call, concern, result.as_ref());
        for id in ids {
            self.note(Effect::Insert(id), known, call);
            if known == Known::Durable {
                self.own.push(id);
            }
        }
    }

    pub(super) async fn push(&mut self, op: &OpPlan, key: i32, by: PushBy, concern: Concern) {
        let kind = if concern == Concern::None { CallKind::Once } else { CallKind::Write };
        match by {
            PushBy::Update => self.push_by_update(op, key, kind, concern).await,
            PushBy::FindAndModify => self.push_and_see(op, key, kind, concern).await,
            PushBy::UpdateMany => self.push_everywhere(op, concern).await,
        }
    }

    async fn push_by_update(&mut self, op: &OpPlan, key: i32, kind: CallKind, concern: Concern) {
        let token = token(op.id);
        let lists = self.collection("lists");
        let update = lists
            .update_one(doc! { "_id": key }, doc! { "$push": { "t": token } })
            .optional(write_concern(concern), |update, concern| update.write_concern(concern));
        let (call, result) = self.call(op, kind, Place::Writable, update.into_future()).await;
        if let Some(Ok(result)) = &result
            && concern != Concern::None
            && (result.matched_count, result.modified_count) != (1, 1)
        {
            self.wrong(op, &format!("a list that is there was not found: {result:?}"));
        }
        let known = self.judge(op, call, concern, result.as_ref());
        self.note(Effect::Push(key, token), known, call);
    }

    async fn push_and_see(&mut self, op: &OpPlan, key: i32, kind: CallKind, concern: Concern) {
        let token = token(op.id);
        let lists = self.collection("lists");
        let update = lists
            .find_one_and_update(doc! { "_id": key }, doc! { "$push": { "t": token } })
            .return_document(ReturnDocument::After)
            .optional(write_concern(concern), |update, concern| update.write_concern(concern));
        let (call, result) = self.call(op, kind, Place::Writable, update.into_future()).await;
        let known = self.judge(op, call, concern, result.as_ref());
        self.note(Effect::Push(key, token), known, call);
        let Some(Ok(found)) = result.filter(|_| concern != Concern::None) else { return };
        match found.as_ref().and_then(tokens) {
            Some(seen) if seen.contains(&token) => {
                // A majority has what it was applied to, so it was applied to all that was acknowledged before.
                let level = if known == Known::Durable { Level::Linearizable } else { Level::Local };
                self.saw(op, key, seen, level, call);
            }
            seen => {
                self.wrong(op, &format!("the list after the token was appended does not have it: {seen:?}"))
            }
        }
    }

    async fn push_everywhere(&mut self, op: &OpPlan, concern: Concern) {
        let token = token(op.id);
        let lists = self.collection("lists");
        let update = lists
            .update_many(doc! {}, doc! { "$push": { "t": token } })
            .optional(write_concern(concern), |update, concern| update.write_concern(concern));
        let (call, result) = self.call(op, CallKind::Once, Place::Writable, update.into_future()).await;
        if let Some(Ok(result)) = &result
            && concern != Concern::None
            && result.modified_count != LISTS as u64
        {
            self.wrong(op, &format!("not all lists were found: {result:?}"));
        }
        let known = self.judge(op, call, concern, result.as_ref());
        for key in 0..LISTS {
            self.note(Effect::Push(key, token), known, call);
        }
    }

    pub(super) async fn delete(&mut self, op: &OpPlan, by: DeleteBy, concern: Concern) {
        let Some(id) = self.own.pop() else { return self.ping(op).await };
        let docs = self.collection("docs");
        let filter = doc! { "_id": id };
        let kind = if concern == Concern::None { CallKind::Once } else { CallKind::Write };
        let chosen = write_concern(concern);
        let (call, result) = match by {
            DeleteBy::FindAndModify => {
                let delete = docs.find_one_and_delete(filter);
                let delete = delete.optional(chosen, |delete, concern| delete.write_concern(concern));
                let call = async { Ok(u64::from(delete.await?.is_some())) };
                self.call(op, kind, Place::Writable, call).await
            }
            DeleteBy::DeleteOne | DeleteBy::DeleteMany => {
                let many = by == DeleteBy::DeleteMany;
                let delete = if many { docs.delete_many(filter) } else { docs.delete_one(filter) };
                let delete = delete.optional(chosen, |delete, concern| delete.write_concern(concern));
                let kind = if many { CallKind::Once } else { kind };
                let call = async { Ok(delete.await?.deleted_count) };
                self.call(op, kind, Place::Writable, call).await
            }
        };
        if let Some(Ok(count)) = &result
            && *count != 1
            && concern != Concern::None
        {
            self.wrong(op, &format!("{count} documents were deleted, and one is surely there"));
        }
        let known = self.judge(op, call, concern, result.as_ref());
        self.note(Effect::Delete(id), known, call);
    }
}

/// The tokens of a list.
pub(super) fn tokens(list: &Document) -> Option<Vec<i64>> {
    list.get_array("t").ok()?.iter().map(bson::Bson::as_i64).collect()
}
