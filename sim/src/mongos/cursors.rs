//! Cursors: a mongos gives its own ids, and only it knows where they lead.

use super::{Job, Mongos};
use crate::node::NodeId;
use crate::store::Failure;
use bson::{Bson, Document, doc};

/// Where a cursor is.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoutedCursor {
    pub(super) node: NodeId,
    pub(super) shard: usize,
    /// Its id there.
    pub(super) id: i64,
}

impl Mongos {
    /// Puts this mongos' id of a cursor in place of the shard's.
    pub(super) fn adopt_cursor(&mut self, job: &Job, node: NodeId, shard: usize, reply: &mut Document) {
        let Ok(cursor) = reply.get_document_mut("cursor") else { return };
        let Ok(theirs) = cursor.get_i64("id") else { return };
        let known = (job.command.name == "getMore").then(|| job.again_id()).flatten();
        match (theirs, known) {
            (0, Some(own)) => drop(self.cursors.remove(&own)),
            (0, None) => {}
            (_, Some(own)) => drop(cursor.insert("id", own)),
            (_, None) => {
                let own = (self.rng.next_u64() >> 1).max(1) as i64;
                cursor.insert("id", own);
                self.cursors.insert(own, RoutedCursor { node, shard, id: theirs });
            }
        }
    }

    /// The member a `getMore` has to go to; its id is put into the command.
    pub(super) fn cursor_of(&self, job: &mut Job) -> Result<RoutedCursor, Failure> {
        let asked = match job.body.get("getMore") {
            Some(Bson::Int64(id)) => *id,
            Some(other) => return Err(crate::mongod::generic::wrong("getMore.getMore", other, "long")),
            None => 0,
        };
        let found = self.cursors.get(&asked).copied();
        let found = found.ok_or_else(|| Failure::new(43, format!("cursor id {asked} not found")))?;
        job.gathered = vec![doc! { "own": asked }];
        job.body.insert("getMore", found.id);
        Ok(found)
    }

    /// `killCursors`, answered at once; the members are told.
    pub(super) fn kill_cursors(&mut self, job: &Job) -> Result<Document, Failure> {
        let Ok(asked) = job.body.get_array("cursors") else {
            return Err(crate::mongod::generic::missing("killCursors.cursors"));
        };
        let (mut killed, mut unknown) = (Vec::<Bson>::new(), Vec::<Bson>::new());
        for id in asked {
            match id.as_i64().and_then(|id| self.cursors.remove(&id)) {
                Some(cursor) => {
                    let collection = job.body.get("killCursors").cloned().unwrap_or(Bson::Null);
                    let body =
                        doc! { "killCursors": collection, "cursors": [cursor.id], "$db": &job.generic.db };
                    self.ask(cursor.node, body, super::Call::Forgotten);
                    killed.push(id.clone());
                }
                None => unknown.push(id.clone()),
            }
        }
        Ok(
            doc! { "cursorsKilled": killed, "cursorsNotFound": unknown, "cursorsAlive": [], "cursorsUnknown": [] },
        )
    }
}

impl Job {
    /// The id its client knows the cursor of a `getMore` by.
    fn again_id(&self) -> Option<i64> {
        self.gathered.first().and_then(|noted| noted.get_i64("own").ok())
    }
}
