//! Writing commands: [`Body`] puts a command's fields into a request, each user document encoded once.

use crate::exec::{Operation, Retry};
use bson::{Bson, Document};
use quorate_core::client_session::ReadConcernField;
use quorate_core::raw::{DocWriter, RawDoc};
use quorate_core::selection::SelectionCriteria;
use quorate_core::wire::Request;
use quorate_core::{Error, ReadConcern, Result, WriteConcern};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// An operation with nothing out of the ordinary: acknowledged, implicit session, the client's own deadline.
pub(crate) fn operation(
    name: impl Into<Cow<'static, str>>,
    database: &Arc<str>,
    criteria: SelectionCriteria,
    retry: Retry,
) -> Operation {
    Operation {
        name: name.into(),
        database: Arc::clone(database),
        criteria,
        retry,
        acknowledged: true,
        read_concern: ReadConcernField::Plain,
        explicit: None,
        ends: None,
        session: None,
        pin: None,
        timeout: None,
        keep_session: false,
    }
}

/// A write: to a writable server, and retried if `retryable` and acknowledged.
pub(crate) fn write_operation(
    name: &'static str,
    database: &Arc<str>,
    concern: Option<&WriteConcern>,
    retryable: bool,
) -> Result<Operation> {
    if let Some(concern) = concern {
        concern.validate().map_err(Error::invalid_argument)?;
    }
    let mut operation = operation(name, database, SelectionCriteria::Writable, Retry::None);
    operation.read_concern = ReadConcernField::Causal(None);
    operation.acknowledged = concern.is_none_or(WriteConcern::is_acknowledged);
    if retryable && operation.acknowledged {
        operation.retry = Retry::Write;
    }
    Ok(operation)
}

/// A read, to be sent again where that may help.
pub(crate) fn read_operation(
    name: &'static str,
    database: &Arc<str>,
    criteria: SelectionCriteria,
    concern: Option<&ReadConcern>,
) -> Operation {
    let mut operation = operation(name, database, criteria, Retry::Read);
    operation.read_concern = ReadConcernField::Causal(concern.cloned());
    operation
}

/// The end of a session's transaction. What it carries is the core's to say.
pub(crate) fn ending(committing: bool) -> (Operation, Request) {
    let name = if committing { "commitTransaction" } else { "abortTransaction" };
    let admin: Arc<str> = Arc::from("admin");
    let mut request = Request::new();
    request.body().i32(name, 1).str("$db", &admin).suspend();
    let mut operation = operation(name, &admin, SelectionCriteria::Writable, Retry::Write);
    operation.ends = Some(committing);
    (operation, request)
}

/// A command, or one statement of it, being written. The first error is kept and told by [`Body::finish`].
#[must_use = "errors show in finish()"]
pub(crate) struct Body<'a> {
    writer: DocWriter<'a>,
    error: Option<Error>,
}

impl<'a> Body<'a> {
    /// Begins a command: its name with `target`, and the database. `concern` is left out where it is the server's default.
    pub(crate) fn command(request: &'a mut Request, name: &str, target: &str, database: &str) -> Self {
        Body::over(request.body().str(name, target).str("$db", database))
    }

    /// Begins a command on a database as a whole.
    pub(crate) fn database_command(request: &'a mut Request, name: &str, database: &str) -> Self {
        Body::over(request.body().i32(name, 1).str("$db", database))
    }

    /// Goes on with a document begun elsewhere.
    pub(crate) fn over(writer: DocWriter<'a>) -> Self {
        Body { writer, error: None }
    }

    fn map(mut self, write: impl FnOnce(DocWriter<'a>) -> DocWriter<'a>) -> Self {
        self.writer = write(self.writer);
        self
    }

    fn encoded<T: Serialize>(
        mut self,
        value: &T,
        write: impl FnOnce(DocWriter<'a>, RawDoc<'_>) -> DocWriter<'a>,
    ) -> Self {
        match encode(value) {
            Ok(bytes) => match RawDoc::new(&bytes) {
                Ok(document) => self.writer = write(self.writer, document),
                Err(error) => self.fail(Error::invalid_argument(error.to_string())),
            },
            Err(error) => self.fail(error),
        }
        self
    }

    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    /// A boolean, if set.
    pub(crate) fn bool(self, name: &str, value: Option<bool>) -> Self {
        match value {
            Some(value) => self.map(|writer| writer.bool(name, value)),
            None => self,
        }
    }

    /// A 32-bit integer.
    pub(crate) fn i32(self, name: &str, value: i32) -> Self {
        self.map(|writer| writer.i32(name, value))
    }

    /// A 64-bit integer, if set.
    pub(crate) fn i64(self, name: &str, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.map(|writer| writer.i64(name, value)),
            None => self,
        }
    }

    /// An unsigned number, if set. The protocol has none, so it must fit 63 bits.
    pub(crate) fn u64(mut self, name: &str, value: Option<u64>) -> Self {
        match value.map(i64::try_from) {
            Some(Err(_)) => {
                self.fail(Error::invalid_argument(format!("{name} is above 2^63 - 1")));
                self
            }
            Some(Ok(value)) => self.i64(name, Some(value)),
            None => self,
        }
    }

    /// A number of documents, if set.
    pub(crate) fn batch_size(mut self, value: Option<u32>) -> Self {
        match value.map(i32::try_from) {
            Some(Err(_)) => {
                self.fail(Error::invalid_argument("batchSize is above 2^31 - 1"));
                self
            }
            Some(Ok(value)) => self.i32("batchSize", value),
            None => self,
        }
    }

