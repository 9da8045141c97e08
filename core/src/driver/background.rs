//! What goes on without the application: discovery, monitoring, filling and emptying pools.

use super::server::Server;
use super::{ConnectionId, Driver, Output, Role, ServerId};
use crate::HelloReply;
use crate::error::{Error, ErrorKind, IoErrorKind};
use crate::event::Event;
use crate::event::sdam::{
    SdamEvent, ServerHeartbeatFailedEvent, ServerHeartbeatStartedEvent, ServerHeartbeatSucceededEvent,
};
use crate::monitor::{Heartbeat, HelloFacts, MonitorOutput, RttOutput};
use crate::pool::{PoolOutput, add_backpressure_labels};
use crate::sdam::{ServerDescription, ServerType, TopologyOutput};
use crate::shared::Arc;
use crate::{Duration, Instant, ServerAddress};
use alloc::vec::Vec;

/// A replaced primary has this many of its usual round trips to show that it is alive ...
const GRACE_ROUND_TRIPS: u32 = 4;
/// ... but at least this long: scheduling noise on a busy host is of the order of milliseconds ...
const SHORTEST_GRACE: Duration = Duration::from_millis(20);
/// ... and no longer than this, however slow it used to be.
const LONGEST_GRACE: Duration = Duration::from_secs(5);

impl Driver {
    /// A connection that [`Output::Connect`] asked for is open and its handshake done. `round_trip` is how long its hello
    /// took, without opening and authenticating.
    ///
    /// Its cluster time is not taken over, nor that of any other hello: it may come from another replica set that answers under
    /// this one's name (driver sessions specification, "Do not gossip on SDAM commands").
    pub fn handle_established(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        hello: &HelloReply,
        round_trip: Duration,
    ) {
        let Some(server) = self.servers.get_mut(connection.server) else { return };
        let facts = HelloFacts { topology_version: hello.topology_version, hello_ok: hello.hello_ok };
        match connection.role {
            Role::Pool(id) => {
                server.pool.handle_hello(id, hello.service_id);
                server.pool.handle_established(now, id, hello.service_id);
            }
            Role::Monitor(number) => {
                if let Some(watch) = server.watch.as_mut().filter(|w| w.monitor_connections == number) {
                    watch.reply = Some(hello.clone());
                    watch.monitor.handle_connected(now, facts, round_trip);
                }
            }
            Role::Rtt(number) => {
                if let Some(watch) = server.watch.as_mut().filter(|w| w.rtt_connections == number) {
                    watch.rtt.handle_connected(now, facts, round_trip);
                }
            }
        }
        self.servers.mark(connection.server);
        self.pump(now);
    }

    /// The hello of a pool's connection was answered, and authentication follows: a failure from now on is no sign of an
    /// overloaded server, and behind a load balancer it concerns one service.
    pub fn handle_greeted(&mut self, connection: ConnectionId, service_id: Option<[u8; 12]>) {
        let Some(server) = self.servers.get_mut(connection.server) else { return };
        if let Role::Pool(id) = connection.role {
            server.pool.handle_hello(id, service_id);
        }
    }

    /// A monitoring connection has received a reply to [`Output::Send`]; `more_to_come` says that the server will send
    /// another unasked.
    pub fn handle_reply(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        hello: &HelloReply,
        more_to_come: bool,
    ) {
        let Some(watch) = self.servers.get_mut(connection.server).and_then(|s| s.watch.as_mut()) else {
            return;
        };
        let facts = HelloFacts { topology_version: hello.topology_version, hello_ok: hello.hello_ok };
        match connection.role {
            Role::Monitor(number) if number == watch.monitor_connections => match hello.error() {
                Some(error) => watch.monitor.handle_failed(now, error),
                None => {
                    watch.reply = Some(hello.clone());
                    watch.monitor.handle_reply(now, facts, more_to_come);
                }
            },
            Role::Rtt(number) if number == watch.rtt_connections => match hello.error() {
                Some(_) => watch.rtt.handle_failed(now),
                None => watch.rtt.handle_reply(now, facts),
            },
            _ => return,
        }
        self.servers.mark(connection.server);
        self.pump(now);
    }

