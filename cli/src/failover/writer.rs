//! The application: one write after the other, for ever, as the failover guide has it.

use super::DATABASE;
use super::ledger::{Claims, Ledger};
use super::live::{Live, short};
use super::verify::{Audit, Findings, INSERTS, UPDATES, projection};
use bson::{Document, doc};
use futures::StreamExt;
use quorate::error::Result;
use quorate::options::{ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use quorate::{Client, Collection, Runtime};
use std::time::Duration;

/// The writer and what it writes to.
#[derive(Debug)]
pub(super) struct Writer<R: Runtime> {
    client: Client<R>,
    runtime: R,
    inserts: Collection<Document, R>,
    updates: Collection<Document, R>,
}

impl<R: Runtime> Writer<R> {
    /// `suffix` keeps runs apart that share a deployment.
    pub(super) fn new(client: Client<R>, runtime: R, suffix: &str) -> Self {
        let database = client.database(DATABASE);
        let inserts = database.collection(&format!("{INSERTS}{suffix}"));
        let updates = database.collection(&format!("{UPDATES}{suffix}"));
        Writer { client, runtime, inserts, updates }
    }

    /// The names of the collections, for the user.
    pub(super) fn places(&self) -> String {
        format!("{} and {}", self.inserts.namespace(), self.updates.namespace())
    }

    /// Writes until the ledger is closed. An error leaves the outcome of its write unknown; the next one is tried all the
    /// same.
    pub(super) async fn write_for_ever(&self, ledger: &Ledger, live: &Live, pause: Duration) {
        while let Some(number) = ledger.begin(self.runtime.now()) {
            match self.write(number).await {
                Ok(()) => ledger.acknowledged(self.runtime.now()),
                Err(error) => {
                    ledger.failed();
                    live.line(&format!("ERROR: write {number}: {}", short(&error.to_string())));
                }
            }
            if !pause.is_zero() {
                self.runtime.sleep_until(self.runtime.now() + pause).await;
            }
        }
    }

    async fn write(&self, number: u64) -> Result<()> {
        let n = i64::try_from(number).unwrap_or(i64::MAX);
        if number.is_multiple_of(2) {
            self.inserts.insert_one(doc! { "n": n }).await?;
        } else {
            let once_more = doc! { "$inc": { "applied": 1 } };
            self.updates.update_one(doc! { "_id": n }, once_more).upsert(true).await?;
        }
        Ok(())
    }

    /// Reads everything back through the driver itself, from the primary, as a majority has it.
    pub(super) async fn read_back(&self, claims: Claims) -> Result<Findings> {
        // What was acknowledged with less than a majority may still be on its way there; after this it has arrived. (No
        // number is negative.)
        self.updates
            .update_one(doc! { "_id": -1 }, doc! { "$inc": { "applied": 1 } })
            .upsert(true)
            .write_concern(WriteConcern::majority())
            .await?;
        let mut audit = Audit::new(claims);
        for collection in [&self.inserts, &self.updates] {
            let mut cursor = collection
                .find(doc! {})
                .projection(projection())
                .read_concern(ReadConcern::majority())
                .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
                .await?;
            while let Some(document) = cursor.next().await {
                audit.see(&document?);
            }
        }
        Ok(audit.finish())
    }

    /// Removes what was written.
    pub(super) async fn clean_up(&self) -> Result<()> {
        self.inserts.drop().await?;
        self.updates.drop().await
    }

    /// Ends the client.
    pub(super) async fn shutdown(self) {
        self.client.shutdown().await;
    }
}
