//! Quorate for JavaScript hosts: the same client, machine for machine, under WebAssembly.
//!
//! | file | its one idea |
//! |---|---|
//! | `runtime` | `JavaScript`: clock, tasks and sleeps of the host |
//! | `sleep` | one `setTimeout` |
//! | `socket` | byte streams the host opens |
//! | `client` | `Client` and `Cursor` as JavaScript sees them |
//! | `event` | events as plain objects |
//! | `value` | BSON bytes and errors across the border |
//!
//! Documents cross as BSON bytes (`Uint8Array`): whoever has a BSON library in JavaScript uses it, and nobody pays for a second
//! conversion. `encode` and `decode` do for programs that have none.
//!
//! A JavaScript host has one thread, and its values stay there. The client's bounds (`Send`) are met by `SendWrapper`, which
//! checks that it is so.
//!
//! There is no TLS here, and no file system, environment or clock of the standard library. Everything else is the code
//! that runs elsewhere.
#![cfg(all(target_arch = "wasm32", target_os = "unknown"))]

mod client;
mod event;
mod runtime;
mod sleep;
mod socket;
mod value;

pub use client::{Client, Cursor};
pub use runtime::JavaScript;
pub use sleep::Sleep;
pub use socket::{Sockets, Stream};
pub use value::{decode, encode};