    /// A connection could not be opened, or failed, while no operation was using it. (One that fails under an operation is
    /// reported by [`Driver::finish`].)
    pub fn handle_failed(&mut self, now: Instant, connection: ConnectionId, error: Error) {
        let Some(server) = self.servers.get_mut(connection.server) else { return };
        let error =
            if error.server_address().is_some() { error } else { error.with_server(server.address.clone()) };
        match connection.role {
            Role::Pool(id) if server.pool.is_pending(id) => {
                let mut error = error;
                // Where nothing listens nothing is overloaded: that server is marked Unknown at once.
                if !matches!(&*error.kind, ErrorKind::Io(io) if io.kind == IoErrorKind::Connect) {
                    add_backpressure_labels(&mut error, server.pool.is_greeted(id));
                }
                if let Some((address, mut app_error)) = self.app_error(connection, &error) {
                    app_error.before_handshake = true;
                    self.topology.handle_app_error(now, &address, &app_error);
                }
                self.establishing = Some((connection.server, id));
                self.pump(now);
                if self.establishing.take().is_some()
                    && let Some(server) = self.servers.get_mut(connection.server)
                {
                    server.pool.handle_connect_failed(now, id, error);
                }
            }
            Role::Pool(id) => server.pool.handle_closed(now, id),
            Role::Monitor(number) => {
                if let Some(watch) = server.watch.as_mut().filter(|w| w.monitor_connections == number) {
                    watch.monitor.handle_failed(now, error);
                }
            }
            Role::Rtt(number) => {
                if let Some(watch) = server.watch.as_mut().filter(|w| w.rtt_connections == number) {
                    watch.rtt.handle_failed(now);
                }
            }
        }
        self.servers.mark(connection.server);
        self.pump(now);
    }

    /// Carries what the machines have to say to one another until all are quiet: the topology's outputs first, as a
    /// description is published before a pool is cleared, then one server after the other.
    pub(super) fn pump(&mut self, now: Instant) {
        let mut moved = false;
        loop {
            if let Some(output) = self.topology.poll_output() {
                moved = true;
                self.topology_says(now, output);
            } else if let Some(id) = self.servers.next_marked() {
                moved = true;
                self.server_says(now, id);
            } else if core::mem::take(&mut self.servers.selection_due) {
                self.retry_selection(now);
            } else {
                break;
            }
        }
        if moved {
            self.next_deadline = self.servers.poll_timeout();
        }
    }

    fn topology_says(&mut self, now: Instant, output: TopologyOutput) {
        match output {
            TopologyOutput::Event(event) => {
                if self.options.events.sdam {
                    self.outputs.push_back(Output::Event(Event::Sdam(event)));
                }
            }
            TopologyOutput::ServerAdded(address) => self.add_server(now, address),
            TopologyOutput::ServerRemoved(address) => self.remove_server(now, &address),
            TopologyOutput::ClearPool { address, service_id, interrupt_in_use, cause } => {
                self.clear_pool(now, &address, service_id, interrupt_in_use, &cause);
            }
            TopologyOutput::PoolReady(address) => {
                if let Some(id) = self.servers.id_of(&address)
                    && let Some(server) = self.servers.get_mut(id)
                {
                    server.pool.ready(now);
                    self.servers.mark(id);
                }
            }
            TopologyOutput::RequestCheck(address) => {
                if let Some(id) = self.servers.id_of(&address)
                    && let Some(server) = self.servers.get_mut(id)
                {
                    server.request_check(now);
                    self.servers.mark(id);
                }
            }
            TopologyOutput::CancelCheck(address) => {
                if let Some(id) = self.servers.id_of(&address)
                    && let Some(watch) = self.servers.get_mut(id).and_then(|server| server.watch.as_mut())
                {
                    watch.monitor.cancel_check(now);
                    self.servers.mark(id);
                }
            }
            TopologyOutput::StalePrimary(address) => self.doubt(now, &address),
            TopologyOutput::Changed => {
                let description = self.topology.description().clone();
                self.servers.describe(&description);
                self.snapshot.publish(&description);
                self.session_timeout = description
                    .logical_session_timeout_minutes
                    .and_then(|minutes| u64::try_from(minutes).ok())
                    .map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
                self.servers.selection_due = true;
            }
        }
    }

    fn add_server(&mut self, now: Instant, address: ServerAddress) {
        let known = self.topology.description().server(&address).cloned();
        let description = known.unwrap_or_else(|| Arc::new(ServerDescription::unknown(address.clone())));
        let options = &self.options;
        let id = self.servers.add(|id| Server::new(id, address, description, options));
        if let Some(watch) = self.servers.get_mut(id).and_then(|server| server.watch.as_mut()) {
            watch.monitor.start(now);
        }
        let description = self.topology.description().clone();
        self.servers.describe(&description);
        self.servers.mark(id);
    }

