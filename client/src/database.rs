//! A database of a deployment.

use crate::action::{
    Aggregate, AggregateTarget, CreateCollection, DropDatabase, ListCollections, ListNames, RunCommand,
    RunCursorCommand,
};
use crate::options::{CollectionOptions, DatabaseOptions, ReadConcern, SelectionCriteria, WriteConcern};
use crate::{Client, Collection, Runtime};
use bson::{Document, RawDocumentBuf};
use std::fmt;
use std::sync::Arc;

/// A database of a deployment. Cheap to clone; made by [`Client::database`].
///
/// What is not set here comes from the client, and goes on to the collections made from it.
pub struct Database<R: Runtime> {
    inner: Arc<Inner<R>>,
}

struct Inner<R: Runtime> {
    client: Client<R>,
    name: Arc<str>,
    selection_criteria: Option<SelectionCriteria>,
    read_concern: Option<ReadConcern>,
    write_concern: Option<WriteConcern>,
}

impl<R: Runtime> Clone for Database<R> {
    fn clone(&self) -> Self {
        Database { inner: Arc::clone(&self.inner) }
    }
}

impl<R: Runtime> fmt::Debug for Database<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("name", &self.inner.name)
            .field("selection_criteria", &self.inner.selection_criteria)
            .field("read_concern", &self.inner.read_concern)
            .field("write_concern", &self.inner.write_concern)
            .finish_non_exhaustive()
    }
}

impl<R: Runtime> Database<R> {
    pub(crate) fn new(client: Client<R>, name: &str, options: Option<DatabaseOptions>) -> Self {
        let options = options.unwrap_or_default();
        let inner = Inner {
            name: Arc::from(name),
            selection_criteria: options.selection_criteria.or_else(|| client.selection_criteria().cloned()),
            read_concern: options.read_concern.or_else(|| client.read_concern().cloned()),
            write_concern: options.write_concern.or_else(|| client.write_concern().cloned()),
            client,
        };
        Database { inner: Arc::new(inner) }
    }

    /// The client it was made from.
    pub fn client(&self) -> &Client<R> {
        &self.inner.client
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.inner.name
    }

    /// Which servers reads may go to.
    pub fn selection_criteria(&self) -> Option<&SelectionCriteria> {
        self.inner.selection_criteria.as_ref()
    }

    /// The read concern of reads.
    pub fn read_concern(&self) -> Option<&ReadConcern> {
        self.inner.read_concern.as_ref()
    }

    /// The write concern of writes.
    pub fn write_concern(&self) -> Option<&WriteConcern> {
        self.inner.write_concern.as_ref()
    }

    /// A collection of documents that read and write as `T`. Nothing is sent, and the collection need not exist.
    pub fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T, R> {
        Collection::new(self.clone(), name, None)
    }

    /// As [`Database::collection`], with options of its own.
    pub fn collection_with_options<T: Send + Sync>(
        &self,
        name: &str,
        options: CollectionOptions,
    ) -> Collection<T, R> {
        Collection::new(self.clone(), name, Some(options))
    }

    /// Runs any command and gives its reply. Neither retried nor given the database's read and write concern; it goes to
    /// the primary unless `selection_criteria` says otherwise.
    pub fn run_command(&self, command: Document) -> RunCommand<'_, R> {
        RunCommand::new(self, crate::command::encode(&command))
    }

    /// As [`Database::run_command`], with the command encoded already.
    pub fn run_raw_command(&self, command: RawDocumentBuf) -> RunCommand<'_, R> {
        RunCommand::new(self, Ok(command.into_bytes()))
    }

    /// Runs any command that answers with a cursor.
    pub fn run_cursor_command(&self, command: Document) -> RunCursorCommand<'_, R> {
        RunCursorCommand::new(self, crate::command::encode(&command))
    }

    /// As [`Database::run_cursor_command`], with the command encoded already.
    pub fn run_raw_cursor_command(&self, command: RawDocumentBuf) -> RunCursorCommand<'_, R> {
        RunCursorCommand::new(self, Ok(command.into_bytes()))
    }

    /// Lists the collections, with their options.
    pub fn list_collections(&self) -> ListCollections<'_, R> {
        ListCollections::new(self)
    }

    /// Lists the names of the collections.
    pub fn list_collection_names(&self) -> ListCollections<'_, R, ListNames> {
        ListCollections::new(self)
    }

    /// Makes a collection or a view. Only needed for one with options: the first insert makes a plain one.
    pub fn create_collection(&self, name: impl Into<String>) -> CreateCollection<'_, R> {
        CreateCollection::new(self, name.into())
    }

    /// Removes the database with everything in it.
    pub fn drop(&self) -> DropDatabase<'_, R> {
        DropDatabase::new(self)
    }

    /// Runs an aggregation that reads from no collection (`$currentOp`, `$documents`, ...).
    pub fn aggregate(&self, pipeline: impl IntoIterator<Item = Document>) -> Aggregate<'_, R> {
        Aggregate::new(AggregateTarget::database(self), pipeline.into_iter().collect())
    }
}
