//! A notebook of everything a client tells of itself, and the sums that must always come out even.

use quorate::bson::Document;
use quorate::event::EventHandler;
use quorate::event::cmap::CmapEvent;
use quorate::event::command::CommandEvent;
use quorate::event::sdam::SdamEvent;
use quorate::options::ClientOptions;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What was heard, in order.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) commands: Vec<CommandEvent>,
    pub(crate) pools: Vec<CmapEvent>,
    pub(crate) servers: Vec<SdamEvent>,
}

/// Listens to a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notebook(Arc<Mutex<Heard>>);

impl Notebook {
    /// Listens to the client that will be made of these options.
    pub(crate) fn listen(options: &mut ClientOptions) -> Self {
        let book = Notebook::default();
        let (commands, pools, servers) = (book.clone(), book.clone(), book.clone());
        options.command_event_handler =
            Some(EventHandler::callback(move |event| commands.lock().commands.push(event)));
        options.cmap_event_handler =
            Some(EventHandler::callback(move |event| pools.lock().pools.push(event)));
        options.sdam_event_handler =
            Some(EventHandler::callback(move |event| servers.lock().servers.push(event)));
        book
    }

    /// What was heard so far.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the commands heard so far.
    pub(crate) fn forget_commands(&self) {
        self.lock().commands.clear();
    }

    /// The commands of that name as they were sent, in order.
    pub(crate) fn started(&self, name: &str) -> Vec<Document> {
        let heard = self.lock();
        let started = heard.commands.iter().filter_map(|event| match event {
            CommandEvent::Started(event) if event.command_name == name => Some(event.command.clone()),
            _ => None,
        });
        started.collect()
    }

    /// Where the commands of that name were sent, in order.
    pub(crate) fn sent_to(&self, name: &str) -> Vec<String> {
        let heard = self.lock();
        let started = heard.commands.iter().filter_map(|event| match event {
            CommandEvent::Started(event) if event.command_name == name => {
                Some(event.connection.address.to_string())
            }
            _ => None,
        });
        started.collect()
    }

    /// How often each kind of pool event was heard.
    pub(crate) fn pool_counts(&self) -> PoolCounts {
        let mut counts = PoolCounts::default();
        for event in &self.lock().pools {
            match event {
                CmapEvent::ConnectionCreated(_) => counts.created += 1,
                CmapEvent::ConnectionReady(_) => counts.ready += 1,
                CmapEvent::ConnectionClosed(_) => counts.closed += 1,
                CmapEvent::ConnectionCheckoutStarted(_) => counts.checkouts_started += 1,
                CmapEvent::ConnectionCheckoutFailed(_) => counts.checkouts_failed += 1,
                CmapEvent::ConnectionCheckedOut(_) => counts.checked_out += 1,
                CmapEvent::ConnectionCheckedIn(_) => counts.checked_in += 1,
                _ => {}
            }
        }
        counts
    }

    /// Every command that started has ended, once; every check-out has its end.
    ///
    /// # Panics
    /// When not so.
    pub(crate) fn check_pairs(&self) {
        let heard = self.lock();
        let key = |id: i32, connection: &quorate::event::command::ConnectionInfo| {
            (id, connection.address.to_string(), connection.id)
        };
        let mut ids = BTreeSet::new();
        for event in &heard.commands {
            match event {
                CommandEvent::Started(e) => {
                    assert!(ids.insert(key(e.request_id, &e.connection)), "a request id twice: {e:?}");
                }
                CommandEvent::Succeeded(e) => {
                    assert!(ids.remove(&key(e.request_id, &e.connection)), "an end without a start: {e:?}");
                }
                CommandEvent::Failed(e) => {
                    assert!(ids.remove(&key(e.request_id, &e.connection)), "an end without a start: {e:?}");
                }
            }
        }
        assert!(ids.is_empty(), "started and never ended: {ids:?}");
        drop(heard);
        // What a pool tells may still be on its way, by a thread that is about to say it.
        let patience = Instant::now() + Duration::from_secs(2);
        let mut counts = self.pool_counts();
        while counts.checked_out != counts.checked_in && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(5));
            counts = self.pool_counts();
        }
        assert_eq!(counts.checkouts_started, counts.checkouts_failed + counts.checked_out, "{counts:?}");
        assert_eq!(counts.checked_out, counts.checked_in, "{counts:?}");
        assert!(counts.closed <= counts.created && counts.ready <= counts.created, "{counts:?}");
    }
}

/// How often each kind of pool event was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolCounts {
    pub(crate) created: usize,
    pub(crate) ready: usize,
    pub(crate) closed: usize,
    pub(crate) checkouts_started: usize,
    pub(crate) checkouts_failed: usize,
    pub(crate) checked_out: usize,
    pub(crate) checked_in: usize,
}
