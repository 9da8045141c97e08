//! Threads, a clock and a server, all of them pretended.

use super::file::{FailPoint, Operation, TestFile, What};
use super::matching::event_name;
use quorate_core::error::{CommandError, IoErrorKind};
use quorate_core::event::cmap::CmapEvent;
use quorate_core::pool::{OpToken, Pool, PoolConnId, PoolOptions, PoolOutput};
use quorate_core::{Duration, Error, ErrorKind, Instant, ServerAddress};
use std::collections::{BTreeMap, VecDeque};

/// How long a handshake takes when no fail point holds it up.
const HANDSHAKE: Duration = Duration::from_millis(2);
/// How long `waitForEvent` waits when the file does not say.
const PATIENCE: Duration = Duration::from_secs(30);
const MAIN: &str = "";

/// What the topology does first when an establishment fails in a way that clears the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorOrder {
    ClearFirst,
    CloseFirst,
}

/// A check-out's failure on some thread.
#[derive(Clone, Debug)]
pub(super) struct Thrown {
    pub(super) reason: &'static str,
    pub(super) error: Error,
}

#[derive(Clone, Debug)]
enum Blocked {
    Until(Instant),
    CheckOut { token: OpToken, label: Option<String> },
    Event { name: String, count: usize, until: Instant },
    Thread(String),
}

#[derive(Debug, Default)]
struct Thread {
    todo: VecDeque<What>,
    blocked: Option<Blocked>,
    thrown: Option<Thrown>,
}

#[derive(Debug)]
enum Handshake {
    Succeeds,
    Fails(Error),
}

/// One run of one file.
#[derive(Debug)]
pub(super) struct Simulation {
    pool: Pool,
    order: ErrorOrder,
    now: Instant,
    script: VecDeque<Operation>,
    threads: BTreeMap<String, Thread>,
    labels: BTreeMap<String, PoolConnId>,
    next_token: u64,
    /// Handshakes under way: when each ends, and how.
    handshakes: BTreeMap<PoolConnId, (Instant, Handshake)>,
    fail_point: Option<FailPoint>,
    timers: bool,
    pub(super) events: Vec<CmapEvent>,
}

impl Simulation {
    pub(super) fn new(file: &TestFile, order: ErrorOrder) -> Self {
        let json = &file.pool_options;
        let mut options = PoolOptions::new(ServerAddress::tcp("simulated.example", 27017));
        options.events = true;
        options.max_pool_size = json.max_pool_size.unwrap_or(options.max_pool_size);
        options.min_pool_size = json.min_pool_size.unwrap_or(options.min_pool_size);
        options.max_connecting = json.max_connecting.unwrap_or(options.max_connecting);
        options.max_idle_time = json.max_idle_time_ms.map(Duration::from_millis);
        options.wait_queue_timeout = json.wait_queue_timeout_ms.map(Duration::from_millis);
        let aimed_at_us = |f: &FailPoint| f.app_name.is_none() || f.app_name == json.app_name;
        Simulation {
            pool: Pool::new(options),
            order,
            now: Instant::ZERO,
            script: file.operations.clone().into(),
            threads: BTreeMap::from([(MAIN.to_string(), Thread::default())]),
            labels: BTreeMap::new(),
            next_token: 1,
            handshakes: BTreeMap::new(),
            fail_point: file.fail_point.clone().filter(aimed_at_us),
            // "never begin a Run": the pool then gets no time-outs at all, and what must hold without them is seen.
            timers: json.background_thread_interval_ms.is_none_or(|ms| ms >= 0),
            events: Vec::new(),
        }
    }

    /// Runs the main thread to its end, and says what it threw.
    pub(super) fn run(&mut self) -> Result<Option<Thrown>, String> {
        self.drain();
        // The longest file takes some dozens of steps: a run that takes thousands turns in a circle.
        for _ in 0..5_000 {
            if self.step()? {
                continue;
            }
            let main = self.thread(MAIN)?;
            if let Some(thrown) = main.thrown.take() {
                return Ok(Some(thrown));
            }
            if main.blocked.is_none() {
                return Ok(None);
            }
            self.pass_time()?;
        }
        Err("the run does not come to an end".into())
    }

