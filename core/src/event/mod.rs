//! What an application can watch: commands, servers and topologies, connection pools.
//!
//! Source: the command logging and monitoring, SDAM logging and monitoring, and CMAP specifications.

pub mod cmap;
pub mod command;
pub mod sdam;

/// Anything an application can watch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Servers, heartbeats, the topology.
    Sdam(sdam::SdamEvent),
    /// Connection pools.
    Cmap(cmap::CmapEvent),
}

/// Who is told of events: a function that returns quickly. Cheap to clone.
///
/// ```
/// use quorate_core::event::{EventHandler, cmap::CmapEvent};
/// let handler = EventHandler::callback(|event: CmapEvent| println!("{event:?}"));
/// # let _ = handler;
/// ```
pub struct EventHandler<T>(crate::shared::Arc<dyn Fn(T) + Send + Sync>);

impl<T> EventHandler<T> {
    /// Calls `function` with every event, on whichever task the event arises.
    pub fn callback(function: impl Fn(T) + Send + Sync + 'static) -> Self {
        EventHandler(crate::shared::Arc::new(function))
    }

    /// Tells the handler of an event.
    pub fn handle(&self, event: T) {
        (self.0)(event);
    }
}

impl<T> Clone for EventHandler<T> {
    fn clone(&self) -> Self {
        EventHandler(self.0.clone())
    }
}

impl<T> PartialEq for EventHandler<T> {
    /// Whether both are the same handler.
    fn eq(&self, other: &Self) -> bool {
        crate::shared::Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> core::fmt::Debug for EventHandler<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("EventHandler")
    }
}
