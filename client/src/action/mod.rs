//! Actions: one builder a kind of call. Setters set options, awaiting it runs it.
//!
//! Each file here holds a builder, the command it encodes, and what it makes of the reply. Encoding and reading are plain
//! functions over bytes, tested without a client; only the last lines of each file wait for anything.
//!
//! ## What is retried
//!
//! By the specifications of retryable reads ("Supported Read Operations") and retryable writes ("Supported Write
//! Operations"). This table is the one place; a file here that deviates is wrong.
//!
//! | call | command | goes to | retried |
//! |---|---|---|---|
//! | `insert_one`, `insert_many` (each message) | `insert` | a writable server | as a write |
//! | `update_one`, `replace_one` | `update`, `multi: false` | a writable server | as a write |
//! | `delete_one` | `delete`, `limit: 1` | a writable server | as a write |
//! | `find_one_and_*` | `findAndModify` | a writable server | as a write |
//! | `update_many` | `update`, `multi: true` | a writable server | no |
//! | `delete_many` | `delete`, `limit: 0` | a writable server | no |
//! | any write with `w: 0` | | a writable server | no: there is no answer to tell that it failed |
//! | `find`, `find_one` | `find` | by read preference | as a read |
//! | `aggregate` | `aggregate` | by read preference | as a read |
//! | `aggregate` ending in `$out` or `$merge` | `aggregate` | a writable server | no |
//! | `count_documents` | `aggregate` | by read preference | as a read |
//! | `estimated_document_count` | `count` | by read preference | as a read |
//! | `distinct` | `distinct` | by read preference | as a read |
//! | `list_databases`, `list_collections`, `list_indexes` and their `_names` | same | the primary | as a read |
//! | `create_collection`, `drop`, `create_index`, `drop_index` | `create`, ... | a writable server | no |
//! | `run_command`, `run_cursor_command` | the caller's | the primary, or by its own criteria | no |
//! | further batches, closing a cursor | `getMore`, `killCursors` | the cursor's server | no |
//! | `commit_transaction`, `abort_transaction` | same | a writable server, or where the transaction is pinned | once, always |
//! | anything in a transaction | | where the transaction is pinned, or the primary | no |
//!
//! ## What is inherited
//!
//! Reads take read preference and read concern, writes take the write concern: of the call, else the collection, else the
//! database, else the client. In a transaction they take none of these: the transaction has its own. `run_command` takes none of them, as its command is the caller's own
//! (run command specification, "Driver Sessions", "Read Preference"); listings take none either.

use crate::{ClientSession, Runtime};

mod aggregate;
mod count;
mod create_collection;
mod delete;
mod distinct;
mod drop;
mod find;
mod find_and_modify;
mod indexes;
mod insert_many;
mod insert_one;
mod list_collections;
mod list_databases;
mod run_command;
mod session;
mod shutdown;
#[cfg(test)]
mod tests;
mod transaction;
mod update;

pub use aggregate::Aggregate;
pub(crate) use aggregate::AggregateTarget;
pub use count::{CountDocuments, EstimatedDocumentCount};
pub use create_collection::CreateCollection;
pub use delete::Delete;
pub use distinct::Distinct;
pub use drop::{DropCollection, DropDatabase};
pub use find::{Find, FindOne};
pub use find_and_modify::{FindOneAndDelete, FindOneAndReplace, FindOneAndUpdate};
pub use indexes::{CreateIndex, DropIndex, ListIndexes};
pub use insert_many::InsertMany;
pub use insert_one::InsertOne;
pub use list_collections::ListCollections;
pub use list_databases::ListDatabases;
pub use run_command::{RunCommand, RunCursorCommand};
pub use session::StartSession;
pub use shutdown::Shutdown;
pub use transaction::{AbortTransaction, CommitTransaction, StartTransaction};
pub use update::{ReplaceOne, Update};

/// Marks an action that lists whole descriptions.
#[derive(Debug)]
pub struct ListSpecifications;

/// Marks an action that lists names.
#[derive(Debug)]
pub struct ListNames;

/// Marks an action on one thing.
#[derive(Debug)]
pub struct Single;

