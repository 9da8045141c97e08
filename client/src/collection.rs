//! A collection: the handle, what it inherits, and its operations.

use crate::action::{
    Aggregate, AggregateTarget, CountDocuments, CreateIndex, Delete, Distinct, DropCollection, DropIndex,
    EstimatedDocumentCount, Find, FindOne, FindOneAndDelete, FindOneAndReplace, FindOneAndUpdate, InsertMany,
    InsertOne, ListIndexes, ListNames, Multiple, ReplaceOne, Update,
};
use crate::options::{
    CollectionOptions, IndexModel, ReadConcern, SelectionCriteria, UpdateModifications, WriteConcern,
};
use crate::{Client, ClientSession, Database, Namespace, Runtime};
use bson::Document;
use quorate_core::client_session::Scope;
use quorate_core::{Result, selection};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A collection of documents that read and write as `T`. Cheap to clone; made by [`Database::collection`].
///
/// What is not set here comes from the database.
pub struct Collection<T, R: Runtime> {
    inner: Arc<Inner<R>>,
    documents: PhantomData<fn() -> T>,
}

struct Inner<R: Runtime> {
    database: Database<R>,
    name: String,
    selection_criteria: Option<SelectionCriteria>,
    /// `selection_criteria` in the core's terms, made once.
    criteria: selection::SelectionCriteria,
    read_concern: Option<ReadConcern>,
    write_concern: Option<WriteConcern>,
}

impl<T, R: Runtime> Clone for Collection<T, R> {
    fn clone(&self) -> Self {
        Collection { inner: Arc::clone(&self.inner), documents: PhantomData }
    }
}

impl<T, R: Runtime> fmt::Debug for Collection<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("namespace", &self.namespace().to_string())
            .field("selection_criteria", &self.inner.selection_criteria)
            .field("read_concern", &self.inner.read_concern)
            .field("write_concern", &self.inner.write_concern)
            .finish_non_exhaustive()
    }
}

impl<T, R: Runtime> Collection<T, R> {
    pub(crate) fn new(database: Database<R>, name: &str, options: Option<CollectionOptions>) -> Self {
        let options = options.unwrap_or_default();
        let selection_criteria =
            options.selection_criteria.or_else(|| database.selection_criteria().cloned());
        let inner = Inner {
            name: name.to_owned(),
            criteria: selection_criteria.as_ref().map(SelectionCriteria::to_core).unwrap_or_default(),
            selection_criteria,
            read_concern: options.read_concern.or_else(|| database.read_concern().cloned()),
            write_concern: options.write_concern.or_else(|| database.write_concern().cloned()),
            database,
        };
        Collection { inner: Arc::new(inner), documents: PhantomData }
    }

    /// The same collection with documents of another type.
    pub fn clone_with_type<U: Send + Sync>(&self) -> Collection<U, R> {
        Collection { inner: Arc::clone(&self.inner), documents: PhantomData }
    }

    /// The client it was made from.
    pub fn client(&self) -> &Client<R> {
        self.inner.database.client()
    }

    /// Its name, without the database's.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its full name.
    pub fn namespace(&self) -> Namespace {
        Namespace::new(self.inner.database.name(), self.name())
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

    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            database: self.inner.database.shared_name(),
            collection: &self.inner.name,
            criteria: &self.inner.criteria,
            read_concern: self.read_concern(),
            write_concern: self.write_concern(),
            scope: Scope::Alone,
        }
    }

    /// Which collection, without a document type: for actions that carry none.
    pub(crate) fn untyped(&self) -> Collection<(), R> {
        Collection { inner: Arc::clone(&self.inner), documents: PhantomData }
    }
}

/// What encoding an operation needs to know of its collection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) database: &'a Arc<str>,
    pub(crate) collection: &'a str,
    pub(crate) criteria: &'a selection::SelectionCriteria,
    read_concern: Option<&'a ReadConcern>,
    write_concern: Option<&'a WriteConcern>,
    scope: Scope,
}

