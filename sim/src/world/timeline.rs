//! A trace as people read it.

use super::clock::START;
use super::trace::{Change, Event, HostId, Traced};
use crate::node::{ConnId, NodeId};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// What the printer has to know beside the events.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) hosts: Vec<Arc<str>>,
    /// By the number of the node.
    pub(super) nodes: Vec<Arc<str>>,
    /// The ends of connections that began before the first event that is shown.
    pub(super) conns: BTreeMap<ConnId, (HostId, HostId)>,
}

/// One line an event: seconds since the start, who, what.
pub(super) fn print<'e>(
    mut names: Names,
    events: impl Iterator<Item = &'e Traced>,
    mut wanted: impl FnMut(&Traced) -> bool,
) -> String {
    let mut text = String::new();
    for traced in events {
        let Traced { at, event } = traced;
        if let Event::Connect { conn, from, to } = event {
            names.conns.insert(*conn, (*from, *to));
        }
        if !wanted(traced) {
            continue;
        }
        let since = (*at - START).as_nanos();
        let (seconds, micros) = (since / 1_000_000_000, since / 1_000 % 1_000_000);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{seconds:>6}.{micros:06}  {}", names.line(event));
    }
    text
}

impl Names {
    fn host(&self, id: HostId) -> &str {
        self.hosts.get(id.0 as usize).map_or("?", |name| name)
    }

    fn node(&self, id: NodeId) -> &str {
        self.nodes.get(id.0 as usize).map_or("?", |name| name)
    }

    fn conn(&self, id: ConnId, to_server: bool) -> String {
        let ends = self.conns.get(&id).map_or(("?", "?"), |(from, to)| (self.host(*from), self.host(*to)));
        let (from, to) = if to_server { ends } else { (ends.1, ends.0) };
        format!("{from} -> {to} #{}", id.0)
    }

    fn line(&self, event: &Event) -> String {
        match event {
            Event::LookUp { host, name, found: 0 } => {
                format!("{} looks up {name}: nothing", self.host(*host))
            }
            Event::LookUp { host, name, found } => {
                format!("{} looks up {name}: {found} found", self.host(*host))
            }
            Event::Connect { conn, .. } => format!("{}: connecting", self.conn(*conn, true)),
            Event::Opened(conn) => format!("{}: open", self.conn(*conn, true)),
            Event::Refused(conn) => format!("{}: refused", self.conn(*conn, true)),
            Event::Bytes { conn, to_server, length, hash, label } => {
                let label = label.as_deref().unwrap_or("bytes");
                let short = hash & 0xffff_ffff;
                format!("{}: {label} ({length} bytes, {short:08x})", self.conn(*conn, *to_server))
            }
            Event::Held { conn, to_server } => {
                format!("{}: held, nothing gets through", self.conn(*conn, *to_server))
            }
            Event::Closed { conn, to_server } => format!("{}: closed", self.conn(*conn, *to_server)),
            Event::Broken(conn) => format!("{}: broken", self.conn(*conn, true)),
            Event::Message { from, to, label } => {
                let label = label.as_deref().unwrap_or("message");
                format!("{} -> {}: {label}", self.node(*from), self.node(*to))
            }
            Event::Lost { from, to } => format!("{} -> {}: message lost", self.node(*from), self.node(*to)),
            Event::Process { node, change } => format!("{} {}", self.node(*node), says(*change)),
            Event::Note { node, text } => format!("{}: {text}", self.node(*node)),
            Event::Remark(text) => format!("* {text}"),
        }
    }
}

fn says(change: Change) -> &'static str {
    match change {
        Change::Start => "starts",
        Change::Kill => "is killed",
        Change::PowerOff => "loses its power",
        Change::Terminate => "is asked to end",
        Change::Exit => "has ended",
        Change::Hang => "hangs",
        Change::Resume => "goes on",
    }
}
