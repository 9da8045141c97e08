//! [`SessionCursor`] and [`RunTransaction`]: what explicit sessions need beside [`Run`](crate::Run).

use futures::StreamExt;
use quorate_smol::action::StartTransaction;
use quorate_smol::bson::RawDocument;
use quorate_smol::error::Result;
use quorate_smol::{ClientSession, Smol};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The results of a query that was run in a [`ClientSession`], which every further batch takes as well.
///
/// ```no_run
/// # use quorate_blocking::{Client, Collection, Run, bson::{Document, doc}, error::Result};
/// # fn example(client: Client, books: Collection<Document>) -> Result<()> {
/// let mut session = client.start_session().run()?;
/// let mut found = books.find(doc! { "year": 1984 }).session(&mut session).run()?;
/// for book in found.iter(&mut session) {
///     println!("{}", book?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SessionCursor<T>(quorate_smol::SessionCursor<T>);

impl<T> SessionCursor<T> {
    /// The documents that are left.
    pub fn iter(&mut self, session: &mut ClientSession) -> impl Iterator<Item = Result<T>>
    where
        T: DeserializeOwned,
    {
        let mut stream = self.0.stream(session);
        std::iter::from_fn(move || smol::block_on(stream.next()))
    }

    /// Goes to the next document, with a further batch where it takes one. `false` when there is none any more.
    ///
    /// # Errors
    /// What asking for a batch can give. The cursor gives nothing after one.
    pub fn advance(&mut self, session: &mut ClientSession) -> Result<bool> {
        smol::block_on(self.0.advance(session))
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
    pub fn with_type<'a, D: Deserialize<'a>>(self) -> SessionCursor<D> {
        SessionCursor(self.0.with_type())
    }
}

impl<T> From<quorate_smol::SessionCursor<T>> for SessionCursor<T> {
    fn from(cursor: quorate_smol::SessionCursor<T>) -> Self {
        SessionCursor(cursor)
    }
}

/// A transaction from its start to its commit, again where that is right.
pub trait RunTransaction {
    /// As [`StartTransaction::and_run`]: starts a transaction, runs `callback`, and commits; all of it again when that fails for
    /// a reason that passes.
    ///
    /// ```no_run
    /// # use quorate_blocking::{Client, Run, RunTransaction, bson::{Document, doc}, error::Result};
    /// # fn example(client: Client) -> Result<()> {
    /// let stock = client.database("shop").collection::<Document>("stock");
    /// let mut session = client.start_session().run()?;
    /// session.start_transaction().run_with(|session| {
    ///     stock.update_one(doc! { "_id": "pen" }, doc! { "$inc": { "left": -1 } }).session(session).run()
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    fn run_with<T>(self, callback: impl FnMut(&mut ClientSession) -> Result<T>) -> Result<T>;
}

impl RunTransaction for StartTransaction<'_, Smol> {
    fn run_with<T>(self, mut callback: impl FnMut(&mut ClientSession) -> Result<T>) -> Result<T> {
        // The future is run on this very thread, and so is the callback inside of it.
        smol::block_on(self.and_run2(async |session| callback(session)))
    }
}
