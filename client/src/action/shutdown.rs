//! Ending a client.

use crate::{BoxFuture, Client, Runtime};
use std::future::IntoFuture;

/// Ends a client; made by [`Client::shutdown`], run by awaiting it.
#[derive(Debug)]
#[must_use = "nothing happens until it is awaited"]
pub struct Shutdown<R: Runtime> {
    client: Client<R>,
    immediate: bool,
}

impl<R: Runtime> Shutdown<R> {
    pub(crate) const fn new(client: Client<R>) -> Self {
        Shutdown { client, immediate: false }
    }

    /// Whether to leave out telling a server that the client's sessions are done with, which takes a round trip.
    pub fn immediate(mut self, value: bool) -> Self {
        self.immediate = value;
        self
    }
}

impl<R: Runtime> IntoFuture for Shutdown<R> {
    type Output = ();
    type IntoFuture = BoxFuture<'static, ()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            if !self.immediate {
                self.client.end_all_sessions().await;
            }
            self.client.host().shutdown();
        })
    }
}