    fn remove_server(&mut self, now: Instant, address: &ServerAddress) {
        let Some(id) = self.servers.id_of(address) else { return };
        if let Some(server) = self.servers.get_mut(id) {
            server.interrupted_because = "the server left the deployment";
            if let Some(watch) = &mut server.watch {
                watch.monitor.close(now);
                watch.rtt.stop();
            }
            // Nobody watches it any more, so nobody would notice if what is in flight there hung.
            let cause = ErrorKind::Interrupted { message: server.interrupted_because.into() };
            server.pool.clear(now, None, true, &cause.into());
            server.pool.close(now);
        }
        self.server_says(now, id);
        self.servers.remove(id);
        let description = self.topology.description().clone();
        self.servers.describe(&description);
    }

    fn clear_pool(
        &mut self,
        now: Instant,
        address: &ServerAddress,
        service_id: Option<[u8; 12]>,
        interrupt_in_use: bool,
        error: &Error,
    ) {
        let establishing = self.establishing;
        let Some(id) = self.servers.id_of(address) else { return };
        let Some(server) = self.servers.get_mut(id) else { return };
        server.interrupted_because = match *error.kind {
            ErrorKind::Interrupted { .. } | ErrorKind::StalePrimary { .. } => {
                "a newer primary has replaced this server, which no longer answers"
            }
            _ => "the server's monitor lost it",
        };
        match establishing {
            // One step, so that the failure itself is told to whoever waited for that very connection.
            Some((failed, connection)) if failed == id => {
                self.establishing = None;
                server.pool.handle_connect_failed_and_clear(now, connection, error);
            }
            _ => server.pool.clear(now, service_id, interrupt_in_use, error),
        }
        self.servers.mark(id);
    }

    /// A newer primary has replaced the one at `address`. Does it still answer? If it does not within a few of its usual
    /// round trips, what waits for it waits in vain.
    fn doubt(&mut self, now: Instant, address: &ServerAddress) {
        let Some(id) = self.servers.id_of(address) else { return };
        let interrupt = self.options.interrupt_stale_primary && !mistaken!(self.options, HungPrimaryKept);
        let Some(server) = self.servers.get_mut(id) else { return };
        server.request_check(now);
        let Some(watch) = server.watch.as_mut().filter(|_| interrupt) else { return };
        // Not the average: one hello that was held up, by a busy start or an earlier fault, would lengthen it for minutes.
        let usual = watch.average.shortest().unwrap_or_default();
        let grace = (usual * GRACE_ROUND_TRIPS).clamp(SHORTEST_GRACE, LONGEST_GRACE);
        watch.rtt.probe(now, now + grace);
        self.servers.mark(id);
    }

    /// Drains one server's machines.
    fn server_says(&mut self, now: Instant, id: ServerId) {
        while let Some(watch) = self.servers.get_mut(id).and_then(|server| server.watch.as_mut()) {
            if let Some(output) = watch.monitor.poll_output() {
                self.monitor_says(now, id, output);
            } else if let Some(output) = watch.rtt.poll_output() {
                self.rtt_says(now, id, output);
            } else if watch.follow_stream(now) {
                continue;
            } else {
                break;
            }
        }
        while let Some(output) = self.servers.get_mut(id).and_then(|server| server.pool.poll_output()) {
            self.pool_says(now, id, output);
        }
    }

