//! Events on their way to whoever listens.

use quorate_core::event::{Event, EventHandler, cmap::CmapEvent, command::CommandEvent, sdam::SdamEvent};
use quorate_core::options::ClientOptions;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Delivers events in order, outside of every other lock, on whichever task is at hand.
#[derive(Default)]
pub(crate) struct EventSink {
    pub(crate) command: Option<EventHandler<CommandEvent>>,
    pub(crate) cmap: Option<EventHandler<CmapEvent>>,
    pub(crate) sdam: Option<EventHandler<SdamEvent>>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Event>,
    /// Somebody is delivering: what is queued now will be delivered by them.
    busy: bool,
}

impl EventSink {
    /// Sends events to the handlers in `options`.
    pub(crate) fn new(options: &ClientOptions) -> Self {
        EventSink {
            command: options.command_event_handler.clone(),
            cmap: options.cmap_event_handler.clone(),
            sdam: options.sdam_event_handler.clone(),
            queue: Mutex::default(),
        }
    }

    /// Queues events; true when the caller is to [`EventSink::deliver`] them once it holds no lock.
    pub(super) fn queue(&self, events: Vec<Event>) -> bool {
        if events.is_empty() {
            return false;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.extend(events);
        !std::mem::replace(&mut queue.busy, true)
    }

    /// Delivers what is queued, in order. A handler may use the client: what that queues is delivered next, not inside.
    pub(super) fn deliver(&self) {
        // A handler that panics must not stop the events after it for ever.
        struct Done<'a>(&'a EventSink);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).busy = false;
            }
        }
        let done = Done(self);
        loop {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(event) = queue.waiting.pop_front() else {
                // Under the same lock as the look, so that nobody queues in between and is missed.
                queue.busy = false;
                std::mem::forget(done);
                return;
            };
            drop(queue);
            match event {
                Event::Sdam(event) => self.sdam.iter().for_each(|handler| handler.handle(event.clone())),
                Event::Cmap(event) => self.cmap.iter().for_each(|handler| handler.handle(event.clone())),
                _ => {}
            }
        }
    }
}
