//! One document in its versions.

use super::{TxnId, View};
use bson::Document;
use quorate_core::concern::OpTime;
use quorate_core::raw::Timestamp;
use std::sync::Arc;

/// A document at one time; `None` where it is gone, or not there yet.
type Content = Option<Arc<Document>>;

/// One document in its versions.
#[derive(Debug, Default)]
pub(crate) struct Record {
    newest: (OpTime, Content),
    /// Nothing for most, which is why it stands apart.
    more: Option<Box<More>>,
}

/// What only documents have that are being written.
#[derive(Debug, Default)]
struct More {
    /// Earlier versions, the oldest first.
    older: Vec<(OpTime, Content)>,
    /// What a transaction in progress made of it.
    pending: Option<(TxnId, Content)>,
}

impl Record {
    /// What a reader sees.
    pub(crate) fn visible(&self, view: View) -> Option<&Arc<Document>> {
        if let (Some((txn, content)), Some(reader)) = (self.held(), view.txn)
            && *txn == reader
        {
            return content.as_ref();
        }
        if self.newest.0.ts <= view.at {
            return self.newest.1.as_ref();
        }
        self.older().iter().rev().find(|(at, _)| at.ts <= view.at).and_then(|(_, content)| content.as_ref())
    }

    /// The last committed content.
    pub(crate) fn newest(&self) -> Option<&Arc<Document>> {
        self.newest.1.as_ref()
    }

    /// When it was last written.
    pub(crate) fn written(&self) -> OpTime {
        self.newest.0
    }

    /// The transaction that holds it, with what that made of it.
    pub(crate) fn pending(&self) -> Option<(TxnId, Option<&Arc<Document>>)> {
        self.held().map(|(txn, content)| (*txn, content.as_ref()))
    }

    /// A new version.
    pub(super) fn push(&mut self, optime: OpTime, content: Content) {
        if self.newest.0 == optime {
            self.newest.1 = content;
            return;
        }
        let old = std::mem::replace(&mut self.newest, (optime, content));
        if old.0 != OpTime::default() || old.1.is_some() {
            self.more.get_or_insert_default().older.push(old);
        }
    }

    pub(super) fn set_pending(&mut self, txn: TxnId, content: Content) {
        self.more.get_or_insert_default().pending = Some((txn, content));
    }

    pub(super) fn take_pending(&mut self) -> Option<Content> {
        let taken = self.more.as_mut()?.pending.take();
        self.tidy();
        taken.map(|(_, content)| content)
    }

    /// Takes back versions after `optime`. Gives what they held.
    pub(super) fn pop_after(&mut self, optime: OpTime) -> Vec<Arc<Document>> {
        let mut gone = Vec::new();
        while self.newest.0 > optime {
            gone.extend(self.newest.1.take());
            self.newest = self.more.as_mut().and_then(|more| more.older.pop()).unwrap_or_default();
        }
        self.tidy();
        gone
    }

    /// Lets go of versions before the newest one up to `horizon`. Gives what they held.
    pub(super) fn trim(&mut self, horizon: Timestamp) -> Vec<Arc<Document>> {
        let Some(more) = &mut self.more else { return Vec::new() };
        let keep_from = if self.newest.0.ts <= horizon {
            more.older.len()
        } else {
            more.older.iter().rposition(|(at, _)| at.ts <= horizon).unwrap_or(0)
        };
        let gone = more.older.drain(..keep_from).filter_map(|(_, content)| content).collect();
        self.tidy();
        gone
    }

    /// Whether nothing is left of it: gone, and nobody can see that it was there.
    pub(super) fn is_over(&self) -> bool {
        self.newest.1.is_none() && self.more.is_none()
    }

    /// Every content it has, for indexes.
    pub(super) fn contents(&self) -> impl Iterator<Item = &Arc<Document>> {
        let pending = self.held().into_iter().filter_map(|(_, content)| content.as_ref());
        self.older()
            .iter()
            .filter_map(|(_, content)| content.as_ref())
            .chain(self.newest.1.as_ref())
            .chain(pending)
    }

    fn older(&self) -> &[(OpTime, Content)] {
        self.more.as_ref().map_or(&[], |more| &more.older)
    }

    fn held(&self) -> Option<&(TxnId, Content)> {
        self.more.as_ref()?.pending.as_ref()
    }

    fn tidy(&mut self) {
        if self.more.as_ref().is_some_and(|more| more.older.is_empty() && more.pending.is_none()) {
            self.more = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    fn at(n: u32) -> OpTime {
        OpTime::new(1, n, 0)
    }

    fn seen(record: &Record, n: u32) -> Option<i32> {
        let view = View { at: Timestamp { time: n, increment: 0 }, txn: None };
        record.visible(view).map(|d| d.get_i32("v").unwrap())
    }

    #[test]
    fn readers_see_their_version() {
        let mut record = Record::default();
        for n in [2, 4, 6] {
            record.push(at(n), Some(Arc::new(doc! { "v": n as i32 })));
        }
        assert_eq!([1, 2, 3, 4, 9].map(|n| seen(&record, n)), [None, Some(2), Some(2), Some(4), Some(6)]);
        record.trim(at(5).ts);
        assert_eq!([3, 4, 9].map(|n| seen(&record, n)), [None, Some(4), Some(6)]);
        record.pop_after(at(5));
        assert_eq!(seen(&record, 9), Some(4));
        record.push(at(8), None);
        assert_eq!(seen(&record, 9), None);
        record.trim(at(8).ts);
        assert!(record.is_over());
    }
}