    fn thread(&mut self, name: &str) -> Result<&mut Thread, String> {
        self.threads.get_mut(name).ok_or_else(|| format!("thread {name} was not started"))
    }

    /// Lets each other thread, or else the main thread, do one operation. `false` when all are blocked or done.
    fn step(&mut self) -> Result<bool, String> {
        let mut names: Vec<String> = self.threads.keys().cloned().collect();
        names.sort_by_key(|name| name == MAIN);
        for name in names {
            self.unblock(&name)?;
            let thread = self.thread(&name)?;
            if thread.blocked.is_some() || thread.thrown.is_some() {
                continue;
            }
            let next = match thread.todo.pop_front() {
                Some(what) => Some(Operation { thread: None, what }),
                None if name == MAIN => self.script.pop_front(),
                None => None,
            };
            match next {
                None => continue,
                Some(Operation { thread: Some(target), what }) => self.thread(&target)?.todo.push_back(what),
                Some(Operation { thread: None, what }) => self.perform(&name, what)?,
            }
            self.drain();
            return Ok(true);
        }
        Ok(false)
    }

    /// Takes away what blocked a thread if it is over.
    fn unblock(&mut self, name: &str) -> Result<(), String> {
        let now = self.now;
        let over = match self.thread(name)?.blocked.clone() {
            None | Some(Blocked::CheckOut { .. }) => false,
            Some(Blocked::Until(at)) => at <= now,
            Some(Blocked::Thread(target)) => {
                let target = self.thread(&target)?;
                let over = target.thrown.is_some() || (target.blocked.is_none() && target.todo.is_empty());
                if let Some(thrown) = target.thrown.clone() {
                    self.thread(name)?.thrown = Some(thrown);
                }
                over
            }
            Some(Blocked::Event { name: event, count, until }) => {
                let seen = self.events.iter().filter(|e| event_name(e) == event).count();
                if seen < count && until <= now {
                    return Err(format!("waited for {count} {event}, saw {seen}"));
                }
                seen >= count
            }
        };
        if over {
            self.thread(name)?.blocked = None;
        }
        Ok(())
    }

    fn perform(&mut self, name: &str, what: What) -> Result<(), String> {
        let now = self.now;
        let mut blocked = None;
        match what {
            What::Start { target } => {
                if self.threads.insert(target.clone(), Thread::default()).is_some() {
                    return Err(format!("thread {target} was started twice"));
                }
            }
            What::Wait { ms } => blocked = Some(Blocked::Until(now + Duration::from_millis(ms))),
            What::WaitForThread { target } => blocked = Some(Blocked::Thread(target)),
            What::WaitForEvent { event, count, timeout_ms } => {
                let until = now + timeout_ms.map_or(PATIENCE, Duration::from_millis);
                blocked = Some(Blocked::Event { name: event, count, until });
            }
            What::CheckOut { label } => match self.pool.try_check_out(now) {
                Some(conn) => self.label(label, conn),
                None => {
                    let token = OpToken(self.next_token);
                    self.next_token += 1;
                    self.pool.check_out(now, token, None);
                    blocked = Some(Blocked::CheckOut { token, label });
                }
            },
            What::CheckIn { connection } => {
                let conn = self.labels.remove(&connection).ok_or(format!("nothing labelled {connection}"))?;
                if !self.pool.check_in(now, conn, true) {
                    return Err(format!("{connection} could not be checked in"));
                }
            }
            What::Clear { interrupt } => {
                let error = Error::io(IoErrorKind::Reset, "cleared by the test");
                self.pool.clear(now, None, interrupt, &error);
            }
            What::Close => self.pool.close(now),
            What::Ready => self.pool.ready(now),
        }
        if blocked.is_some() {
            self.thread(name)?.blocked = blocked;
        }
        Ok(())
    }

    fn label(&mut self, label: Option<String>, conn: PoolConnId) {
        if let Some(label) = label {
            self.labels.insert(label, conn);
        }
    }

