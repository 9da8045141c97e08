//! The process as the world sees it: starting, ending, bytes, messages, time.

use super::op::Stage;
use super::{Message, Mongod, Route};
use crate::node::{ConnId, Node, NodeId, NodeOutput};
use crate::repl::wall_millis;
use quorate_core::{Duration, Instant};

impl Node for Mongod {
    type Message = Message;

    fn handle_start(&mut self, now: Instant) {
        let seed = self.rng.next_u64().to_be_bytes();
        // An ObjectId as the real server makes it: seconds, then what is drawn.
        let seconds = u32::try_from(wall_millis(now) / 1000).unwrap_or(0).to_be_bytes();
        self.process.version.process_id = std::array::from_fn(|i| match i {
            0..4 => seconds[i],
            _ => seed[i - 4],
        });
        self.process.version.counter = 0;
        self.process.started = now;
        self.process.running = true;
        (self.process.ending, self.process.leaving) = (false, false);
        (self.process.next_op, self.process.next_connection, self.process.next_request) = (1, 1, 1);
        if let Some(member) = &mut self.member {
            member.handle_start(now);
        }
        self.settle(now);
    }

    fn handle_crash(&mut self, now: Instant) {
        let durable = self.survivors(now);
        self.lose_memory();
        self.store.crash(durable);
        self.alone.last = durable;
    }

    fn handle_terminate(&mut self, now: Instant) {
        if !self.process.running || self.process.ending {
            return;
        }
        self.process.ending = true;
        match &mut self.member {
            Some(member) => member.handle_shutdown(now),
            None => self.exit(now),
        }
        self.settle(now);
    }

    fn handle_open(&mut self, now: Instant, conn: ConnId) {
        let _ = now;
        let number = self.process.next_connection;
        self.process.next_connection += 1;
        self.conns.insert(conn, super::conn::Conn::new(number));
    }

    fn handle_bytes(&mut self, now: Instant, conn: ConnId, bytes: &[u8]) {
        if let Some(open) = self.conns.get_mut(&conn) {
            let received = self.tls.receive(conn, bytes);
            open.push(&received.content);
            self.ready.push_back(conn);
            if !received.answer.is_empty() {
                self.out.push_back(NodeOutput::Send { conn, bytes: received.answer });
            }
            if received.broken {
                self.close(conn);
            }
            self.settle(now);
        }
    }

    fn handle_close(&mut self, now: Instant, conn: ConnId) {
        self.forget_connection(conn);
        self.tls.close(conn);
        self.settle(now);
    }

    fn handle_message(&mut self, now: Instant, from: NodeId, message: Message) {
        match message {
            Message::Repl(message) => {
                if let Some(member) = &mut self.member {
                    member.handle_message(now, from, message);
                }
            }
            Message::Route(Route::Command { call, body }) => self.handle_routed(now, from, call, body),
            // This is no mongos: it has asked nobody, and nobody is forwarded to it.
            Message::Route(Route::Reply { .. }) | Message::Relay(_) => {}
        }
        self.settle(now);
    }

    fn handle_unreachable(&mut self, now: Instant, node: NodeId) {
        if let Some(member) = &mut self.member {
            member.handle_unreachable(now, node);
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if !self.process.running {
            return;
        }
        if let Some(member) = &mut self.member
            && member.poll_timeout().is_some_and(|at| at <= now)
        {
            member.handle_timeout(now);
        }
        if self.store.next_expiry().is_some_and(|at| at <= wall_millis(now)) {
            self.store.expire(wall_millis(now));
        }
        while let Some((_, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.ring(now, id);
        }
        self.settle(now);
    }

    fn poll_output(&mut self) -> Option<NodeOutput<Message>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if !self.process.running {
            return None;
        }
        let expiry = self.store.next_expiry().map(instant_of);
        let times = [
            self.timers.first().map(|(at, _)| *at),
            self.member.as_ref().and_then(|member| member.poll_timeout()),
            expiry,
        ];
        times.into_iter().flatten().min()
    }
}

/// When the wall clock shows this millisecond.
fn instant_of(wall: i64) -> Instant {
    let since = wall.saturating_sub(wall_millis(Instant::ZERO));
    Instant::ZERO + Duration::from_millis(u64::try_from(since).unwrap_or(0))
}

impl Mongod {
    /// Works until nothing can be done without the world: what was read leads to replies, those to more reading, what
    /// replication wants done wakes what waits for it.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            if let Some(conn) = self.ready.pop_front() {
                self.read_on(now, conn);
            } else if let Some(output) = self.member.as_mut().and_then(crate::repl::Member::poll_output) {
                self.handle_member(now, output);
            } else if !self.retry_parked(now) {
                return;
            }
        }
    }

    /// An operation's timer has come.
    fn ring(&mut self, now: Instant, id: u64) {
        let Some(mut op) = self.take(id) else { return };
        match std::mem::replace(&mut op.stage, Stage::Start) {
            Stage::Start => self.carry_out(now, id, op),
            Stage::Blocked(strike) => self.struck(now, id, op, strike),
            Stage::ClusterTime => self.out_of_cluster_time(now, id, op),
            Stage::Change => self.answer_hello(now, id, op),
            Stage::Parked { parked, tailing } => self.out_of_patience(now, id, op, parked, tailing),
            Stage::Confirming(_) | Stage::Replicating(_) | Stage::Deciding | Stage::Ending => {}
            Stage::Answered(answer) => self.deliver(id, op, answer),
        }
    }

    /// Everything that is only in memory is gone.
    fn lose_memory(&mut self) {
        self.process.running = false;
        self.conns.clear();
        self.ops.clear();
        self.timers.clear();
        self.ready.clear();
        self.out.clear();
        self.parked.clear();
        self.awaiting_time.clear();
        self.awaiting_change.clear();
        self.fail = super::failpoint::FailCommand::default();
        self.cluster_time = quorate_core::raw::Timestamp::default();
        self.compression.reset();
        self.tls.clear();
    }

    /// What is still in progress is answered before its connection closes: with what it came to, or that the end came first.
    fn end_operations(&mut self, now: Instant) {
        self.process.leaving = true;
        for id in self.ops.keys().copied().collect::<Vec<_>>() {
            let Some(mut op) = self.take(id) else { continue };
            match std::mem::replace(&mut op.stage, Stage::Start) {
                Stage::Answered(answer) => self.deliver(id, op, answer),
                Stage::Ending | Stage::Change => {}
                Stage::Replicating(_) | Stage::Confirming(_) => {
                    self.cancel_wait(id);
                    self.fail(now, id, op, &super::answer::shut_down());
                }
                _ => self.fail(now, id, op, &super::answer::shut_down()),
            }
        }
    }

    /// The process ends in an orderly way, with everything on disk.
    pub(super) fn exit(&mut self, now: Instant) {
        self.end_operations(now);
        let applied = self.store.last_applied();
        if let Some(member) = &mut self.member {
            member.handle_exit(now);
        }
        let closing: Vec<ConnId> = self.conns.keys().copied().collect();
        let last_words = std::mem::take(&mut self.out);
        self.lose_memory();
        self.store.crash(applied);
        self.alone.durable = applied;
        self.out = last_words;
        self.out.extend(closing.into_iter().map(NodeOutput::Close));
        self.out.push_back(NodeOutput::Exit);
    }
}
