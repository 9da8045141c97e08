//! A client's pools as their events show them: a model that every event must fit.

use super::super::plan::ClientPlan;
use quorate::ServerAddress;
use quorate::event::cmap::CmapEvent;
use quorate_core::{Duration, Instant};
use std::collections::BTreeMap;

type Fits = Result<(), String>;

/// All pools of one client.
#[derive(Debug)]
pub(crate) struct Pools {
    most: u32,
    most_connecting: u32,
    idle: Option<Duration>,
    balanced: bool,
    pools: BTreeMap<ServerAddress, Pool>,
    /// Of servers that have left: connections in use come back late.
    closed: Vec<(ServerAddress, Pool)>,
}

/// One pool.
#[derive(Debug, Default)]
struct Pool {
    ready: bool,
    closed: bool,
    generation: u32,
    conns: BTreeMap<u32, Conn>,
    /// Generations of connections that are closed: an operation's error is told after its connection's end.
    gone: BTreeMap<u32, u32>,
    /// Check-outs begun and not over.
    waiting: u32,
}

#[derive(Debug)]
struct Conn {
    state: State,
    generation: u32,
    /// What was sent on it last has no answer, and will never be waited for.
    spoilt: bool,
    idle_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Idle,
    InUse,
}

impl Pools {
    pub(crate) fn new(plan: &ClientPlan, balanced: bool) -> Self {
        Pools {
            most: plan.most_connections(),
            most_connecting: plan.max_connecting.unwrap_or(2),
            idle: plan.idle_ms.map(Duration::from_millis),
            balanced,
            pools: BTreeMap::new(),
            closed: Vec::new(),
        }
    }

    /// Takes an event; an error says why it does not fit.
    pub(crate) fn note(&mut self, now: Instant, event: &CmapEvent) -> Fits {
        let (most, most_connecting, idle, balanced) =
            (self.most, self.most_connecting, self.idle, self.balanced);
        match event {
            CmapEvent::PoolCreated(event) => {
                if let Some(old) = self.pools.insert(event.address.clone(), Pool::default()) {
                    if !old.closed {
                        return Err(format!("a second pool for {}", event.address));
                    }
                    self.closed.push((event.address.clone(), old));
                }
                Ok(())
            }
            CmapEvent::PoolReady(event) => self.pool(&event.address)?.becomes_ready(),
            CmapEvent::PoolCleared(event) => self.pool(&event.address)?.is_cleared(balanced),
            CmapEvent::PoolClosed(event) => self.pool(&event.address)?.is_closed(),
            CmapEvent::ConnectionCreated(event) => {
                let pool = self.pool(&event.address)?;
                pool.create(event.connection_id)?;
                pool.is_within(most, most_connecting).map_err(|why| format!("{}: {why}", event.address))
            }
            CmapEvent::ConnectionReady(event) => {
                self.pool(&event.address)?.conn_ready(now, event.connection_id)
            }
            CmapEvent::ConnectionClosed(event) => self.conn_closed(&event.address, event.connection_id),
            CmapEvent::ConnectionCheckoutStarted(event) => {
                self.pool(&event.address)?.waiting += 1;
                Ok(())
            }
            CmapEvent::ConnectionCheckoutFailed(event) => self.pool(&event.address)?.served(),
            CmapEvent::ConnectionCheckedOut(event) => {
                let pool = self.pool(&event.address)?;
                pool.served()?;
                let checked = pool.check_out(now, event.connection_id, idle, balanced);
                checked.map_err(|why| format!("{} of {}: {why}", event.connection_id, event.address))
            }
            CmapEvent::ConnectionCheckedIn(event) => self.check_in(now, &event.address, event.connection_id),
            _ => Ok(()),
        }
    }

    fn pool(&mut self, address: &ServerAddress) -> Result<&mut Pool, String> {
        self.pools
            .get_mut(address)
            .ok_or_else(|| format!("an event of a pool for {address}, which was never made"))
    }

    /// The pool in which that connection is in use; a closed one, perhaps.
    fn pool_using(&mut self, address: &ServerAddress, id: u32) -> Option<&mut Pool> {
        let uses = |pool: &Pool| pool.conns.get(&id).is_some_and(|conn| conn.state == State::InUse);
        if self.pools.get(address).is_some_and(uses) {
            return self.pools.get_mut(address);
        }
        self.closed.iter_mut().find(|(of, pool)| of == address && uses(pool)).map(|(_, pool)| pool)
    }

    fn check_in(&mut self, now: Instant, address: &ServerAddress, id: u32) -> Fits {
        let Some(pool) = self.pool_using(address, id) else {
            return Err(format!("connection {id} of {address} checked in and was not in use"));
        };
        if let Some(conn) = pool.conns.get_mut(&id) {
            conn.state = State::Idle;
            conn.idle_since = Some(now);
        }
        Ok(())
    }

    fn conn_closed(&mut self, address: &ServerAddress, id: u32) -> Fits {
        let knows = |pool: &Pool| pool.conns.contains_key(&id);
        // Where two pools have one of that number, the closed one has checked it in.
        let old = self.closed.iter_mut().find(|(of, pool)| {
            of == address && pool.conns.get(&id).is_some_and(|conn| conn.state != State::InUse)
        });
        let pool = match old {
            Some((_, pool)) => pool,
            None => self.pools.get_mut(address).filter(|pool| knows(pool)).ok_or_else(|| {
                format!("connection {id} of {address} closed a second time, or without ever having been made")
            })?,
        };
        let conn = pool.conns.remove(&id);
        pool.gone.extend(conn.as_ref().map(|conn| (id, conn.generation)));
        match conn {
            Some(Conn { state: State::InUse, .. }) => {
                Err(format!("connection {id} of {address} closed while it was in use"))
            }
            _ => Ok(()),
        }
    }