    /// Does what the pool asks for.
    fn drain(&mut self) {
        while let Some(output) = self.pool.poll_output() {
            match output {
                PoolOutput::Connect { conn, .. } => {
                    let handshake = self.handshake();
                    self.handshakes.insert(conn, handshake);
                }
                PoolOutput::Close { conn, .. } => {
                    self.handshakes.remove(&conn);
                }
                PoolOutput::CheckedOut { token, conn } => {
                    if let Some((_, label)) = self.end_check_out(token) {
                        self.label(label, conn);
                    }
                }
                PoolOutput::CheckOutFailed { token, reason, error } => {
                    if let Some((name, _)) = self.end_check_out(token)
                        && let Some(thread) = self.threads.get_mut(&name)
                    {
                        thread.thrown = Some(Thrown { reason: reason.as_str(), error });
                    }
                }
                // No operation runs on a connection here that could be stopped.
                PoolOutput::Interrupt { .. } => {}
                PoolOutput::Event(event) => self.events.push(event),
                other => unreachable!("an output this suite does not know: {other:?}"),
            }
        }
    }

    /// The thread that waited for `token`, which it does no longer, and the label it wanted.
    fn end_check_out(&mut self, token: OpToken) -> Option<(String, Option<String>)> {
        let waits =
            |t: &Thread| matches!(&t.blocked, Some(Blocked::CheckOut { token: t, .. }) if *t == token);
        let (name, thread) = self.threads.iter_mut().find(|(_, thread)| waits(thread))?;
        match thread.blocked.take() {
            Some(Blocked::CheckOut { label, .. }) => Some((name.clone(), label)),
            _ => None,
        }
    }

    /// How the next handshake goes.
    fn handshake(&mut self) -> (Instant, Handshake) {
        let mut end = self.now + HANDSHAKE;
        let Some(fail_point) = &mut self.fail_point else { return (end, Handshake::Succeeds) };
        if let Some(times) = &mut fail_point.times {
            if *times == 0 {
                return (end, Handshake::Succeeds);
            }
            *times -= 1;
        }
        end += Duration::from_millis(fail_point.block_ms);
        let outcome = if fail_point.close_connection {
            Handshake::Fails(Error::io(IoErrorKind::Closed, "connection closed by fail point"))
        } else if let Some(code) = fail_point.error_code {
            let error = CommandError::new(code, "", "failed by fail point", Vec::new());
            Handshake::Fails(Error::new(ErrorKind::Command(error)))
        } else {
            Handshake::Succeeds
        };
        (end, outcome)
    }

    /// Moves the clock to the next thing that happens by itself, and lets it happen.
    fn pass_time(&mut self) -> Result<(), String> {
        let sleepers = self.threads.values().filter_map(|t| match t.blocked {
            Some(Blocked::Until(at) | Blocked::Event { until: at, .. }) => Some(at),
            _ => None,
        });
        let handshakes = self.handshakes.values().map(|(at, _)| *at);
        let timer = self.pool.poll_timeout().filter(|_| self.timers);
        let next = sleepers.chain(handshakes).chain(timer).min();
        self.now = next.ok_or("every thread is blocked and nothing will ever happen")?.max(self.now);
        if timer.is_some_and(|at| at <= self.now) {
            self.pool.handle_timeout(self.now);
            if self.pool.poll_timeout() == timer {
                return Err("the pool's time-out was not used up".into());
            }
            self.drain();
        }
        let done = self.handshakes.iter().find(|(_, (at, _))| *at <= self.now).map(|(conn, _)| *conn);
        if let Some((conn, (_, outcome))) = done.and_then(|conn| self.handshakes.remove_entry(&conn)) {
            match (outcome, self.order) {
                (Handshake::Succeeds, _) => self.pool.handle_established(self.now, conn, None),
                (Handshake::Fails(error), ErrorOrder::ClearFirst) => {
                    self.pool.handle_connect_failed_and_clear(self.now, conn, &error);
                }
                (Handshake::Fails(error), ErrorOrder::CloseFirst) => {
                    self.pool.handle_connect_failed(self.now, conn, error.clone());
                    self.pool.clear(self.now, None, false, &error);
                }
            }
            self.drain();
        }
        Ok(())
    }
}
