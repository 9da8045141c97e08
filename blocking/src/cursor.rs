//! [`Cursor`]: results as an iterator.

use futures::StreamExt;
use quorate_smol::bson::RawDocument;
use quorate_smol::error::Result;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The results of a query, batch by batch, as an [`Iterator`] of `Result<T>`.
///
/// ```no_run
/// # use quorate_blocking::{Collection, Run, bson::{Document, doc}, error::Result};
/// # fn example(books: Collection<Document>) -> Result<()> {
/// let of_that_year: Vec<Document> = books.find(doc! { "year": 1984 }).run()?.collect::<Result<_>>()?;
/// # Ok(())
/// # }
/// ```
///
/// [`Cursor::advance`] with [`Cursor::deserialize_current`] or [`Cursor::current`] reads documents in the buffer they were
/// received in, without copying: types that borrow, such as `&str` fields, work.
///
/// A cursor that is dropped before its end is closed on the server in the background.
#[derive(Debug)]
pub struct Cursor<T>(quorate_smol::Cursor<T>);

impl<T> Cursor<T> {
    /// Goes to the next document, with a further batch where it takes one. `false` when there is none any more.
    ///
    /// # Errors
    /// What asking for a batch can give. The cursor gives nothing after one.
    pub fn advance(&mut self) -> Result<bool> {
        smol::block_on(self.0.advance())
    }

    /// The document the cursor stands on, as bytes; see [`quorate_smol::Cursor::current`].
    pub fn current(&self) -> &RawDocument {
        self.0.current()
    }

    /// Whether there may be more. (The last batch may turn out to be empty.)
    pub fn has_next(&self) -> bool {
        self.0.has_next()
    }

    /// The document the cursor stands on as a `T`, which may borrow from it.
    ///
    /// # Errors
    /// When it is no `T`.
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        self.0.deserialize_current()
    }

    /// The same cursor with documents of another type.
    pub fn with_type<'a, D: Deserialize<'a>>(self) -> Cursor<D> {
        Cursor(self.0.with_type())
    }
}

impl<T: DeserializeOwned> Iterator for Cursor<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        smol::block_on(self.0.next())
    }
}

impl<T> From<quorate_smol::Cursor<T>> for Cursor<T> {
    fn from(cursor: quorate_smol::Cursor<T>) -> Self {
        Cursor(cursor)
    }
}