    /// An operation ended without the reply that is due on its connection.
    pub(crate) fn spoil(&mut self, address: &ServerAddress, id: u32) {
        if let Some(conn) = self.pools.get_mut(address).and_then(|pool| pool.conns.get_mut(&id)) {
            conn.spoilt = true;
        }
    }

    /// Whether that connection, which an operation uses or has just used, is of the pool's present generation.
    pub(crate) fn is_fresh(&self, address: &ServerAddress, id: u32) -> bool {
        self.pools.get(address).is_some_and(|pool| {
            let generation = pool.conns.get(&id).map(|conn| conn.generation);
            !pool.closed && generation.or(pool.gone.get(&id).copied()) == Some(pool.generation)
        })
    }

    /// Whether that connection is open.
    pub(crate) fn is_open(&self, address: &ServerAddress, id: u32) -> bool {
        self.pools.get(address).is_some_and(|pool| pool.conns.contains_key(&id))
    }

    /// Whether an operation may use that connection now.
    pub(crate) fn is_in_use(&self, address: &ServerAddress, id: u32) -> bool {
        let uses = |pool: &Pool| pool.conns.get(&id).is_some_and(|conn| conn.state == State::InUse);
        self.pools.get(address).is_some_and(uses)
            || self.closed.iter().any(|(of, pool)| of == address && uses(pool))
    }

    /// What is left when the client has been shut down: nothing.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let all = self.pools.iter().chain(self.closed.iter().map(|(address, pool)| (address, pool)));
        let mut found = Vec::new();
        for (address, pool) in all {
            if !pool.closed {
                found.push(format!("the pool of {address} was never closed"));
            }
            if pool.waiting > 0 {
                found.push(format!("{} check-outs of {address} have no end", pool.waiting));
            }
            for (id, conn) in &pool.conns {
                found.push(format!("connection {id} of {address} was never closed: {:?}", conn.state));
            }
        }
        found
    }
}

impl Pool {
    fn becomes_ready(&mut self) -> Fits {
        if self.ready || self.closed {
            return Err("a pool became ready that was so already, or closed".into());
        }
        self.ready = true;
        Ok(())
    }

    fn is_cleared(&mut self, balanced: bool) -> Fits {
        if !self.ready {
            return Err("a pool was cleared that was not ready".into());
        }
        // Behind a load balancer one service's connections are cleared, and the pool stays ready.
        if !balanced {
            self.ready = false;
            self.generation += 1;
        }
        Ok(())
    }

    fn is_closed(&mut self) -> Fits {
        if std::mem::replace(&mut self.closed, true) {
            return Err("a pool was closed twice".into());
        }
        self.ready = false;
        Ok(())
    }

    fn create(&mut self, id: u32) -> Fits {
        if !self.ready {
            return Err(format!("connection {id} made in a pool that is not ready"));
        }
        let conn =
            Conn { state: State::Pending, generation: self.generation, spoilt: false, idle_since: None };
        match self.conns.insert(id, conn) {
            Some(_) => Err(format!("connection {id} made twice")),
            None => Ok(()),
        }
    }

    fn is_within(&self, most: u32, most_connecting: u32) -> Fits {
        let pending = self.conns.values().filter(|conn| conn.state == State::Pending).count();
        if self.conns.len() > most as usize {
            return Err(format!("{} connections where {most} are allowed", self.conns.len()));
        }
        if pending > most_connecting as usize {
            return Err(format!("{pending} connections being opened where {most_connecting} are allowed"));
        }
        Ok(())
    }

    fn conn_ready(&mut self, now: Instant, id: u32) -> Fits {
        match self.conns.get_mut(&id) {
            Some(conn) if conn.state == State::Pending => {
                conn.state = State::Idle;
                conn.idle_since = Some(now);
                Ok(())
            }
            other => Err(format!("connection {id} became ready and was {other:?}")),
        }
    }

    fn served(&mut self) -> Fits {
        match self.waiting.checked_sub(1) {
            Some(left) => {
                self.waiting = left;
                Ok(())
            }
            None => Err("a check-out ended that had not begun".into()),
        }
    }

    fn check_out(&mut self, now: Instant, id: u32, idle: Option<Duration>, balanced: bool) -> Fits {
        let (ready, generation) = (self.ready, self.generation);
        let Some(conn) = self.conns.get_mut(&id) else { return Err("checked out, and never made".into()) };
        let since = conn.idle_since.take().map(|since| now - since);
        if conn.state != State::Idle {
            return Err(format!("checked out while {:?}", conn.state));
        }
        conn.state = State::InUse;
        if !ready {
            return Err("checked out of a pool that is not ready".into());
        }
        if !balanced && conn.generation != generation {
            return Err(format!(
                "checked out; it is of generation {}, the pool of {generation}",
                conn.generation
            ));
        }
        if conn.spoilt {
            return Err("checked out again, and a reply is still due on it, or it broke".into());
        }
        match (since, idle) {
            (Some(since), Some(most)) if since > most => {
                Err(format!("checked out after {since:?} of rest, where {most:?} are allowed"))
            }
            _ => Ok(()),
        }
    }
}
