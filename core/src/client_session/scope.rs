//! What an operation inherits of its collection, database and client: not the same in a transaction.

use crate::error::{Error, ErrorKind, Result};
use crate::selection::SelectionCriteria;
use crate::{ReadConcern, WriteConcern};

/// Whether an operation is about to be part of a transaction, as far as encoding it is concerned.
///
/// Source: transactions specification, "Users cannot pass readConcern or writeConcern to operations in transactions", and the
/// sections "readConcern", "writeConcern" and "readPreference" of "TransactionOptions".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// It is not: its own value counts, else the inherited one.
    #[default]
    Alone,
    /// It is: nothing is inherited, and concerns are the transaction's alone.
    Transaction,
}

impl Scope {
    /// The read concern for its command.
    ///
    /// # Errors
    /// [`ErrorKind::Transaction`] if it has one of its own in a transaction.
    pub fn read_concern<'a>(
        self,
        own: Option<&'a ReadConcern>,
        inherited: Option<&'a ReadConcern>,
    ) -> Result<Option<&'a ReadConcern>> {
        self.concern(own, inherited, "Cannot set read concern after starting a transaction")
    }

    /// The write concern for its command.
    ///
    /// # Errors
    /// [`ErrorKind::Transaction`] if it has one of its own in a transaction.
    pub fn write_concern<'a>(
        self,
        own: Option<&'a WriteConcern>,
        inherited: Option<&'a WriteConcern>,
    ) -> Result<Option<&'a WriteConcern>> {
        self.concern(own, inherited, "Cannot set write concern after starting a transaction")
    }

    /// Which servers it may go to. In a transaction the primary, or what it says itself; that is looked at when it begins.
    pub fn criteria(
        self,
        own: Option<SelectionCriteria>,
        inherited: &SelectionCriteria,
    ) -> SelectionCriteria {
        own.unwrap_or_else(|| match self {
            Scope::Alone => inherited.clone(),
            Scope::Transaction => SelectionCriteria::default(),
        })
    }

    fn concern<T>(self, own: Option<T>, inherited: Option<T>, refusal: &str) -> Result<Option<T>> {
        match self {
            Scope::Alone => Ok(own.or(inherited)),
            Scope::Transaction if own.is_some() => {
                Err(Error::new(ErrorKind::Transaction { message: refusal.into() }))
            }
            Scope::Transaction => Ok(None),
        }
    }
}
