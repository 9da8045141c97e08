//! `insert_many`: as few messages as the server's limits allow.

use super::insert_one::{NewId, Refused, append, finish};
use super::{action, session_setter, setters};
use crate::exec::Reply;
use crate::options::{InsertManyOptions, WriteConcern};
use crate::reply::{count, labelled, summary};
use crate::results::InsertManyResult;
use crate::{ClientSession, Collection, Runtime};
use bson::Bson;
use quorate_core::error::{ErrorKind, InsertManyError};
use quorate_core::reply::{write_concern_error, write_errors};
use quorate_core::wire::Request;
use quorate_core::{Error, Result};
use serde::Serialize;
use std::borrow::Borrow;

/// The most documents of one message: `maxWriteBatchSize` of every server in use.
pub(super) const MOST_DOCUMENTS: usize = 100_000;

/// The most bytes of documents in one message: `maxMessageSizeBytes` of every server in use, less room for the header and
/// for a body of the usual size.
pub(super) const MOST_BYTES: usize = 48_000_000 - 64 * 1024;

/// Inserts documents. Made by [`Collection::insert_many`]; gives an [`InsertManyResult`].
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct InsertMany<'a, R: Runtime> {
    collection: Collection<(), R>,
    batches: Result<Vec<Batch>>,
    options: InsertManyOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> InsertMany<'a, R> {
    pub(crate) fn new<T: Serialize>(
        collection: Collection<(), R>,
        documents: impl IntoIterator<Item = impl Borrow<T>>,
    ) -> Self {
        let new_id = || collection.client().new_object_id();
        let batches = split::<T>(documents, MOST_DOCUMENTS, MOST_BYTES, &new_id);
        InsertMany { collection, batches, options: InsertManyOptions::default(), session: None }
    }

    setters! { InsertManyOptions;
        set bypass_document_validation: bool,
        set ordered: bool,
        set write_concern: WriteConcern,
        into comment: Bson,
    }

    session_setter!('a, R);
}

action! { ['a, R: Runtime] InsertMany<'a, R> => InsertManyResult; |this| {
    let batches = this.batches?;
    if batches.is_empty() {
        return Err(Error::invalid_argument("insert_many without documents"));
    }
    let mut progress = Progress::new(this.options.ordered.unwrap_or(true));
    for mut batch in batches {
        let operation = finish(&this.collection.target().within(this.session.as_deref()), &mut batch.request, &this.options)?;
        let acknowledged = operation.acknowledged;
        let reply = this.collection.client().execute_in(operation, &mut batch.request, this.session.as_deref()).await?;
        if !progress.absorb(batch.ids, acknowledged.then_some(&reply))? {
            break;
        }
    }
    progress.finish()
} }

/// The documents of one message.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) request: Request,
    pub(super) ids: Vec<Bson>,
}

/// Encodes the documents, each straight into the message that will carry it.
pub(super) fn split<T: Serialize>(
    documents: impl IntoIterator<Item = impl Borrow<T>>,
    most_documents: usize,
    most_bytes: usize,
    new_id: NewId<'_>,
) -> Result<Vec<Batch>> {
    let mut documents = documents.into_iter();
    let mut batches = Vec::new();
    // The document that was one too many for the message before.
    let mut carried: Option<(Vec<u8>, Bson)> = None;
    loop {
        let mut batch = Batch { request: Request::new(), ids: Vec::new() };
        let mut sequence = batch.request.sequence("documents");
        if let Some((bytes, id)) = carried.take() {
            sequence.push_encoded(|buffer| -> Result<(), Refused> {
                buffer.extend_from_slice(&bytes);
                Ok(())
            })?;
            batch.ids.push(id);
        }
        while batch.ids.len() < most_documents {
            let Some(document) = documents.next() else { break };
            let room = most_bytes.saturating_sub(sequence.byte_len());
            let first = batch.ids.is_empty();
            let pushed = sequence.push_encoded(|buffer| -> Result<(), Pushed> {
                let start = buffer.len();
                let id = append(buffer, document.borrow(), new_id).map_err(Pushed::Refused)?;
                // A message of one document is sent whatever its size.
                if buffer.len() - start > room && !first {
                    carried = Some((buffer.split_off(start), id));
                    return Err(Pushed::NoRoom);
                }
                batch.ids.push(id);
                Ok(())
            });
            match pushed {
                Ok(()) => {}
                Err(Pushed::Refused(error)) => return Err(error),
                Err(Pushed::NoRoom) => break,
            }
        }
        sequence.finish();
        if batch.ids.is_empty() {
            return Ok(batches);
        }
        batches.push(batch);
    }
}

