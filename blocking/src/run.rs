//! [`Run`]: waiting for a call.

use crate::{Cursor, SessionCursor};
use quorate_smol::ClientSession;
use quorate_smol::bson::{Bson, Document};
use quorate_smol::error::Error;
use quorate_smol::options::ClientOptions;
use quorate_smol::results::{
    CreateIndexResult, CreateIndexesResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult,
};

/// Runs what would otherwise be awaited: an action of a client, database or collection, or
/// [`ClientOptions::parse`](crate::options::ClientOptions::parse).
pub trait Run: IntoFuture<Output: Blocking> + Sized {
    /// Runs it to its end on this thread, and gives what it gives; in place of a stream, an iterator.
    ///
    /// # Errors
    /// As awaiting it.
    fn run(self) -> <Self::Output as Blocking>::Output {
        smol::block_on(self.into_future()).blocking()
    }
}

impl<A: IntoFuture<Output: Blocking>> Run for A {}

/// What [`Run::run`] makes of an outcome: a cursor that is iterated over instead of one that is awaited, and everything else as
/// it is.
pub trait Blocking: sealed::Sealed {
    /// What it becomes.
    type Output;

    /// Turns it into that.
    fn blocking(self) -> Self::Output;
}

mod sealed {
    pub trait Sealed {}
}

impl<T: Blocking> sealed::Sealed for Result<T, Error> {}

impl<T: Blocking> Blocking for Result<T, Error> {
    type Output = Result<T::Output, Error>;

    fn blocking(self) -> Self::Output {
        self.map(Blocking::blocking)
    }
}

impl<T> sealed::Sealed for quorate_smol::Cursor<T> {}

impl<T> Blocking for quorate_smol::Cursor<T> {
    type Output = Cursor<T>;

    fn blocking(self) -> Cursor<T> {
        self.into()
    }
}

impl<T> sealed::Sealed for quorate_smol::SessionCursor<T> {}

impl<T> Blocking for quorate_smol::SessionCursor<T> {
    type Output = SessionCursor<T>;

    fn blocking(self) -> SessionCursor<T> {
        self.into()
    }
}

/// What stays as it is.
macro_rules! as_it_is {
    ($([$($generics:tt)*] $type:ty,)*) => {
        $(
            impl<$($generics)*> sealed::Sealed for $type {}

            impl<$($generics)*> Blocking for $type {
                type Output = Self;

                fn blocking(self) -> Self {
                    self
                }
            }
        )*
    };
}

as_it_is! {
    [] (),
    [] u64,
    [] Bson,
    [] ClientOptions,
    [] ClientSession,
    [] CreateIndexResult,
    [] CreateIndexesResult,
    [] DeleteResult,
    [] Document,
    [] InsertManyResult,
    [] InsertOneResult,
    [] UpdateResult,
    [T] Option<T>,
    [T] Vec<T>,
}
