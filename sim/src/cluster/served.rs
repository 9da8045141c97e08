//! A deployment on real loopback sockets, in real time.

use super::builder::Builder;
use super::members::Process;
use super::operator::{body_length, message};
use crate::node::NodeId;
use crate::serve::{Listeners, Served};
use crate::world::ProcessState;
use bson::{Document, doc};
use quorate::ServerAddress;
use quorate_core::{Duration, Instant};
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// A deployment that any program on this machine can connect to. All of it ends when it is dropped.
#[derive(Debug)]
pub struct ServedCluster {
    served: Served<Process>,
    addresses: Vec<ServerAddress>,
    uri: String,
    /// What the operator shows where others log in.
    number: Option<i64>,
}

/// How long the first election, or the answer to an order, may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl ServedCluster {
    pub(super) fn start(builder: &Builder) -> io::Result<Self> {
        let listeners = Listeners::bind(builder.shape.parts().len())?;
        let addresses = listeners.addresses();
        let uri = builder.uri(&addresses);
        let served = listeners.serve(builder.shape.processes(builder.settings_for(&addresses)));
        let cluster = ServedCluster { served, addresses, uri, number: builder.operator() };
        if builder.elect {
            for favourite in builder.shape.favourites() {
                cluster.elect(favourite)?;
            }
        }
        Ok(cluster)
    }

    fn elect(&self, member: usize) -> io::Result<()> {
        let began = std::time::Instant::now();
        while self.reign(member).is_none() {
            if began.elapsed() > PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no primary was elected"));
            }
            self.command(member, doc! { "replSetStepUp": 1 })?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The connection string, for a driver in any language.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Where the members listen.
    pub fn addresses(&self) -> &[ServerAddress] {
        &self.addresses
    }

    /// The primary: of those that take themselves for one and run, the one of the latest term. Not for sharded clusters.
    pub fn primary(&self) -> Option<usize> {
        (0..self.addresses.len()).filter_map(|at| Some((self.reign(at)?, at))).max().map(|(_, at)| at)
    }

    /// The term a member is primary in.
    fn reign(&self, member: usize) -> Option<i64> {
        if self.process(member) == ProcessState::Down {
            return None;
        }
        let reign = |process: &mut Process, _: Instant| match process.as_mongod()?.replica() {
            Some(replica) => replica.is_writable_primary().then(|| replica.term()),
            None => Some(0),
        };
        self.served.operate(node(member), reign).flatten()
    }

    /// What a member's process is doing.
    pub fn process(&self, member: usize) -> ProcessState {
        self.served.state(node(member))
    }

    /// Runs a command on a member's `admin` database; gives the reply, whether it is an error or not.
    ///
    /// # Errors
    /// When the member cannot be reached or does not answer within ten seconds.
    pub fn command(&self, member: usize, command: Document) -> io::Result<Document> {
        let mut stream = TcpStream::connect(self.addresses[member].to_string())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&message(command, self.number)?)?;
        let mut head = [0; 21];
        stream.read_exact(&mut head)?;
        let mut document = vec![0; body_length(&head)?];
        stream.read_exact(&mut document)?;
        bson::deserialize_from_slice(&document).map_err(io::Error::other)
    }

    /// The processes below, for the faults that have no method here.
    pub fn served(&self) -> &Served<Process> {
        &self.served
    }
}

/// Faults; as those of [`Cluster`](super::Cluster).
impl ServedCluster {
    /// Ends a member at once, as SIGKILL does.
    pub fn kill(&self, member: usize) {
        self.served.kill(node(member));
    }

    /// Asks a member to end, as SIGTERM does.
    pub fn terminate(&self, member: usize) {
        self.served.terminate(node(member));
    }

    /// Starts a member that is down, on its port.
    ///
    /// # Errors
    /// When somebody else has taken the port meanwhile.
    pub fn restart(&self, member: usize) -> io::Result<()> {
        self.served.start(node(member))
    }

    /// Stops a member as it is, as SIGSTOP does.
    pub fn hang(&self, member: usize) {
        self.served.hang(node(member));
    }

    /// Lets a hung member go on.
    pub fn resume(&self, member: usize) {
        self.served.resume(node(member));
    }

    /// Cuts a member off from everybody: what is sent is swallowed until [`ServedCluster::heal`].
    pub fn isolate(&self, member: usize) {
        let others: Vec<_> = (0..self.addresses.len()).filter(|at| *at != member).map(node).collect();
        self.served.partition(&[node(member)], &others);
        self.served.cut_clients(node(member));
    }

    /// Cuts a member off from its clients, new ones and those that are there; its peers hear it well.
    pub fn cut_off_clients(&self, member: usize) {
        self.served.cut_clients(node(member));
    }

    /// Cuts two groups of members off from one another. Clients reach all of them.
    pub fn partition(&self, one: &[usize], other: &[usize]) {
        let nodes = |members: &[usize]| members.iter().copied().map(node).collect::<Vec<_>>();
        self.served.partition(&nodes(one), &nodes(other));
    }

    /// Ends every partition.
    pub fn heal(&self) {
        self.served.heal();
    }

    /// Resets every connection between a member and its clients.
    pub fn reset_connections(&self, member: usize) {
        self.served.reset_connections(node(member));
    }

    /// Makes the primary step down, by force, for a minute.
    ///
    /// # Errors
    /// As [`ServedCluster::command`].
    pub fn step_down(&self, member: usize) -> io::Result<Document> {
        self.command(member, doc! { "replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 10, "force": true })
    }
}

fn node(member: usize) -> NodeId {
    NodeId(member as u32)
}