    fn monitor_says(&mut self, now: Instant, id: ServerId, output: MonitorOutput) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let Some(watch) = &mut server.watch else { return };
        let connection = ConnectionId { server: id, role: Role::Monitor(watch.monitor_connections) };
        match output {
            MonitorOutput::Connect => {
                watch.monitor_connections += 1;
                let connection = ConnectionId { server: id, role: Role::Monitor(watch.monitor_connections) };
                let address = server.address.clone();
                self.outputs.push_back(Output::Connect { connection, address });
            }
            MonitorOutput::Close => self.outputs.push_back(Output::Close { connection }),
            MonitorOutput::Send(request) => self.outputs.push_back(Output::Send { connection, request }),
            MonitorOutput::Sample(round_trip) => watch.average.add_sample(round_trip),
            MonitorOutput::Checked => {
                let Some(reply) = watch.reply.take() else { return };
                let (average, shortest) = (watch.average.average(), watch.average.min());
                let address = server.address.clone();
                let refreshed = self.topology.handle_hello(now, &address, &reply, average, shortest);
                self.refresh(id, refreshed);
                self.keep_looking(now, id);
            }
            MonitorOutput::CheckFailed(error) => {
                watch.average.reset();
                watch.rtt.stop();
                let address = server.address.clone();
                self.topology.handle_check_failed(now, &address, error);
                self.keep_looking(now, id);
            }
            MonitorOutput::Heartbeat(heartbeat) => {
                let lost = mistaken!(self.options, HeartbeatWithoutEnd)
                    && matches!(heartbeat, Heartbeat::Failed { .. });
                if self.options.events.sdam && !lost {
                    let connection_number = watch.monitor_connections;
                    let event = heartbeat_event(server, heartbeat, connection_number);
                    self.outputs.push_back(Output::Event(Event::Sdam(event)));
                }
            }
        }
    }

    /// While operations wait for a server, every check that ends asks for the next ("Requesting an immediate check").
    fn keep_looking(&mut self, now: Instant, id: ServerId) {
        if self.waiters.anybody_wants_a_server()
            && let Some(server) = self.servers.get_mut(id)
        {
            server.request_check(now);
        }
    }

    /// Takes over what has quietly changed in one server's description: its round trips, its last write. Whoever waits
    /// for a server does not gain by it.
    fn refresh(&mut self, id: ServerId, refreshed: Option<Arc<ServerDescription>>) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let topology = self.topology.description();
        let Some(description) = refreshed.or_else(|| topology.server(&server.address).cloned()) else {
            return;
        };
        if !Arc::ptr_eq(&server.description, &description) {
            server.describe(&description);
            self.snapshot.update_at(server.index, description);
        }
    }

    fn rtt_says(&mut self, now: Instant, id: ServerId, output: RttOutput) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let Some(watch) = &mut server.watch else { return };
        let connection = ConnectionId { server: id, role: Role::Rtt(watch.rtt_connections) };
        match output {
            RttOutput::Connect => {
                watch.rtt_connections += 1;
                let connection = ConnectionId { server: id, role: Role::Rtt(watch.rtt_connections) };
                let address = server.address.clone();
                self.outputs.push_back(Output::Connect { connection, address });
            }
            RttOutput::Close => self.outputs.push_back(Output::Close { connection }),
            RttOutput::Send(request) => self.outputs.push_back(Output::Send { connection, request }),
            RttOutput::Sample(round_trip) => {
                watch.average.add_sample(round_trip);
                let (average, shortest) = (watch.average.average(), watch.average.min());
                let address = server.address.clone();
                let refreshed = self.topology.handle_rtt(now, &address, average, shortest);
                self.refresh(id, refreshed);
            }
            RttOutput::ProbeAnswered => {}
            RttOutput::ProbeFailed => {
                let because = "a newer primary has replaced this server, which no longer answers";
                let cause = ErrorKind::Interrupted { message: because.into() };
                // It has answered its monitor since: it is slow, not gone.
                if server.description.server_type != ServerType::Unknown {
                    return;
                }
                let address = server.address.clone();
                self.topology.handle_hung(now, &address, cause.into());
            }
        }
    }

    fn pool_says(&mut self, now: Instant, id: ServerId, output: PoolOutput) {
        let connection = |conn| ConnectionId { server: id, role: Role::Pool(conn) };
        match output {
            PoolOutput::Connect { conn, .. } => {
                let Some(server) = self.servers.get(id) else { return };
                let address = server.address.clone();
                self.outputs.push_back(Output::Connect { connection: connection(conn), address });
            }
            PoolOutput::Close { conn, .. } => {
                self.outputs.push_back(Output::Close { connection: connection(conn) });
            }
            PoolOutput::Interrupt { conn } => {
                self.outputs.push_back(Output::Interrupt { connection: connection(conn) });
            }
            PoolOutput::CheckedOut { token, conn } => self.connection_ready(now, id, token, conn),
            PoolOutput::CheckOutFailed { token, error, .. } => self.connection_denied(now, id, token, error),
            PoolOutput::Event(event) => self.outputs.push_back(Output::Event(Event::Cmap(event))),
        }
    }
}

fn heartbeat_event(server: &Server, heartbeat: Heartbeat, connection: u32) -> SdamEvent {
    let server_address = server.address.clone();
    let driver_connection_id = connection;
    let reply = server.watch.as_ref().and_then(|watch| watch.reply.as_ref());
    let server_connection_id = reply.and_then(|reply| reply.connection_id);
    match heartbeat {
        Heartbeat::Started { awaited } => ServerHeartbeatStartedEvent {
            server_address,
            awaited,
            driver_connection_id,
            server_connection_id,
        }
        .into(),
        Heartbeat::Succeeded { awaited, duration } => ServerHeartbeatSucceededEvent {
            duration,
            reply: Vec::new(),
            server_address,
            awaited,
            driver_connection_id,
            server_connection_id,
        }
        .into(),
        Heartbeat::Failed { awaited, duration, error } => ServerHeartbeatFailedEvent {
            duration,
            failure: error,
            server_address,
            awaited,
            driver_connection_id,
            server_connection_id,
        }
        .into(),
    }
}
