//! `findAndModify`.

use super::namespace::{of_command, writable};
use super::shape::{Field, Kind, check, count, flag, object, present};
use super::{Outcome, Run};
use crate::oplog::Namespace;
use crate::store::call::{Parked, WaitFor};
use crate::store::failure::{Failure, Result};
use crate::store::projection::{self, Projection};
use crate::store::query::{self, Filter};
use crate::store::sort::Sort;
use crate::store::update::{self, Update, refuse_array_filters};
use bson::{Bson, Document, doc};

const FIELDS: &[Field] = &[
    ("query", Kind::Object, false),
    ("fields", Kind::Object, false),
    ("sort", Kind::Object, false),
    ("hint", Kind::Hint, false),
    ("collation", Kind::Object, false),
    ("arrayFilters", Kind::Objects, false),
    ("remove", Kind::SafeBool, false),
    ("update", Kind::Any, false),
    ("upsert", Kind::SafeBool, false),
    ("new", Kind::SafeBool, false),
    ("bypassDocumentValidation", Kind::SafeBool, false),
    ("stmtId", Kind::Number, false),
    ("let", Kind::Object, false),
    ("runtimeConstants", Kind::Object, false),
    ("encryptionInformation", Kind::Object, false),
];

/// A checked command.
struct Request<'b> {
    ns: Namespace,
    filter: Filter,
    sort: Sort,
    update: Option<Update>,
    fields: Option<Projection>,
    body: &'b Document,
    stmt_id: i32,
}

/// The fields of `findAndModify`.
pub(super) fn shape(body: &Document) -> Result<()> {
    check("findAndModify", body, FIELDS, true)
}

impl Run<'_> {
    /// `findAndModify`.
    pub(super) fn find_and_modify(&mut self, parked: Parked) -> Result<Outcome> {
        let stmt_id = i32::try_from(count(&parked.body, "stmtId").unwrap_or(0)).unwrap_or(0);
        if let Some(mut result) = self.carried_out(stmt_id) {
            // A write of another command carried out this statement: it has no value to give.
            if !result.contains_key("lastErrorObject") {
                result = doc! { "lastErrorObject": { "n": 1 }, "value": Bson::Null };
            }
            result.insert("retriedStmtId", stmt_id);
            return Ok(result.into());
        }
        let done = self.request(&parked.body, stmt_id).and_then(|request| match &request.update {
            None => self.find_and_remove(&request),
            Some(update) => self.find_and_update(&request, update),
        });
        match done {
            Ok(reply) => Ok(reply.into()),
            Err(e) if e.code == 112 && self.txn.is_none() => Ok(Outcome::Wait(
                WaitFor::Transaction,
                Parked { progress: Some(Default::default()), ..parked },
            )),
            Err(e) => Err(e),
        }
    }

    fn request<'b>(&self, body: &'b Document, stmt_id: i32) -> Result<Request<'b>> {
        check_options(body)?;
        self.refuse_committed()?;
        let ns = of_command(self.db, body)?;
        writable(&ns)?;
        super::find::refuse_collation(body)?;
        if present(body, "arrayFilters").is_some() {
            return Err(refuse_array_filters());
        }
        let empty = Document::new();
        let update = match present(body, "update") {
            Some(update) if !flag(body, "remove", false) => Some(update::parse(update, self.now)?),
            _ => None,
        };
        Ok(Request {
            filter: query::parse(object(body, "query").unwrap_or(&empty))?,
            sort: Sort::parse(object(body, "sort").unwrap_or(&empty))?,
            fields: projection::find(object(body, "fields").unwrap_or(&empty))?,
            update,
            ns,
            body,
            stmt_id,
        })
    }

    fn find_and_remove(&mut self, request: &Request<'_>) -> Result<Document> {
        let targets = self.targets(&request.ns, &request.filter, &request.sort, false).map_err(executing)?;
        let Some(target) = targets.first() else {
            return Ok(doc! { "lastErrorObject": { "n": 0 }, "value": Bson::Null });
        };
        let reply = |value| doc! { "lastErrorObject": { "n": 1 }, "value": value };
        // What is remembered is the whole document: a retry is answered with that.
        let record = self.statement(request.stmt_id, || reply((*target.document).clone()));
        let value = request.project(&target.document)?;
        self.commit(Self::remove(&request.ns, &target.document), record);
        Ok(reply(value))
    }

    fn find_and_update(&mut self, request: &Request<'_>, update: &Update) -> Result<Document> {
        let ns = &request.ns;
        let return_new = flag(request.body, "new", false);
        let targets = self.targets(ns, &request.filter, &request.sort, false).map_err(executing)?;
        let Some(target) = targets.first() else {
            return self.find_and_upsert(request, update, return_new);
        };
        let new = self.updated(ns, target, &request.filter, update).map_err(executing)?;
        let after = new.as_ref().unwrap_or(&target.document);
        let chosen = if return_new { after } else { &target.document };
        let reply =
            |value: Bson| doc! { "lastErrorObject": { "n": 1, "updatedExisting": true }, "value": value };
        let value = request.project(chosen)?;
        if let Some(new) = &new {
            let record = self.statement(request.stmt_id, || reply(Bson::Document((**chosen).clone())));
            self.commit(Self::put(ns, new), record);
        }
        Ok(reply(Bson::Document(value)))
    }

    fn find_and_upsert(
        &mut self,
        request: &Request<'_>,
        update: &Update,
        return_new: bool,
    ) -> Result<Document> {
        if !flag(request.body, "upsert", false) {
            return Ok(doc! { "lastErrorObject": { "n": 0, "updatedExisting": false }, "value": Bson::Null });
        }
        let document = self.upserted(&request.ns, &request.filter, update).map_err(executing)?;
        let id = document.get("_id").cloned().unwrap_or(Bson::Null);
        let reply = |value: Bson| {
            let last = doc! { "n": 1, "updatedExisting": false, "upserted": id.clone() };
            doc! { "lastErrorObject": last, "value": value }
        };
        let value = if return_new { Bson::Document(request.project(&document)?) } else { Bson::Null };
        let whole = || if return_new { Bson::Document((*document).clone()) } else { Bson::Null };
        let record = self.statement(request.stmt_id, || reply(whole()));
        self.commit(Self::put(&request.ns, &document), record);
        Ok(reply(value))
    }
}

impl Request<'_> {
    fn project(&self, document: &Document) -> Result<Document> {
        self.fields.as_ref().map_or_else(|| Ok(document.clone()), |fields| fields.apply(document))
    }
}

/// Errors of the execution say so.
fn executing(e: Failure) -> Failure {
    Failure {
        message: format!("Plan executor error during findAndModify :: caused by :: {}", e.message),
        ..e
    }
}

fn check_options(body: &Document) -> Result<()> {
    let update = present(body, "update");
    let refuse = |message: &str| Err(Failure::new(9, message));
    if flag(body, "remove", false) {
        if update.is_some() {
            return refuse("Cannot specify both an update and remove=true");
        }
        if flag(body, "upsert", false) {
            return refuse("Cannot specify both upsert=true and remove=true ");
        }
        if flag(body, "new", false) {
            return refuse(
                "Cannot specify both new=true and remove=true; 'remove' always returns the deleted document",
            );
        }
        return Ok(());
    }
    match update {
        None => refuse("Either an update or remove=true must be specified"),
        Some(Bson::Document(_) | Bson::Array(_)) => Ok(()),
        Some(_) => refuse("Update argument must be either an object or an array"),
    }
}
