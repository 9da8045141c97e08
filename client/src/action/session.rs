//! `start_session`.

use super::{action, setters};
use crate::options::{SessionOptions, TransactionOptions};
use crate::{Client, ClientSession, Runtime};
use bson::Timestamp;

/// Starts a session. Made by [`Client::start_session`]; gives a [`ClientSession`].
#[derive(Debug)]
#[must_use = "nothing is started until it is awaited"]
pub struct StartSession<'a, R: Runtime> {
    client: &'a Client<R>,
    options: SessionOptions,
}

impl<'a, R: Runtime> StartSession<'a, R> {
    pub(crate) fn new(client: &'a Client<R>) -> Self {
        StartSession { client, options: SessionOptions::default() }
    }

    setters! { SessionOptions;
        set default_transaction_options: TransactionOptions,
        set causal_consistency: bool,
        set snapshot: bool,
        set snapshot_time: Timestamp,
    }
}

action! { ['a, R: Runtime] StartSession<'a, R> => ClientSession<R>; |this| {
    this.client.new_session(this.options.to_core())
} }
