//! What the director asks of a set of our own, and tells it, by commands to its members.

use super::DATABASE;
use super::deployment::{Deployment, MEMBERS};
use super::line::{Line, LineError};
use super::probe;
use bson::{Document, doc, oid::ObjectId};
use futures::future::join_all;
use quorate::{Instant, Runtime};
use std::time::Duration;

/// How long a command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// How long a member may take to say who it is.
const HELLO_LIMIT: Duration = Duration::from_secs(2);
/// How long a set may take to have a primary, or everybody back and caught up.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);

/// The operator of a deployment.
#[derive(Debug)]
pub(super) struct Operator<'a, D> {
    pub(super) deployment: &'a D,
}

impl<D: Deployment> Operator<'_, D> {
    pub(super) fn now(&self) -> Instant {
        self.deployment.runtime().now()
    }

    pub(super) async fn sleep(&self, span: Duration) {
        self.deployment.runtime().sleep_until(self.now() + span).await;
    }

    /// A connection to a member.
    pub(super) async fn line(&self, member: usize) -> Result<Line<D::Runtime>, LineError> {
        let address = self.deployment.direct_address(member);
        Line::open(self.deployment.runtime(), self.deployment.door(), &address, COMMAND_LIMIT).await
    }

    /// Runs a command on a member, over a connection of its own.
    pub(super) async fn command(
        &self,
        member: usize,
        db: &str,
        command: Document,
    ) -> Result<Document, LineError> {
        self.line(member).await?.run(db, command).await
    }

    async fn hello(&self, member: usize) -> Option<Document> {
        let address = self.deployment.direct_address(member);
        let (runtime, door) = (self.deployment.runtime(), self.deployment.door());
        // Whoever it is may ask this.
        let mut line = Line::dial(runtime, door, &address, HELLO_LIMIT).await.ok()?;
        line.run("admin", doc! { "hello": 1 }).await.ok()
    }

    async fn hellos(&self) -> Vec<Option<Document>> {
        join_all((0..MEMBERS).map(|member| self.hello(member))).await
    }

    /// The primary; waits until there is one.
    pub(super) async fn wait_for_primary(&self) -> Result<usize, String> {
        let end = self.now() + PATIENCE;
        loop {
            match primary(&self.hellos().await) {
                Some(primary) => return Ok(primary),
                None if self.now() > end => return Err(format!("no primary after {PATIENCE:?}")),
                None => self.sleep(POLL).await,
            }
        }
    }

    /// Makes the collections that are written to.
    pub(super) async fn create(&self, collections: &[&str]) -> Result<(), String> {
        let primary = self.wait_for_primary().await?;
        for collection in collections {
            let create = doc! { "create": *collection, "writeConcern": { "w": "majority" } };
            let created = self.command(primary, DATABASE, create).await;
            created.map_err(|e| format!("creating {collection}: {e}"))?;
        }
        Ok(())
    }

    /// Whether every member serves, and has everything that was written until now. Asked again until it says so.
    pub(super) async fn is_whole(&self) -> Result<(), String> {
        let hellos = self.hellos().await;
        if !hellos.iter().all(|hello| hello.as_ref().is_some_and(serves)) {
            return Err("not everybody serves".into());
        }
        let primary = primary(&hellos).ok_or("there is no primary")?;
        let everybody = i32::try_from(MEMBERS).unwrap_or(i32::MAX);
        let note = doc! {
            "insert": probe::COLLECTION, "documents": [{ "healed": true }],
            "writeConcern": { "w": everybody, "wtimeout": 5_000 },
        };
        match self.command(primary, DATABASE, note).await {
            Ok(_) => Ok(()),
            Err(why) => Err(format!("the members do not catch up: {why}")),
        }
    }
}

fn serves(hello: &Document) -> bool {
    ["secondary", "isWritablePrimary"].iter().any(|field| hello.get_bool(field).unwrap_or(false))
}

/// Where two claim to be primary, the later elected.
fn primary(hellos: &[Option<Document>]) -> Option<usize> {
    let reign = |hello: &Document| -> Option<Option<ObjectId>> {
        hello.get_bool("isWritablePrimary").unwrap_or(false).then(|| hello.get_object_id("electionId").ok())
    };
    let reigns =
        hellos.iter().enumerate().filter_map(|(member, hello)| Some((reign(hello.as_ref()?)?, member)));
    reigns.max().map(|(_, member)| member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_primaries_the_later_elected_counts() {
        let claims = |term: u8| {
            let id = ObjectId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, term]);
            Some(doc! { "isWritablePrimary": true, "electionId": id })
        };
        let secondary = Some(doc! { "isWritablePrimary": false, "secondary": true });
        assert_eq!(primary(&[claims(7), secondary.clone(), claims(3)]), Some(0));
        assert_eq!(primary(&[claims(7), None, claims(8)]), Some(2));
        assert_eq!(primary(&[secondary, None]), None);
    }
}
