//! What is going on, on standard error: a line for everything the driver notices, and below them, on a terminal, one that is
//! rewritten.

use super::clock::Clock;
use super::ledger::Ledger;
use quorate::event::EventHandler;
use quorate::event::command::CommandEvent;
use quorate::event::sdam::{SdamEvent, ServerDescriptionChangedEvent};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const REDRAW: Duration = Duration::from_millis(200);
/// A write that takes longer than this shows in the status line.
const SLOW: Duration = Duration::from_millis(500);
/// Servers' and drivers' messages can be long; the line is not.
const LONGEST_REASON: usize = 400;

/// The line, shared by everybody with something to tell.
#[derive(Debug)]
pub(super) struct Live {
    clock: Clock,
    terminal: bool,
    ledger: Arc<Ledger>,
    /// What the director is doing.
    phase: Mutex<String>,
}

impl Live {
    pub(super) fn new(ledger: Arc<Ledger>, clock: Clock) -> Arc<Self> {
        let terminal = std::io::stderr().is_terminal();
        Arc::new(Live { clock, terminal, ledger, phase: Mutex::default() })
    }

    /// Something happened.
    pub(super) fn line(&self, text: &str) {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        let mut line = format!("{clear}{:9.3}  {text}\n", self.clock.elapsed().as_secs_f64());
        if self.terminal {
            line.push_str(&self.status(&phase));
        }
        // One write, so that lines of several threads do not mix; and nothing to be done when nobody reads them.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    /// The director goes on to something else.
    pub(super) fn phase(&self, text: &str) {
        text.clone_into(&mut self.phase.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn redraw(&self) {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("\r\x1b[K{}", self.status(&phase));
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn status(&self, phase: &str) -> String {
        let counts = self.ledger.counts();
        let mut status = format!(
            "{:9.1}  {phase} | {} acknowledged, {} retries, {} errors",
            self.clock.elapsed().as_secs_f64(),
            counts.acked,
            counts.retries,
            counts.errors
        );
        if let Some((_, waited, _)) =
            self.ledger.waiting(self.clock.now()).filter(|(_, waited, _)| *waited > SLOW)
        {
            status.push_str(&format!(" | waiting for {:.1} s", waited.as_secs_f64()));
        }
        // Without wrapping: a narrow terminal cuts it off, and can still rewrite it.
        format!("\x1b[?7l{status}\x1b[?7h")
    }

    /// Tells of what the driver learns about the servers.
    pub(super) fn sdam_handler(self: &Arc<Self>) -> EventHandler<SdamEvent> {
        let live = Arc::clone(self);
        EventHandler::callback(move |event| match event {
            SdamEvent::ServerDescriptionChanged(change) => {
                if let Some(text) = server_change(&change) {
                    live.line(&text);
                }
            }
            SdamEvent::TopologyDescriptionChanged(change) => {
                let (before, after) =
                    (change.previous_description.topology_type, change.new_description.topology_type);
                // Without servers it is the client that is shutting down.
                if before != after && !change.new_description.servers.is_empty() {
                    live.line(&format!("topology: {before} -> {after}"));
                }
            }
            SdamEvent::TlsVerificationDisabled(_) => {
                live.line("WARNING: the connection string says not to check who the servers are");
            }
            _ => {}
        })
    }

    /// Notes whom writes are sent to, and tells of those that are sent again.
    pub(super) fn command_handler(self: &Arc<Self>) -> EventHandler<CommandEvent> {
        let live = Arc::clone(self);
        EventHandler::callback(move |event: CommandEvent| match event {
            CommandEvent::Started(event) if is_write(&event.command_name) => {
                let server = event.connection.address.to_string();
                if let Some((number, true)) = live.ledger.sent(server.clone()) {
                    live.line(&format!("retry: write {number} sent again, to {server}"));
                }
            }
            CommandEvent::Failed(event) if is_write(&event.command_name) => {
                let server = &event.connection.address;
                live.line(&format!("attempt failed on {server}: {}", short(&event.failure.kind.to_string())));
            }
            CommandEvent::Succeeded(event) if is_write(&event.command_name) => {
                if let Ok(error) = event.reply.get_document("writeConcernError") {
                    let server = &event.connection.address;
                    live.line(&format!("not acknowledged by {server}: {}", short(&error.to_string())));
                }
            }
            _ => {}
        })
    }
}

fn is_write(command: &str) -> bool {
    matches!(command, "insert" | "update")
}

/// `None` where nothing changed that anybody would want to read.
fn server_change(change: &ServerDescriptionChangedEvent) -> Option<String> {
    let (before, after) = (&change.previous_description, &change.new_description);
    if before.server_type == after.server_type {
        return None;
    }
    let reason = after.error.as_ref().map(|error| format!(": {}", short(&error.kind.to_string())));
    let reason = reason.unwrap_or_default();
    Some(format!("server {}: {} -> {}{reason}", change.address, before.server_type, after.server_type))
}

/// The first line, and not all of it where it is long.
pub(super) fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line.to_owned(),
    }
}

/// Keeps the last line of a terminal fresh until it is dropped.
#[derive(Debug)]
pub(super) struct Ticker {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(super) fn start(live: &Arc<Live>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let thread = live.terminal.then(|| {
            let (live, done) = (Arc::clone(live), Arc::clone(&done));
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    live.redraw();
                    std::thread::sleep(REDRAW);
                }
                let _ = std::io::stderr().lock().write_all(b"\r\x1b[K");
            })
        });
        Ticker { done, thread }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_one_short_line() {
        assert_eq!(short("first\nsecond"), "first");
        assert_eq!(short(""), "");
        let long = short(&"ü".repeat(500));
        assert_eq!(long.chars().count(), LONGEST_REASON + 4);
    }
}