/// Why a document did not get into this message.
enum Pushed {
    Refused(Error),
    NoRoom,
}

impl From<quorate_core::raw::RawError> for Pushed {
    fn from(error: quorate_core::raw::RawError) -> Self {
        Pushed::Refused(crate::decode::malformed(error))
    }
}

/// What the messages so far came to.
#[derive(Debug)]
pub(super) struct Progress {
    ordered: bool,
    attempted: usize,
    result: InsertManyResult,
    failure: Option<Failure>,
}

/// What failed, with the error that will be given back: its labels and server are those of the last reply with a fault.
#[derive(Debug)]
struct Failure {
    error: Error,
    parts: InsertManyError,
}

impl Progress {
    pub(super) fn new(ordered: bool) -> Self {
        Progress { ordered, attempted: 0, result: InsertManyResult::default(), failure: None }
    }

    /// Takes in the reply to a message with these documents (`None` if it was not acknowledged). `false` when no further
    /// message may be sent: the first write error of an ordered insert is the last.
    pub(super) fn absorb(&mut self, ids: Vec<Bson>, reply: Option<&Reply>) -> Result<bool> {
        let (offset, length) = (self.attempted, ids.len());
        self.attempted += length;
        self.result.inserted_ids.extend(ids.into_iter().enumerate().map(|(i, id)| (offset + i, id)));
        let Some(reply) = reply else { return Ok(true) };
        let summary = summary(reply)?;
        let inserted = count(summary.n, "n", &reply.server.address)?;
        let failed_before = self.failure.is_some();
        if summary.is_clean() && !failed_before {
            return Ok(true);
        }
        let invalid = |error| crate::decode::malformed(error).with_server(reply.server.address.clone());
        let mut errors = match summary.write_errors {
            Some(array) => write_errors(array, length).map_err(invalid)?,
            None => Vec::new(),
        };
        let stop = self.ordered && !errors.is_empty();
        errors.iter_mut().for_each(|error| error.index += offset);
        let concern = summary.write_concern_error.map(write_concern_error);
        let before = (offset as u64, Error::new(ErrorKind::InsertMany(InsertManyError::default())));
        let failure = self.failure.get_or_insert_with(|| {
            // All messages before this one were clean: everything in them was inserted.
            let mut parts = InsertManyError::default();
            parts.inserted_count = before.0;
            Failure { error: before.1, parts }
        });
        failure.parts.inserted_count += inserted;
        if !summary.is_clean() {
            let mut error = labelled(
                ErrorKind::InsertMany(InsertManyError::default()),
                &summary,
                concern.as_ref(),
                &reply.server.address,
            );
            for label in failure.error.labels() {
                error.add_label(label.to_owned());
            }
            failure.error = error;
        }
        if !errors.is_empty() {
            failure.parts.write_errors.get_or_insert_default().extend(errors);
        }
        failure.parts.write_concern_error = concern.or(failure.parts.write_concern_error.take());
        Ok(!stop)
    }

    /// The result, or the error that says what was not inserted.
    pub(super) fn finish(self) -> Result<InsertManyResult> {
        match self.failure {
            None => Ok(self.result),
            Some(Failure { mut error, parts }) => {
                *error.kind = ErrorKind::InsertMany(parts);
                Err(error)
            }
        }
    }
}
