//! What was done, in the order it was: taken back after a failover, forgotten once it can be no more.

use super::{CollectionId, Data, Index, RecordId};
use quorate_core::concern::OpTime;
use quorate_core::raw::Timestamp;

/// One thing done.
#[derive(Debug)]
pub(super) enum Undo {
    /// A document was written.
    Write(CollectionId, RecordId),
    /// A collection was made.
    Create(CollectionId),
    /// A collection was dropped.
    Drop(CollectionId),
    /// An index was made.
    MakeIndex(CollectionId, String),
    /// An index was dropped.
    DropIndex(CollectionId, Box<Index>),
}

impl Data {
    pub(super) fn take_back(&mut self, undo: Undo, optime: OpTime) {
        match undo {
            Undo::Write(id, record) => {
                if let Some(collection) = self.collections.get_mut(&id) {
                    collection.roll_back(record, optime);
                }
            }
            Undo::Create(id) => self.remove(id),
            Undo::Drop(id) => {
                if let Some(collection) = self.collections.get_mut(&id) {
                    collection.undrop();
                }
            }
            Undo::MakeIndex(id, name) => {
                if let Some(collection) = self.collections.get_mut(&id) {
                    collection.remove_index(&name);
                }
            }
            Undo::DropIndex(id, index) => {
                if let Some(collection) = self.collections.get_mut(&id) {
                    collection.add_index(index.spec);
                }
            }
        }
    }

    pub(super) fn forget(&mut self, undo: Undo, horizon: Timestamp) {
        match undo {
            Undo::Write(id, record) => {
                if let Some(collection) = self.collections.get_mut(&id) {
                    collection.trim(record, horizon);
                }
            }
            // Made again since, it would be there with a drop of its own still to forget.
            Undo::Drop(id) => self.remove(id),
            Undo::Create(_) | Undo::MakeIndex(..) | Undo::DropIndex(..) => {}
        }
    }
}
