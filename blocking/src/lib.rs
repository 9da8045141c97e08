//! Quorate for programs without async: the same calls as everywhere, ended by [`.run()`](Run::run) instead of `.await`.
//!
//! ```no_run
//! use quorate_blocking::bson::{Document, doc};
//! use quorate_blocking::{Client, Run};
//!
//! # fn main() -> quorate_blocking::error::Result<()> {
//! let client = Client::with_uri_str("mongodb://localhost:27017/?replicaSet=rs0")?;
//! let orders = client.database("shop").collection::<Document>("orders");
//! orders.insert_one(doc! { "item": "pen", "qty": 3 }).run()?;
//! for order in orders.find(doc! { "qty": { "$gt": 1 } }).sort(doc! { "item": 1 }).run()? {
//!     println!("{}", order?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! There is no second driver here. Databases, collections, actions and their options are those of `quorate-smol`; [`Run`]
//! waits for one of them on the calling thread, and [`Cursor`] is an iterator. Monitors and whatever else goes on by itself run
//! on smol's global executor, in a thread of its own. Share a [`Client`] among threads, by reference or by clone.
//!
//! From async code take `quorate-smol` or `quorate-tokio`: a call here holds up the thread that it is made on, and with it
//! every task of an executor that has only that one.

mod client;
mod cursor;
mod run;
mod session;

pub use client::Client;
pub use cursor::Cursor;
pub use quorate_smol::{
    ClientSession, ClusterTime, Collection, Database, IndexModel, Namespace, ServerAddress, ServerType,
    TopologyDescription, TopologyType, action, bson, error, event, options, results,
};
pub use run::{Blocking, Run};
pub use session::{RunTransaction, SessionCursor};
