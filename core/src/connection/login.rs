//! Authentication on a connection: carries what its [`Conversation`] says.

use super::{Connection, ConnectionOutput, State};
use crate::auth::oidc::AccessToken;
use crate::auth::{Answer, AuthOutput, AuthStart, Conversation, HelloArguments, Work};
use crate::error::Error;
use crate::raw::{DocWriter, RawDoc};
use crate::wire::{Flags, encode_op_msg};
use crate::{Duration, HelloReply, Instant};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// A conversation under way.
#[derive(Debug)]
pub(super) struct Login {
    conversation: Conversation,
    /// The hello's reply and how long it took, to be given out at the end.
    greeting: Option<(Box<HelloReply>, Duration)>,
    /// The request that is to be answered; `None` while the host works.
    pub(super) request_id: Option<i32>,
    pub(super) deadline: Option<Instant>,
    /// For the host to be told: that the hello is done, and the service behind a load balancer.
    greeted: Option<Option<[u8; 12]>>,
    work: Option<Work>,
}

impl Connection {
    /// What authentication adds to the hello. Monitors never authenticate ("Authentication ... MUST NOT happen on
    /// monitoring-only sockets").
    pub(super) fn prepare_login(&mut self) -> HelloArguments {
        let start = self.handshake.auth.take().filter(|_| !self.handshake.is_monitor);
        self.conversation = start.map(|start| Box::new(Conversation::new(start)));
        self.conversation.as_mut().map(|conversation| conversation.hello_arguments()).unwrap_or_default()
    }

    /// The hello is answered, and the client has to say who it is.
    pub(super) fn log_in(
        &mut self,
        mut conversation: Conversation,
        hello: HelloReply,
        round_trip: Duration,
        deadline: Option<Instant>,
    ) {
        conversation.handle_hello(&hello);
        let greeted = Some(hello.service_id);
        let greeting = Some((Box::new(hello), round_trip));
        let login = Login { conversation, greeting, request_id: None, deadline, greeted, work: None };
        self.go_on(Box::new(login));
    }

    /// Logs in once more on a connection that has done so before, because the server wants it (error 391). Ends with
    /// [`ConnectionOutput::Authenticated`].
    ///
    /// # Errors
    /// As [`Connection::begin_request`].
    pub fn reauthenticate(&mut self, now: Instant, start: AuthStart) -> Result<(), Error> {
        if !matches!(self.state, State::Ready) {
            return Err(Error::invalid_argument("the connection cannot log in now"));
        }
        let mut conversation = Conversation::new(start);
        conversation.handle_reauthentication();
        let deadline = self.login_deadline(now);
        let login =
            Login { conversation, greeting: None, request_id: None, deadline, greeted: None, work: None };
        self.go_on(Box::new(login));
        Ok(())
    }

    /// The token the connection has logged in with, where it was one.
    pub const fn token(&self) -> Option<&AccessToken> {
        self.token.as_ref()
    }

    fn login_deadline(&self, now: Instant) -> Option<Instant> {
        (!self.connect_timeout.is_zero()).then(|| now + self.connect_timeout)
    }

    /// The reply to the conversation's last command.
    pub(super) fn login_replied(&mut self) {
        let State::LoggingIn(mut login) = core::mem::replace(&mut self.state, State::Ready) else { return };
        login.request_id = None;
        if let Some(message) = self.buffer.current() {
            login.conversation.handle_reply(message.body);
        }
        self.go_on(login);
    }

    /// What came of [`ConnectionOutput::Work`]. Does nothing when no work is under way (the connection may have failed in
    /// the meantime).
    pub fn handle_answer(&mut self, now: Instant, answer: Answer) {
        match core::mem::replace(&mut self.state, State::Ready) {
            State::LoggingIn(mut login) if login.request_id.is_none() && login.work.is_none() => {
                if login.deadline.is_none() {
                    login.deadline = self.login_deadline(now);
                }
                login.conversation.handle_answer(answer);
                self.go_on(login);
            }
            state => self.state = state,
        }
    }

    /// Does what the conversation says.
    fn go_on(&mut self, mut login: Box<Login>) {
        match login.conversation.poll_output() {
            Some(AuthOutput::Send(command)) => {
                let request_id = self.next_request_id();
                let written = self.write_command(request_id, login.conversation.database(), &command);
                login.request_id = Some(request_id);
                self.state = State::LoggingIn(login);
                if let Err(error) = written {
                    self.fail(error);
                }
            }
            Some(AuthOutput::Work(work)) => {
                // Who has to be asked first, a human even, has time-outs of his own.
                if work.waits() {
                    login.deadline = None;
                }
                login.work = Some(work);
                self.state = State::LoggingIn(login);
            }
            Some(AuthOutput::Done) => {
                self.token = login.conversation.token().cloned();
                match login.greeting {
                    Some((hello, round_trip)) => self.established(hello, round_trip),
                    None => {
                        self.state = State::Ready;
                        self.authenticated = true;
                    }
                }
            }
            Some(AuthOutput::Failed(error)) => {
                self.greeted = login.greeted;
                self.state = State::Ready;
                self.fail(error);
            }
            // It owes an output to every input; one that does not is broken.
            None => self.fail(Error::invalid_response("the log-in came to a halt")),
        }
    }

    fn write_command(&mut self, request_id: i32, database: &str, command: &[u8]) -> Result<(), Error> {
        let malformed = |error: &dyn core::fmt::Display| Error::invalid_argument(format!("log-in: {error}"));
        let fields = RawDoc::new(command).map_err(|error| malformed(&error))?;
        // Room for all of it: a buffer that grows leaves copies of a secret behind.
        let mut body = Zeroizing::new(Vec::with_capacity(command.len() + 256));
        let doc = DocWriter::new(&mut body).extend(fields).str("$db", database);
        self.handshake.write_server_api(doc).finish();
        self.transmit.reserve(body.len() + 64);
        let body = RawDoc::new(&body).map_err(|error| malformed(&error))?;
        encode_op_msg(&mut self.transmit, request_id, 0, Flags::NONE, body).map_err(|error| malformed(&error))
    }

    /// What the host is to be told before anything else comes.
    pub(super) fn login_output(&mut self) -> Option<ConnectionOutput<'static>> {
        let greeted = match &mut self.state {
            State::LoggingIn(login) => login.greeted.take(),
            _ => None,
        };
        if let Some(service_id) = greeted.or_else(|| self.greeted.take()) {
            return Some(ConnectionOutput::Greeted { service_id });
        }
        if core::mem::take(&mut self.authenticated) {
            return Some(ConnectionOutput::Authenticated);
        }
        match &mut self.state {
            State::LoggingIn(login) => login.work.take().map(ConnectionOutput::Work),
            _ => None,
        }
    }
}

#[cfg(all(test, feature = "auth"))]
#[path = "login_tests.rs"]
mod tests;