    /// The document `cursor: { batchSize }` of commands that answer with a cursor.
    pub(crate) fn batch_size_document(value: Option<u32>) -> Result<Document> {
        let mut cursor = Document::new();
        if let Some(size) = value {
            let size =
                i32::try_from(size).map_err(|_| Error::invalid_argument("batchSize is above 2^31 - 1"))?;
            cursor.insert("batchSize", size);
        }
        Ok(cursor)
    }

    /// Text, if set.
    pub(crate) fn str(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.map(|writer| writer.str(name, value)),
            None => self,
        }
    }

    /// A document, if set.
    pub(crate) fn document(self, name: &str, value: Option<&Document>) -> Self {
        self.value(name, value)
    }

    /// Anything that is written as a document, if set.
    pub(crate) fn value<T: Serialize>(self, name: &str, value: Option<&T>) -> Self {
        match value {
            Some(value) => self.encoded(value, |writer, document| writer.raw(name, document)),
            None => self,
        }
    }

    /// A document that is encoded already.
    pub(crate) fn raw(self, name: &str, value: RawDoc<'_>) -> Self {
        self.map(|writer| writer.raw(name, value))
    }

    /// The fields of a document, behind those there are.
    pub(crate) fn fields<T: Serialize>(self, value: &T) -> Self {
        self.encoded(value, DocWriter::extend)
    }

    /// The fields of a document that is encoded already.
    pub(crate) fn raw_fields(self, value: RawDoc<'_>) -> Self {
        self.map(|writer| writer.extend(value))
    }

    /// An array of documents, if set.
    pub(crate) fn documents<T: Serialize>(mut self, name: &str, values: Option<&[T]>) -> Self {
        let Some(values) = values else { return self };
        let mut error = None;
        self.writer = self.writer.array(name, |mut array| {
            for (i, value) in values.iter().enumerate() {
                match encode(value) {
                    Ok(bytes) => {
                        array = array.raw(&i.to_string(), RawDoc::new(&bytes).unwrap_or(RawDoc::EMPTY))
                    }
                    Err(failed) => error = error.take().or(Some(failed)),
                }
            }
            array
        });
        if let Some(error) = error {
            self.fail(error);
        }
        self
    }

    /// Any value, if set: comments and hints.
    pub(crate) fn bson<T: Into<Bson> + Clone>(self, name: &str, value: Option<&T>) -> Self {
        match value.map(|value| value.clone().into()) {
            None => self,
            Some(Bson::String(text)) => self.str(name, Some(&text)),
            Some(Bson::Document(document)) => self.document(name, Some(&document)),
            Some(other) => {
                let mut field = Document::new();
                field.insert(name, other);
                self.fields(&field)
            }
        }
    }

    /// `maxTimeMS`, if set: whole milliseconds, and at least one, since 0 means no limit to the server.
    pub(crate) fn max_time(self, value: Option<Duration>) -> Self {
        self.millis("maxTimeMS", value)
    }

    fn millis(self, name: &str, value: Option<Duration>) -> Self {
        let Some(value) = value else { return self };
        let millis = match value.as_millis() {
            0 if !value.is_zero() => 1,
            millis => millis,
        };
        // The server's limit for it is 2^31 - 1.
        self.i32(name, i32::try_from(millis).unwrap_or(i32::MAX))
    }

    /// A write concern, unless it is the server's default.
    pub(crate) fn write_concern(self, concern: Option<&WriteConcern>) -> Self {
        match concern.filter(|concern| !concern.is_server_default()) {
            Some(concern) => self.map(|writer| writer.doc("writeConcern", |doc| concern.write_fields(doc))),
            None => self,
        }
    }

    /// The writer for what comes next, and the first error so far.
    pub(crate) fn into_parts(self) -> (DocWriter<'a>, Option<Error>) {
        (self.writer, self.error)
    }

    /// Ends the caller's part of a command.
    ///
    /// # Errors
    /// The first thing that could not be encoded.
    pub(crate) fn finish(self) -> Result<()> {
        self.writer.suspend();
        self.error.map_or(Ok(()), Err)
    }
}

/// Encodes a document.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    // Room for a small document, rather than growing four times on the way there.
    let mut bytes = Vec::with_capacity(256);
    bson::serialize_to_buffer(&value, &mut bytes)?;
    Ok(bytes)
}

/// Appends one statement, written by `fields`, to a document sequence of `request`.
pub(crate) fn statement(
    request: &mut Request,
    sequence: &str,
    fields: impl FnOnce(Body<'_>) -> Body<'_>,
) -> Result<()> {
    let mut error = None;
    request.sequence(sequence).push_with(|writer| {
        let (writer, failed) = fields(Body::over(writer)).into_parts();
        error = failed;
        writer
    });
    error.map_or(Ok(()), Err)
}

/// What a request holds, as a document with its sequences as arrays: for tests.
#[cfg(test)]
pub(crate) fn decoded(request: &mut Request) -> Document {
    use quorate_core::wire::Flags;
    request.attempt(1, Flags::NONE, |body| body).unwrap();
    let (body, sequences) = request.body_and_sequences().unwrap();
    let mut document: Document = bson::deserialize_from_slice(body.as_bytes()).unwrap();
    for sequence in sequences {
        let one = |raw: RawDoc<'_>| bson::deserialize_from_slice::<Document>(raw.as_bytes()).unwrap();
        document.insert(sequence.identifier, sequence.documents().map(one).collect::<Vec<_>>());
    }
    document
}