impl<'a> Target<'a> {
    pub(crate) fn new(
        database: &'a Arc<str>,
        collection: &'a str,
        criteria: &'a selection::SelectionCriteria,
    ) -> Self {
        Target {
            database,
            collection,
            criteria,
            read_concern: None,
            write_concern: None,
            scope: Scope::Alone,
        }
    }

    pub(crate) fn with_concerns(
        mut self,
        read: Option<&'a ReadConcern>,
        write: Option<&'a WriteConcern>,
    ) -> Self {
        self.read_concern = read;
        self.write_concern = write;
        self
    }

    /// The same in that session, whose transaction has concerns of its own.
    pub(crate) fn within<R: Runtime>(mut self, session: Option<&ClientSession<R>>) -> Self {
        self.scope = session.map(ClientSession::scope).unwrap_or_default();
        self
    }

    /// The operation's own criteria, or the collection's.
    pub(crate) fn criteria(&self, own: Option<&SelectionCriteria>) -> selection::SelectionCriteria {
        self.scope.criteria(own.map(SelectionCriteria::to_core), self.criteria)
    }

    /// The operation's own read concern, or the collection's.
    ///
    /// # Errors
    /// In a transaction it may have none.
    pub(crate) fn read_concern(&self, own: Option<&'a ReadConcern>) -> Result<Option<&'a ReadConcern>> {
        self.scope.read_concern(own, self.read_concern)
    }

    /// The operation's own write concern, or the collection's.
    ///
    /// # Errors
    /// In a transaction it may have none.
    pub(crate) fn write_concern(&self, own: Option<&'a WriteConcern>) -> Result<Option<&'a WriteConcern>> {
        self.scope.write_concern(own, self.write_concern)
    }
}

impl<T: Send + Sync, R: Runtime> Collection<T, R> {
    /// Finds the documents that match `filter`. Gives a [`Cursor`](crate::Cursor).
    pub fn find(&self, filter: Document) -> Find<'_, T, R> {
        Find::new(self, filter)
    }

    /// Counts the documents that match `filter`, by looking at them.
    pub fn count_documents(&self, filter: Document) -> CountDocuments<'_, R> {
        CountDocuments::new(self.untyped(), filter)
    }

