//! `insert_one`, and how one document gets into an `insert`.

use super::{action, session_setter, setters};
use crate::collection::Target;
use crate::command::{Body, write_operation};
use crate::exec::Operation;
use crate::options::{InsertManyOptions, InsertOneOptions, WriteConcern};
use crate::reply::check_write;
use crate::results::InsertOneResult;
use crate::{ClientSession, Collection, Runtime};
use bson::Bson;
use bson::oid::ObjectId;
use quorate_core::raw::{RawDoc, RawError, Value};
use quorate_core::wire::Request;
use quorate_core::{Error, Result};
use serde::Serialize;

/// The largest document a server stores: `maxBsonObjectSize` of every server in use.
pub(super) const LARGEST_DOCUMENT: usize = 16 * 1024 * 1024;

/// Inserts a document. Made by [`Collection::insert_one`]; gives an [`InsertOneResult`].
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct InsertOne<'a, R: Runtime> {
    collection: Collection<(), R>,
    encoded: Result<(Request, Bson)>,
    options: InsertOneOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> InsertOne<'a, R> {
    pub(crate) fn new<T: Serialize>(collection: Collection<(), R>, document: &T) -> Self {
        let encoded = encode_document(document, &|| collection.client().new_object_id());
        InsertOne { collection, encoded, options: InsertOneOptions::default(), session: None }
    }

    setters! { InsertOneOptions;
        set bypass_document_validation: bool,
        set write_concern: WriteConcern,
        into comment: Bson,
    }

    session_setter!('a, R);
}

action! { ['a, R: Runtime] InsertOne<'a, R> => InsertOneResult; |this| {
    let (mut request, inserted_id) = this.encoded?;
    let options = InsertManyOptions {
        bypass_document_validation: this.options.bypass_document_validation,
        ordered: None,
        write_concern: this.options.write_concern,
        comment: this.options.comment,
    };
    let operation = finish(&this.collection.target().within(this.session.as_deref()), &mut request, &options)?;
    let acknowledged = operation.acknowledged;
    let reply = this.collection.client().execute_in(operation, &mut request, this.session.as_deref()).await?;
    if acknowledged {
        check_write(&reply)?;
    }
    Ok(InsertOneResult { inserted_id })
} }

/// Makes an `_id`.
pub(super) type NewId<'a> = &'a dyn Fn() -> ObjectId;

/// A request that holds the document, and its `_id`.
pub(super) fn encode_document<T: Serialize>(document: &T, new_id: NewId<'_>) -> Result<(Request, Bson)> {
    let mut request = Request::new();
    let mut id = Bson::Null;
    let mut documents = request.sequence("documents");
    documents.push_encoded(|buffer| -> Result<(), Refused> {
        id = append(buffer, document, new_id)?;
        Ok(())
    })?;
    documents.finish();
    Ok((request, id))
}

/// Appends `document` with its `_id`, made by `new_id` and put first where it has none (CRUD specification, "Insert, Update,
/// Replace, Delete, and Bulk Writes"), and gives that.
pub(super) fn append<T: Serialize>(buffer: &mut Vec<u8>, document: &T, new_id: NewId<'_>) -> Result<Bson> {
    let start = buffer.len();
    bson::serialize_to_buffer(document, buffer)?;
    let written = buffer.get(start..).unwrap_or_default();
    let raw = RawDoc::new(written).map_err(|_| Error::invalid_argument("only documents can be inserted"))?;
    let id = match raw.get("_id").map_err(crate::decode::malformed)? {
        Some(Value::ObjectId(bytes)) => Bson::ObjectId(ObjectId::from_bytes(bytes)),
        Some(_) => crate::decode::field(written, "_id")?.unwrap_or(Bson::Null),
        None => {
            let id = new_id();
            prepend_id(buffer, start, id);
            Bson::ObjectId(id)
        }
    };
    let length = buffer.len() - start;
    if length > LARGEST_DOCUMENT {
        return Err(Error::invalid_argument(format!(
            "a document of {length} bytes cannot be inserted: {LARGEST_DOCUMENT} is the most"
        )));
    }
    Ok(id)
}

/// Puts an `_id` in front of the fields of the document that starts at `start` and ends with the buffer.
fn prepend_id(buffer: &mut Vec<u8>, start: usize, id: ObjectId) {
    let mut element = [0; 17];
    element[0] = 0x07;
    element[1..4].copy_from_slice(b"_id");
    element[5..].copy_from_slice(&id.bytes());
    buffer.splice(start + 4..start + 4, element);
    // A length above 31 bits is refused right after this.
    let length = i32::try_from(buffer.len() - start).unwrap_or(i32::MAX);
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Why a document did not get into a message.
pub(super) struct Refused(pub(super) Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused(error)
    }
}

impl From<RawError> for Refused {
    fn from(error: RawError) -> Self {
        Refused(crate::decode::malformed(error))
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.0
    }
}

/// The rest of an `insert`, behind its documents.
pub(super) fn finish(
    target: &Target<'_>,
    request: &mut Request,
    options: &InsertManyOptions,
) -> Result<Operation> {
    let concern = target.write_concern(options.write_concern.as_ref())?;
    Body::command(request, "insert", target.collection, target.database)
        .bool("ordered", Some(options.ordered.unwrap_or(true)))
        .bool("bypassDocumentValidation", options.bypass_document_validation)
        .bson("comment", options.comment.as_ref())
        .write_concern(concern)
        .finish()?;
    write_operation("insert", target.database, concern, true)
}
