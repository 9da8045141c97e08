//! Operations that read.

use super::super::plan::{FIXED, Level, Mode, OpPlan, ReadBy};
use super::super::watch::{CallKind, Place};
use super::writes::tokens;
use super::{DATABASE, Worker, read_concern, read_preference};
use crate::runtime::SimRuntime;
use bson::{Bson, Document, doc};
use quorate::Cursor;
use quorate::action::Action;
use quorate::error::Result;
use quorate_core::Duration;

impl Worker {
    pub(super) async fn read(&mut self, op: &OpPlan, key: i32, mode: Mode, level: Level) {
        let lists = self.collection("lists");
        let find = lists
            .find_one(doc! { "_id": key })
            .selection_criteria(read_preference(mode).into())
            .optional(read_concern(level), |find, concern| find.read_concern(concern));
        let (call, result) = self.call(op, CallKind::Read, Place::By(mode), find.into_future()).await;
        let Some(Ok(found)) = result else { return };
        match found.as_ref().and_then(tokens) {
            Some(seen) => self.saw(op, key, seen, level, call),
            None => self.wrong(op, &format!("no list: {found:?}")),
        }
    }

    pub(super) async fn find_one(&mut self, op: &OpPlan, id: i32, mode: Mode) {
        let fixed = self.collection("fixed");
        let find = fixed.find_one(doc! { "_id": id }).selection_criteria(read_preference(mode).into());
        let (_, result) = self.call(op, CallKind::Read, Place::By(mode), find.into_future()).await;
        let Some(Ok(found)) = result else { return };
        if found.as_ref().and_then(|found| found.get_i32("_id").ok()) != Some(id) {
            self.wrong(op, &format!("not the document asked for: {found:?}"));
        }
    }

    pub(super) async fn count(&mut self, op: &OpPlan, by: ReadBy, mode: Mode) {
        let fixed = self.collection("fixed");
        let criteria = read_preference(mode);
        let count = async {
            match by {
                ReadBy::Find => fixed.count_documents(doc! {}).selection_criteria(criteria.into()).await,
                ReadBy::Aggregate => {
                    fixed.estimated_document_count().selection_criteria(criteria.into()).await
                }
                ReadBy::Distinct => {
                    let found = fixed.distinct("_id", doc! {}).selection_criteria(criteria.into()).await?;
                    Ok(found.len() as u64)
                }
            }
        };
        let (_, result) = self.call(op, CallKind::Read, Place::By(mode), count).await;
        if let Some(Ok(count)) = result
            && count != FIXED as u64
        {
            self.wrong(op, &format!("{count} documents counted, and there are {FIXED}"));
        }
    }

    pub(super) async fn scan(
        &mut self,
        op: &OpPlan,
        by: ReadBy,
        mode: Mode,
        batch: u32,
        stop_after: Option<u32>,
        pause: Duration,
    ) {
        let fixed = self.collection("fixed");
        let criteria = read_preference(mode);
        let open = async {
            match by {
                ReadBy::Aggregate => {
                    let pipeline =
                        [doc! { "$match": { "_id": { "$gte": 0 } } }, doc! { "$sort": { "_id": 1 } }];
                    fixed.aggregate(pipeline).batch_size(batch).selection_criteria(criteria.into()).await
                }
                _ => {
                    let find = fixed.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(batch);
                    find.selection_criteria(criteria.into()).await
                }
            }
        };
        let (_, result) = self.call(op, CallKind::Read, Place::By(mode), open).await;
        let Some(Ok(mut cursor)) = result else { return };
        let mut next = 0;
        loop {
            if stop_after.is_some_and(|stop| next >= stop as i32) {
                return;
            }
            match self.advance(op, &mut cursor).await {
                Some(Ok(Some(id))) if id == next => next += 1,
                Some(Ok(Some(id))) => {
                    return self.wrong(op, &format!("document {id} read where {next} is due"));
                }
                Some(Ok(None)) if next == FIXED => return,
                Some(Ok(None)) => {
                    return self.wrong(op, &format!("{next} documents read, and there are {FIXED}"));
                }
                Some(Err(_)) => return,
                // Asking again goes on where it was.
                None => {}
            }
            if !pause.is_zero() {
                self.runtime.sleep(pause).await;
            }
        }
    }

    /// The next document of a cursor: its `_id`.
    async fn advance(
        &self,
        op: &OpPlan,
        cursor: &mut Cursor<Document, SimRuntime>,
    ) -> Option<Result<Option<i32>>> {
        let advance = async {
            if !cursor.advance().await? {
                return Ok(None);
            }
            let document: Document = cursor.deserialize_current()?;
            Ok(Some(document.get("_id").and_then(Bson::as_i32).unwrap_or(-1)))
        };
        self.call(op, CallKind::Once, Place::Cursor, advance).await.1
    }

    pub(super) async fn ping(&mut self, op: &OpPlan) {
        let database = self.client.database("admin");
        let ping = database.run_command(doc! { "ping": 1 });
        self.call(op, CallKind::Once, Place::By(Mode::Primary), ping.into_future()).await;
    }

    pub(super) async fn list(&mut self, op: &OpPlan) {
        let database = self.client.database(DATABASE);
        let list = database.list_collection_names();
        let (_, result) = self.call(op, CallKind::Read, Place::By(Mode::Primary), list.into_future()).await;
        if let Some(Ok(names)) = result
            && !["fixed", "lists"].iter().all(|name| names.iter().any(|found| found == name))
        {
            self.wrong(op, &format!("collections are missing: {names:?}"));
        }
    }
}
