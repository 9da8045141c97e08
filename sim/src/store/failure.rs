//! Errors as the server words them.

use crate::mongod::code_name;
use bson::{Bson, Document, doc};

/// A command that failed, or one write of a batch that did.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The server's error code.
    pub code: i32,
    /// `errmsg`.
    pub message: String,
    /// `errorLabels`.
    pub labels: Vec<&'static str>,
    /// Fields some errors carry besides: `keyPattern`, `keyValue`.
    pub extra: Option<Box<Document>>,
}

/// What the rooms of the store return.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// An error of this code and text.
    pub fn new(code: i32, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), labels: Vec::new(), extra: None }
    }

    /// Two writers of one document, or of one key.
    pub(crate) fn write_conflict() -> Failure {
        Failure::new(
            112,
            "WriteConflict error: this operation conflicted with another operation. Please retry your operation or \
             multi-document transaction.",
        )
    }

    /// The same with one of the fields some errors carry besides.
    pub fn with(mut self, name: &str, value: impl Into<Bson>) -> Failure {
        self.extra.get_or_insert_default().insert(name, value);
        self
    }

    fn add_extra(&self, document: &mut Document) {
        document.extend(self.extra.iter().flat_map(|d| d.iter()).map(|(k, v)| (k.clone(), v.clone())));
    }

    /// The same with an error label.
    pub fn label(mut self, label: &'static str) -> Failure {
        if !self.labels.contains(&label) {
            self.labels.push(label);
        }
        self
    }

    /// The whole reply: `ok: 0` and what belongs to it.
    pub fn reply(&self) -> Document {
        let mut reply = Document::new();
        if !self.labels.is_empty() {
            reply.insert("errorLabels", self.labels.iter().map(|l| Bson::from(*l)).collect::<Vec<_>>());
        }
        reply.extend(
            doc! { "ok": 0.0, "errmsg": &self.message, "code": self.code, "codeName": code_name(self.code).into_owned() },
        );
        self.add_extra(&mut reply);
        reply
    }

    /// An element of `writeErrors`.
    pub fn write_error(&self, index: i32) -> Document {
        let mut error = doc! { "index": index, "code": self.code, "errmsg": &self.message };
        self.add_extra(&mut error);
        error
    }
}
