//! BSON as bytes: reading and writing the protocol's own fields, and nothing else.
//!
//! The driver looks at a handful of fields in every reply (`ok`, `code`, `$clusterTime`, the hello fields) and adds a
//! handful to every command. This module does both directly on the bytes: no document is built, no value is copied,
//! nothing is allocated. Users' documents pass through untouched.
//!
//! Every byte read here may come from an enemy. Reading is a flat walk: a document nested ten thousand deep costs no
//! more stack than an empty one, because a sub-document is a slice until somebody asks for its fields. A length
//! that lies, a missing terminator or an unknown type gives a [`RawError`] that names the offset.
//!
//! Source: <https://bsonspec.org/spec.html>.

mod reader;
mod writer;

pub use reader::{Elements, RawDoc, RawError, RawErrorKind, Timestamp, Value};
pub use writer::DocWriter;
