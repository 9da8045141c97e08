//! The process as the world sees it.

use super::{Due, Mongos, Stage};
use crate::balancer::Relay;
use crate::mongod::{Message, Route};
use crate::node::{ConnId, Node, NodeId, NodeOutput};
use crate::repl::wall_millis;
use quorate_core::Instant;

impl Node for Mongos {
    type Message = Message;

    fn handle_start(&mut self, now: Instant) {
        let seconds = u32::try_from(wall_millis(now) / 1000).unwrap_or(0).to_be_bytes();
        let drawn = self.rng.next_u64().to_be_bytes();
        self.version.process_id = std::array::from_fn(|i| if i < 4 { seconds[i] } else { drawn[i - 4] });
        self.version.counter = 0;
        self.running = true;
        self.next.connection = 1;
        self.check_all(now);
    }

    fn handle_crash(&mut self, _now: Instant) {
        self.lose_memory();
    }

    fn handle_terminate(&mut self, _now: Instant) {
        if !self.running {
            return;
        }
        let open: Vec<ConnId> = self.clients.keys().copied().collect();
        open.into_iter().for_each(|conn| self.close(conn));
        let closing = std::mem::take(&mut self.out);
        self.lose_memory();
        let closes = |o: &NodeOutput<Message>| {
            matches!(o, NodeOutput::Close(_) | NodeOutput::Message { message: Message::Relay(_), .. })
        };
        self.out.extend(closing.into_iter().filter(closes));
        self.out.push_back(NodeOutput::Exit);
    }

    fn handle_open(&mut self, _now: Instant, conn: ConnId) {
        self.open(conn, None);
    }

    fn handle_bytes(&mut self, now: Instant, conn: ConnId, bytes: &[u8]) {
        self.push(conn, bytes);
        self.settle(now);
    }

    fn handle_close(&mut self, now: Instant, conn: ConnId) {
        self.forget(conn);
        self.settle(now);
    }

    fn handle_message(&mut self, now: Instant, from: NodeId, message: Message) {
        match message {
            Message::Route(Route::Reply { call, body }) => self.answered(now, call, body),
            Message::Relay(Relay::Open(conn)) => self.open(conn, Some(from)),
            Message::Relay(Relay::Bytes(conn, bytes)) if self.clients.contains_key(&conn) => {
                self.push(conn, &bytes)
            }
            Message::Relay(Relay::Bytes(conn, _)) => {
                // A connection of the process before this one.
                self.out
                    .push_back(NodeOutput::Message { to: from, message: Message::Relay(Relay::Close(conn)) });
            }
            Message::Relay(Relay::Close(conn)) => drop(self.forget(conn)),
            // This is no member of a set, and no shard.
            Message::Repl(_) | Message::Route(Route::Command { .. }) => {}
        }
        self.settle(now);
    }

    fn handle_unreachable(&mut self, now: Instant, node: NodeId) {
        self.lost_member(now, node);
        self.lost_jobs(now, node);
        let through: Vec<ConnId> =
            self.clients.iter().filter(|(_, c)| c.via == Some(node)).map(|(conn, _)| *conn).collect();
        for conn in through {
            self.forget(conn);
            // The news may be old, and of a balancer that has been started again since: it would wait for ever.
            self.out.push_back(NodeOutput::Message { to: node, message: Message::Relay(Relay::Close(conn)) });
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, due)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, due));
            match due {
                Due::Check { shard, member } => self.check_due(now, shard, member),
                Due::Job(id) => self.ring(now, id),
            }
        }
        self.settle(now);
    }

    fn poll_output(&mut self) -> Option<NodeOutput<Message>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at).filter(|_| self.running)
    }
}

impl Mongos {
    fn settle(&mut self, now: Instant) {
        loop {
            if let Some(id) = self.again.pop_front() {
                self.look_again(now, id);
            } else if let Some(conn) = self.ready.pop_front() {
                self.read_on(now, conn);
            } else {
                return;
            }
        }
    }

    /// Something happened that a job has waited for.
    fn look_again(&mut self, now: Instant, id: u64) {
        let until = self.jobs.get(&id).and_then(|job| job.timer);
        let Some(mut job) = self.take(id) else { return };
        match job.stage {
            Stage::Searching { shard } => {
                // The search goes on until the same moment.
                job.timer = until;
                self.visit(now, id, job, shard);
            }
            Stage::Working => self.begin(now, id, job),
            _ => {
                job.timer = until;
                self.keep(id, job);
            }
        }
    }

    fn ring(&mut self, now: Instant, id: u64) {
        let Some(mut job) = self.take(id) else { return };
        match std::mem::replace(&mut job.stage, Stage::Working) {
            Stage::Working => self.begin(now, id, job),
            Stage::Blocked(strike) => self.struck(now, id, job, strike),
            Stage::Change => self.answer_hello(now, id, job),
            Stage::Searching { shard } => self.nobody(now, id, job, shard),
            Stage::Asking { call, .. } => {
                self.calls.remove(&call);
                let failure = match job.deadline {
                    Some(_) => crate::store::Failure::new(50, "operation exceeded time limit"),
                    None => crate::store::Failure::new(202, "Request timed out: no answer from the shard"),
                };
                self.fail(now, id, job, &failure);
            }
            Stage::Answered { bytes, again } => self.deliver(id, job, bytes, again),
        }
    }

    fn lose_memory(&mut self) {
        self.running = false;
        self.clients.clear();
        self.tls.clear();
        self.jobs.clear();
        self.calls.clear();
        self.timers.clear();
        self.ready.clear();
        self.again.clear();
        self.out.clear();
        self.transactions.clear();
        self.cursors.clear();
        self.fail = crate::mongod::failpoint::FailCommand::default();
        self.cluster_time = quorate_core::raw::Timestamp::default();
        for shard in &mut self.shards {
            let settings = super::ShardSettings {
                name: std::mem::take(&mut shard.name),
                members: shard.members.iter().map(|member| member.node).collect(),
            };
            *shard = super::shards::Shard::new(settings);
        }
    }
}