/// Marks an action on several things.
#[derive(Debug)]
pub struct Multiple;

/// Marks an action that gives a [`Cursor`](crate::Cursor), whose session is its own.
#[derive(Debug)]
pub struct ImplicitSession;

/// Marks an action that gives a [`SessionCursor`](crate::SessionCursor): it is run in that session.
#[derive(Debug)]
pub struct ExplicitSession<'a, R: Runtime>(pub(crate) &'a mut ClientSession<R>);

mod private {
    pub trait Sealed {}
}

/// A call that has not been sent. Setters set its options; awaiting it runs it.
pub trait Action: private::Sealed + IntoFuture + Sized {
    /// Calls `set` on the action if there is a value: for options that are given or not.
    ///
    /// ```no_run
    /// # use quorate::{Collection, Runtime, bson::{Document, doc}, error::Result};
    /// use quorate::action::Action;
    /// # async fn example<R: Runtime>(books: Collection<Document, R>, order: Option<Document>) -> Result<()> {
    /// let cursor = books.find(doc! {}).optional(order, |find, order| find.sort(order)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    fn optional<Value>(self, value: Option<Value>, set: impl FnOnce(Self, Value) -> Self) -> Self {
        match value {
            Some(value) => set(self, value),
            None => self,
        }
    }
}

/// Inside an action's `impl`: a setter for each field of its options. `set` takes the field's type, `into` what turns into
/// it, `list` anything that can be iterated over.
macro_rules! setters {
    ($options:ident; $($kind:ident $name:ident: $type:ty,)*) => {
        /// Sets all options at once, in place of those set before.
        pub fn with_options(mut self, value: impl Into<Option<$crate::options::$options>>) -> Self {
            self.options = value.into().unwrap_or_default();
            self
        }

        $($crate::action::setters!(@$kind $options $name $type);)*
    };
    (@set $options:ident $name:ident $type:ty) => {
        #[doc = concat!("Sets [`", stringify!($name), "`](crate::options::", stringify!($options), "::", stringify!($name), ").")]
        pub fn $name(mut self, value: $type) -> Self {
            self.options.$name = Some(value);
            self
        }
    };
    (@into $options:ident $name:ident $type:ty) => {
        #[doc = concat!("Sets [`", stringify!($name), "`](crate::options::", stringify!($options), "::", stringify!($name), ").")]
        pub fn $name(mut self, value: impl Into<$type>) -> Self {
            self.options.$name = Some(value.into());
            self
        }
    };
    (@list $options:ident $name:ident $type:ty) => {
        #[doc = concat!("Sets [`", stringify!($name), "`](crate::options::", stringify!($options), "::", stringify!($name), ").")]
        pub fn $name(mut self, value: impl IntoIterator<Item = $type>) -> Self {
            self.options.$name = Some(value.into_iter().collect());
            self
        }
    };
}
pub(crate) use setters;

/// Inside an `impl` of an action with a field `session`: its setter.
macro_rules! session_setter {
    ($lifetime:lifetime, $runtime:ident) => {
        /// Runs it in that session, as part of its transaction if one has been started.
        pub fn session(mut self, value: impl Into<&$lifetime mut $crate::ClientSession<$runtime>>) -> Self {
            self.session = Some(value.into());
            self
        }
    };
}
pub(crate) use session_setter;

/// Makes a builder awaitable: `action! { ['a, R: Runtime] Delete<'a, R> => DeleteResult; |action| { ... } }`.
macro_rules! action {
    ([$($generics:tt)*] $action:ty => $output:ty; |$this:ident| $body:block) => {
        impl<$($generics)*> $crate::action::private::Sealed for $action {}

        impl<$($generics)*> $crate::action::Action for $action {}

        impl<$($generics)*> IntoFuture for $action {
            type Output = quorate_core::Result<$output>;
            type IntoFuture = $crate::BoxFuture<'a, quorate_core::Result<$output>>;

            fn into_future(self) -> Self::IntoFuture {
                let $this = self;
                Box::pin(async move $body)
            }
        }
    };
}
pub(crate) use action;
