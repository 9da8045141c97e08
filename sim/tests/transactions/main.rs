//! Transactions in virtual time: the unmodified client on simulated replica sets, sharded clusters and load balancers.

mod failovers;
mod one_set;
mod routed;
mod sessions;

use quorate_sim::bson::{Document, doc};
use quorate_sim::cluster::Builder;
use quorate_sim::quorate::action::Action;
use quorate_sim::quorate::error::{Error, ErrorKind, Result, labels};
use quorate_sim::quorate::event::EventHandler;
use quorate_sim::quorate::event::command::CommandEvent;
use quorate_sim::quorate::options::{ClientOptions, ReadConcern, ReadPreference, WriteConcern};
use quorate_sim::quorate::{Client, ClientSession, Collection};
use quorate_sim::{Cluster, SimRuntime};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Orders = Collection<Document, SimRuntime>;

/// A set of three whose elections take a second, not ten.
fn set(seed: u64) -> Cluster {
    quick(Cluster::replica_set(), seed)
}

fn quick(builder: Builder, seed: u64) -> Cluster {
    let heartbeat = Duration::from_millis(250);
    builder.election_timeout(Duration::from_secs(1)).heartbeat_interval(heartbeat).seed(seed).build()
}

fn orders(client: &Client<SimRuntime>) -> Orders {
    client.database("shop").collection("orders")
}

async fn count(orders: &Orders) -> u64 {
    orders.count_documents(doc! {}).await.expect("a count")
}

/// The commands that a client sent, with where to.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<(String, Document)>>>);

impl Sent {
    async fn client(&self, cluster: &Cluster, more: &str) -> Client<SimRuntime> {
        let between = if cluster.uri().contains('?') { "&" } else { "?" };
        let mut options =
            ClientOptions::parse(format!("{}{between}{more}", cluster.uri())).await.expect("options");
        let sent = self.clone();
        options.command_event_handler = Some(EventHandler::callback(move |event: CommandEvent<Document>| {
            if let CommandEvent::Started(started) = event {
                let to = format!("{}/{}", started.connection.address, started.connection.id);
                sent.0.lock().expect("the lock").push((to, started.command.clone()));
            }
        }));
        Client::on(cluster.runtime(0), options).expect("a client")
    }

    /// Those of that name since this was last asked.
    fn take(&self, name: &str) -> Vec<(String, Document)> {
        let all = std::mem::take(&mut *self.0.lock().expect("the lock"));
        all.into_iter().filter(|(_, command)| command.keys().next().is_some_and(|key| key == name)).collect()
    }

    fn commands(&self, name: &str) -> Vec<Document> {
        self.take(name).into_iter().map(|(_, command)| command).collect()
    }
}

async fn fail(cluster: &Cluster, member: usize, mode: Document, data: Document) {
    let point = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    let reply = cluster.command(member, point).await.expect("an answer");
    assert_eq!(reply.get_f64("ok").ok(), Some(1.0), "{reply}");
}

fn message(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::Transaction { message } | ErrorKind::InvalidArgument { message } => message.clone(),
        other => panic!("{other:?}"),
    }
}
