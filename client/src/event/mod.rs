//! What an application can watch, and who tells it.
//!
//! The events of servers, topologies and pools come from the core as they are; those of commands are made here, where the
//! documents are, and only while somebody listens.

mod monitor;

pub use quorate_core::event::{EventHandler, cmap, sdam};
pub mod command {
    //! Commands: sent, answered, failed.
    use bson::Document;
    pub use quorate_core::event::command::{CommandFailedEvent, ConnectionInfo, is_sensitive};

    /// A command is about to be sent.
    pub type CommandStartedEvent = quorate_core::event::command::CommandStartedEvent<Document>;
    /// A command was answered with `ok: 1`.
    pub type CommandSucceededEvent = quorate_core::event::command::CommandSucceededEvent<Document>;
    /// Something happened to a command.
    pub type CommandEvent = quorate_core::event::command::CommandEvent<Document>;
}

pub use command::CommandEvent;
pub(crate) use monitor::CommandMonitor;