    /// Counts all documents by the collection's metadata: fast, and not exact after an unclean shutdown or on a sharded
    /// cluster with orphaned documents.
    pub fn estimated_document_count(&self) -> EstimatedDocumentCount<'_, R> {
        EstimatedDocumentCount::new(self.untyped())
    }

    /// Finds the different values of one field in the documents that match `filter`.
    pub fn distinct(&self, field_name: impl AsRef<str>, filter: Document) -> Distinct<'_, R> {
        Distinct::new(self.untyped(), field_name.as_ref().to_owned(), filter)
    }

    /// Runs an aggregation over the collection. Gives a [`Cursor`](crate::Cursor) of plain documents; see
    /// [`Aggregate::with_type`].
    pub fn aggregate(&self, pipeline: impl IntoIterator<Item = Document>) -> Aggregate<'_, R> {
        Aggregate::new(AggregateTarget::collection(self.untyped()), pipeline.into_iter().collect())
    }

    /// Updates one document that matches `query`. Retried once where that is safe.
    pub fn update_one(&self, query: Document, update: impl Into<UpdateModifications>) -> Update<'_, R> {
        Update::new(self.untyped(), query, update.into(), false)
    }

    /// Updates all documents that match `query`. Not retried: it cannot be told how far the first attempt came.
    pub fn update_many(&self, query: Document, update: impl Into<UpdateModifications>) -> Update<'_, R> {
        Update::new(self.untyped(), query, update.into(), true)
    }

    /// Deletes one document that matches `query`. Retried once where that is safe.
    pub fn delete_one(&self, query: Document) -> Delete<'_, R> {
        Delete::new(self.untyped(), query, false)
    }

    /// Deletes all documents that match `query`. Not retried: it cannot be told how far the first attempt came.
    pub fn delete_many(&self, query: Document) -> Delete<'_, R> {
        Delete::new(self.untyped(), query, true)
    }

    /// Removes the collection with all documents and indexes. One that does not exist is no error.
    pub fn drop(&self) -> DropCollection<'_, R> {
        DropCollection::new(self.untyped())
    }

    /// Makes an index.
    pub fn create_index(&self, index: IndexModel) -> CreateIndex<'_, R> {
        CreateIndex::new(self.untyped(), vec![index])
    }

    /// Makes several indexes at once.
    pub fn create_indexes(
        &self,
        indexes: impl IntoIterator<Item = IndexModel>,
    ) -> CreateIndex<'_, R, Multiple> {
        CreateIndex::new(self.untyped(), indexes.into_iter().collect())
    }

    /// Lists the indexes.
    pub fn list_indexes(&self) -> ListIndexes<'_, R> {
        ListIndexes::new(self.untyped())
    }

    /// Lists the names of the indexes.
    pub fn list_index_names(&self) -> ListIndexes<'_, R, ListNames> {
        ListIndexes::new(self.untyped())
    }

    /// Removes the index of that name.
    pub fn drop_index(&self, name: impl AsRef<str>) -> DropIndex<'_, R> {
        DropIndex::new(self.untyped(), Some(name.as_ref().to_owned()))
    }

    /// Removes all indexes but the one on `_id`.
    pub fn drop_indexes(&self) -> DropIndex<'_, R> {
        DropIndex::new(self.untyped(), None)
    }
}

impl<T: DeserializeOwned + Send + Sync, R: Runtime> Collection<T, R> {
    /// Finds the first document that matches `filter`.
    pub fn find_one(&self, filter: Document) -> FindOne<'_, T, R> {
        FindOne::new(self, filter)
    }

    /// Deletes one document that matches `filter`, and gives it. Retried once where that is safe.
    pub fn find_one_and_delete(&self, filter: Document) -> FindOneAndDelete<'_, T, R> {
        FindOneAndDelete::new(self, filter)
    }

    /// Updates one document that matches `filter`, and gives it as it was before, or after. Retried once where that is
    /// safe.
    pub fn find_one_and_update(
        &self,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> FindOneAndUpdate<'_, T, R> {
        FindOneAndUpdate::new(self, filter, update.into())
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync, R: Runtime> Collection<T, R> {
    /// Replaces one document that matches `filter`, and gives it as it was before, or after. Retried once where that is
    /// safe.
    pub fn find_one_and_replace(
        &self,
        filter: Document,
        replacement: impl Borrow<T>,
    ) -> FindOneAndReplace<'_, T, R> {
        FindOneAndReplace::new(self, filter, crate::command::encode(replacement.borrow()))
    }
}

impl<T: Serialize + Send + Sync, R: Runtime> Collection<T, R> {
    /// Inserts a document. An `_id` is made here where it has none. Retried once where that is safe.
    pub fn insert_one(&self, doc: impl Borrow<T>) -> InsertOne<'_, R> {
        InsertOne::new(self.untyped(), doc.borrow())
    }

    /// Inserts documents, in as few messages as the server's limits allow. Each message is retried once where that is
    /// safe.
    pub fn insert_many(&self, docs: impl IntoIterator<Item = impl Borrow<T>>) -> InsertMany<'_, R> {
        InsertMany::new(self.untyped(), docs)
    }

    /// Replaces one document that matches `query`. Retried once where that is safe.
    pub fn replace_one(&self, query: Document, replacement: impl Borrow<T>) -> ReplaceOne<'_, R> {
        ReplaceOne::new(self.untyped(), query, crate::command::encode(replacement.borrow()))
    }
}
