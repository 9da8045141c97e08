//! [`Conversation`]: chooses the mechanism, and carries its messages.

use super::oidc::{self, AccessToken, Oidc, TokenKind, TokenRequest};
use super::sasl::{self, Bytes, SaslReply};
use super::{Answer, AuthStart, Authenticator, Work};
use crate::HelloReply;
use crate::error::{Error, ErrorKind, is_retryable_write};
use crate::options::AuthMechanism;
use crate::raw::RawDoc;
use crate::reply::{ReplySummary, command_error};
use crate::sdam::ServerType;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use zeroize::Zeroizing;

#[cfg(feature = "auth")]
use super::{aws, keys::Hash, scram};

/// AuthenticationFailed.
const AUTHENTICATION_FAILED: i32 = 18;

/// What a conversation has to say.
#[must_use]
#[non_exhaustive]
pub enum AuthOutput {
    /// Send this command to [`Conversation::database`]: BSON bytes without `$db`.
    Send(Zeroizing<Vec<u8>>),
    /// Have this done, and say what came of it by [`Conversation::handle_answer`].
    Work(Work),
    /// The server knows who the client is.
    Done,
    /// It does not.
    Failed(Error),
}

impl fmt::Debug for AuthOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthOutput::Send(_) => f.write_str("Send(..)"),
            AuthOutput::Work(work) => write!(f, "Work({work:?})"),
            AuthOutput::Done => f.write_str("Done"),
            AuthOutput::Failed(error) => write!(f, "Failed({error})"),
        }
    }
}

/// What a conversation adds to the hello.
#[derive(Default)]
pub struct HelloArguments {
    /// `saslSupportedMechs`: `database.user`, when the mechanism is to be negotiated.
    pub sasl_supported_mechs: Option<String>,
    /// `speculativeAuthenticate`, as BSON bytes.
    pub speculative: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for HelloArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelloArguments")
            .field("sasl_supported_mechs", &self.sasl_supported_mechs)
            .field("speculative", &self.speculative.is_some())
            .finish()
    }
}

/// One connection's log-in; see the [module](super).
pub struct Conversation {
    who: Authenticator,
    /// Which connection it is, and how many nonces it has drawn.
    number: u64,
    drawn: u64,
    state: State,
    /// The server's number for it.
    id: i32,
    /// The token kept by the client when this began.
    token: Option<AccessToken>,
    can_refresh: bool,
    /// A token that the server has refused, and whether it came by a refresh token.
    rejected: Option<(AccessToken, bool)>,
    output: Option<AuthOutput>,
}

/// What the server is expected to answer, or the host.
enum State {
    /// Nothing has been sent, or only a try inside of the hello.
    Hello { tried: Option<Talk> },
    /// The mechanism goes on.
    Talking(Talk),
    /// It is over.
    Over,
}

/// A mechanism under way.
enum Talk {
    #[cfg(feature = "auth")]
    Scram(scram::Scram),
    /// Each side has proven itself, and an old server wants one more, empty message.
    #[cfg(feature = "auth")]
    ScramEmpty(Hash),
    #[cfg(feature = "auth")]
    Aws(aws::Aws),
    Oidc(Oidc),
    /// The client has said all it has to say.
    Last(AuthMechanism),
}

/// What follows a reply.
enum Next {
    Send(Bytes),
    Work(Work),
    /// The client is satisfied; the server has to be, too.
    Satisfied,
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Hello { .. } => "in the hello".to_string(),
            State::Talking(talk) => talk.mechanism().as_str().to_string(),
            State::Over => "over".to_string(),
        };
        f.debug_struct("Conversation").field("who", &self.who).field("state", &state).finish_non_exhaustive()
    }
}

impl Conversation {
    /// A conversation about to begin.
    pub fn new(start: AuthStart) -> Self {
        let AuthStart { who, number, token, can_refresh } = start;
        let state = State::Hello { tried: None };
        Conversation { who, number, drawn: 0, state, id: 0, token, can_refresh, rejected: None, output: None }
    }

    /// Where the commands go: `admin`, `$external`, or what the application named.
    pub fn database(&self) -> &str {
        self.who.source()
    }

    /// What goes into the hello: the question for the user's mechanisms, and the first step of the likely one ("Speculative
    /// Authentication").
    pub fn hello_arguments(&mut self) -> HelloArguments {
        let mut arguments = HelloArguments::default();
        if self.who.0.mechanism.is_none() {
            arguments.sasl_supported_mechs = Some(format!("{}.{}", self.who.source(), self.who.user()));
        }
        let mechanism = self.who.0.mechanism.unwrap_or(AuthMechanism::ScramSha256);
        let worth_a_try = matches!(
            mechanism,
            AuthMechanism::ScramSha1 | AuthMechanism::ScramSha256 | AuthMechanism::MongoDbX509
        ) || (mechanism == AuthMechanism::MongoDbOidc && self.token.is_some());
        if worth_a_try && let Ok((talk, Next::Send(command))) = self.begin(mechanism, true) {
            arguments.speculative = Some(command);
            self.state = State::Hello { tried: Some(talk) };
        }
        arguments
    }

    /// The server's reply to the hello.
    pub fn handle_hello(&mut self, hello: &HelloReply) {
        let State::Hello { tried } = core::mem::replace(&mut self.state, State::Over) else {
            return self.fail("a hello out of turn");
        };
        // "If the server is of type RSArbiter, no authentication is possible and the handshake is complete."
        if hello.server_type() == ServerType::RsArbiter {
            return self.over(AuthOutput::Done);
        }
        if let (Some(talk), Some(reply)) = (tried, &hello.speculative_authenticate) {
            return match RawDoc::new(reply) {
                Ok(reply) if talk.takes(reply) => {
                    self.state = State::Talking(talk);
                    self.go_on(reply);
                }
                Ok(_) => self.begin_for_good(talk.mechanism()),
                Err(error) => self.fail(&error.to_string()),
            };
        }
        self.begin_for_good(self.who.0.mechanism.unwrap_or_else(|| negotiated(hello)));
    }

    /// In place of [`Conversation::handle_hello`] where the connection has logged in before and the server wants it to do so
    /// again ("Reauthentication": "Drivers MUST NOT resend a `hello` message").
    pub fn handle_reauthentication(&mut self) {
        self.begin_for_good(self.who.0.mechanism.unwrap_or(AuthMechanism::ScramSha256));
    }

    fn begin_for_good(&mut self, mechanism: AuthMechanism) {
        match self.begin(mechanism, false) {
            Ok((talk, next)) => {
                self.state = State::Talking(talk);
                self.do_next(next);
            }
            Err(reason) => {
                let message = format!("{}: {reason}", mechanism.as_str());
                self.over(AuthOutput::Failed(ErrorKind::Authentication { message }.into()));
            }
        }
    }

    fn do_next(&mut self, next: Next) {
        match next {
            Next::Send(command) => self.output = Some(AuthOutput::Send(command)),
            Next::Work(work) => self.output = Some(AuthOutput::Work(work)),
            Next::Satisfied => self.over(AuthOutput::Done),
        }
    }

    /// The token the connection has logged in with: what is to be forgotten when the server wants another one.
    pub fn token(&self) -> Option<&AccessToken> {
        self.token.as_ref()
    }

    /// The server's reply to [`AuthOutput::Send`].
    pub fn handle_reply(&mut self, reply: RawDoc<'_>) {
        let summary = match ReplySummary::parse(reply) {
            Ok(summary) => summary,
            Err(error) => return self.fail(&error.to_string()),
        };
        if summary.ok {
            return self.go_on(reply);
        }
        let error = command_error(&summary, reply);
        match &*error.kind {
            // A server that is about to leave says nothing about the credential: the driver judges these as it always does.
            ErrorKind::Command(failure)
                if failure.code == AUTHENTICATION_FAILED && self.has_another_try() => {}
            ErrorKind::Command(failure) if !is_retryable_write(failure.code) => {
                let reason = format!("{} (code {} {})", failure.message, failure.code, failure.code_name);
                self.fail(reason.trim());
            }
            _ => self.over(AuthOutput::Failed(error)),
        }
    }

    /// What came of [`AuthOutput::Work`].
    pub fn handle_answer(&mut self, answer: Answer) {
        match (&mut self.state, answer) {
            (State::Over, _) => {}
            (_, Answer::Failed(error)) => self.over(AuthOutput::Failed(error)),
            (State::Talking(Talk::Oidc(Oidc::Fetching(kind))), Answer::Token(token)) => {
                let payload = oidc::jwt_step(&token);
                let (oidc, command) = match kind {
                    TokenKind::Human(_) => (Oidc::New, sasl::go_on(self.id, &payload)),
                    TokenKind::Machine => {
                        (Oidc::New, sasl::start(AuthMechanism::MongoDbOidc, &payload, None))
                    }
                    TokenKind::Refresh => (
                        Oidc::Refreshed(token.clone()),
                        sasl::start(AuthMechanism::MongoDbOidc, &payload, None),
                    ),
                };
                self.token = Some(token);
                self.state = State::Talking(Talk::Oidc(oidc));
                self.output = Some(AuthOutput::Send(command));
            }
            #[cfg(feature = "auth")]
            (State::Talking(Talk::Scram(scram)), Answer::Keys(keys)) => match scram.client_final(&keys) {
                Ok(payload) => self.output = Some(AuthOutput::Send(sasl::go_on(self.id, &payload))),
                Err(reason) => self.fail(&reason),
            },
            #[cfg(feature = "auth")]
            (State::Talking(Talk::Aws(aws)), Answer::AwsKeys(keys, unix_time)) => {
                match aws.client_second(&keys, unix_time) {
                    Ok(payload) => {
                        self.state = State::Talking(Talk::Last(AuthMechanism::MongoDbAws));
                        self.output = Some(AuthOutput::Send(sasl::go_on(self.id, &payload)));
                    }
                    Err(reason) => self.fail(&reason),
                }
            }
            _ => self.fail("an answer to what was not asked"),
        }
    }

    /// What there is to do; `None` until more is handed in.
    pub fn poll_output(&mut self) -> Option<AuthOutput> {
        self.output.take()
    }

    /// The first command of a mechanism.
    fn begin(&mut self, mechanism: AuthMechanism, in_hello: bool) -> Result<(Talk, Next), String> {
        let who = self.who.clone();
        let db = in_hello.then(|| who.source());
        let (talk, command) = match mechanism {
            #[cfg(feature = "auth")]
            AuthMechanism::ScramSha1 | AuthMechanism::ScramSha256 => {
                let hash = if mechanism == AuthMechanism::ScramSha1 { Hash::Sha1 } else { Hash::Sha256 };
                let scram = scram::Scram::new(hash, who.user(), self.nonce().get(..24).unwrap_or_default());
                let command = sasl::start(mechanism, &scram.client_first(), db);
                (Talk::Scram(scram), command)
            }
            AuthMechanism::Plain => {
                // RFC 4616: no authorization identity, then name and password.
                let password = who.0.password.as_ref().map_or("", |password| password.as_str());
                let payload = Zeroizing::new(format!("\0{}\0{password}", who.user()));
                (Talk::Last(mechanism), sasl::start(mechanism, payload.as_bytes(), db))
            }
            AuthMechanism::MongoDbX509 => (Talk::Last(mechanism), sasl::x509(&who, db)),
            #[cfg(feature = "auth")]
            AuthMechanism::MongoDbAws => {
                let nonce = self.nonce();
                let aws = aws::Aws::new(nonce.first_chunk().copied().unwrap_or_default());
                let command = sasl::start(mechanism, &aws.client_first(), db);
                (Talk::Aws(aws), command)
            }
            #[cfg(not(feature = "auth"))]
            AuthMechanism::ScramSha1 | AuthMechanism::ScramSha256 | AuthMechanism::MongoDbAws => {
                return Err("this build leaves it out (feature `auth`)".into());
            }
            AuthMechanism::MongoDbOidc => match &self.token {
                Some(token) => {
                    let command = sasl::start(mechanism, &oidc::jwt_step(token), db);
                    (Talk::Oidc(Oidc::Kept(token.clone())), command)
                }
                None => return Ok(self.without_token(None, false)),
            },
            AuthMechanism::Gssapi => return Err("not supported by this version of Quorate".into()),
        };
        Ok((talk, Next::Send(command)))
    }

    /// OIDC without a token kept: a machine's callback gives one, or a human's, who may have left a refresh token behind; else
    /// the server is asked first whose tokens it takes.
    fn without_token(&self, rejected: Option<AccessToken>, refresh_rejected: bool) -> (Talk, Next) {
        let kind = match (self.who.0.human, self.can_refresh) {
            (false, _) => TokenKind::Machine,
            (true, true) => TokenKind::Refresh,
            (true, false) => {
                let payload = oidc::principal_step(self.who.0.user.as_deref());
                let command = sasl::start(AuthMechanism::MongoDbOidc, &payload, None);
                return (Talk::Oidc(Oidc::Principal), Next::Send(command));
            }
        };
        let request = TokenRequest { kind: kind.clone(), rejected, refresh_rejected };
        (Talk::Oidc(Oidc::Fetching(kind)), Next::Work(Work::Token(request)))
    }

    /// "If the server returns a Authentication error (18), invalidate that access token", and get another one; for a token that
    /// was new this was the last word.
    fn has_another_try(&mut self) -> bool {
        let State::Talking(Talk::Oidc(oidc)) = &self.state else { return false };
        let (Oidc::Kept(token) | Oidc::Refreshed(token)) = oidc else { return false };
        let refreshed = matches!(oidc, Oidc::Refreshed(_));
        let token = token.clone();
        self.can_refresh &= !refreshed;
        self.rejected = Some((token.clone(), refreshed));
        self.token = None;
        let (talk, next) = self.without_token(Some(token), refreshed);
        self.state = State::Talking(talk);
        self.do_next(next);
        true
    }

    /// Random bytes, others each time.
    #[cfg(feature = "auth")]
    fn nonce(&mut self) -> Zeroizing<Vec<u8>> {
        self.drawn = self.drawn.wrapping_add(1);
        let which = [self.number.to_le_bytes(), self.drawn.to_le_bytes()].concat();
        Hash::Sha256.hmac(&*self.who.0.entropy, &which)
    }

    /// A reply with `ok: 1`, or what the hello's reply had inside.
    fn go_on(&mut self, reply: RawDoc<'_>) {
        let State::Talking(talk) = &mut self.state else { return self.fail("the server speaks out of turn") };
        let rejected = &mut self.rejected;
        let next = match SaslReply::parse(reply) {
            Ok(reply) => {
                self.id = reply.conversation;
                talk.handle(&reply, &self.who, rejected).map(|next| (next, reply.done))
            }
            Err(reason) => Err(reason),
        };
        match next {
            Err(reason) => self.fail(&reason),
            Ok((Next::Satisfied, _)) => self.over(AuthOutput::Done),
            // "done" must never come before the server's own proof.
            Ok((_, true)) => self.fail("the server ends the conversation too early"),
            Ok((next, false)) => self.do_next(next),
        }
    }

    fn fail(&mut self, reason: &str) {
        let mechanism = match &self.state {
            State::Talking(talk) => talk.mechanism(),
            _ => self.who.0.mechanism.unwrap_or(AuthMechanism::ScramSha256),
        };
        let message = format!("{}: {reason}", mechanism.as_str());
        self.over(AuthOutput::Failed(ErrorKind::Authentication { message }.into()));
    }

    fn over(&mut self, output: AuthOutput) {
        self.state = State::Over;
        self.output = Some(output);
    }
}

/// "Default Authentication Methods": what the hello's reply says of the user decides.
fn negotiated(hello: &HelloReply) -> AuthMechanism {
    let strong = AuthMechanism::ScramSha256;
    let has = |names: &&[String]| names.iter().any(|name| name == strong.as_str());
    match hello.sasl_supported_mechs.as_deref().filter(|names| has(names)) {
        Some(_) => strong,
        None => AuthMechanism::ScramSha1,
    }
}

impl Talk {
    /// Whether what came back inside of a hello's reply is to be gone on with. A token shown in vain there is no failure: "clear
    /// the Connection Cache and proceed to the next step".
    fn takes(&self, reply: RawDoc<'_>) -> bool {
        !matches!(self, Talk::Oidc(_)) || SaslReply::parse(reply).is_ok_and(|reply| reply.done)
    }

    fn mechanism(&self) -> AuthMechanism {
        match self {
            #[cfg(feature = "auth")]
            Talk::Scram(scram) => scram.hash().mechanism(),
            #[cfg(feature = "auth")]
            Talk::ScramEmpty(hash) => hash.mechanism(),
            #[cfg(feature = "auth")]
            Talk::Aws(_) => AuthMechanism::MongoDbAws,
            Talk::Oidc(_) => AuthMechanism::MongoDbOidc,
            Talk::Last(mechanism) => *mechanism,
        }
    }

    /// A reply of the server; errors are words for the reason.
    fn handle(
        &mut self,
        reply: &SaslReply<'_>,
        who: &Authenticator,
        rejected: &mut Option<(AccessToken, bool)>,
    ) -> Result<Next, String> {
        match self {
            #[cfg(feature = "auth")]
            Talk::Scram(scram) => match scram.handle(reply.payload, who.user(), who.password())? {
                scram::Step::Derive(job) => Ok(Next::Work(Work::Derive(job))),
                scram::Step::Proven if reply.done => Ok(Next::Satisfied),
                scram::Step::Proven => {
                    *self = Talk::ScramEmpty(scram.hash());
                    Ok(Next::Send(sasl::go_on(reply.conversation, &[])))
                }
            },
            #[cfg(feature = "auth")]
            Talk::Aws(aws) => {
                aws.server_first(reply.payload)?;
                Ok(Next::Work(Work::AwsKeys))
            }
            Talk::Oidc(Oidc::Principal) => {
                let kind = TokenKind::Human(oidc::idp_info(reply.payload)?);
                *self = Talk::Oidc(Oidc::Fetching(kind.clone()));
                let (rejected, refresh_rejected) =
                    rejected.take().map_or((None, false), |(token, refreshed)| (Some(token), refreshed));
                Ok(Next::Work(Work::Token(TokenRequest { kind, rejected, refresh_rejected })))
            }
            // Its command is no SASL: there is no "done" in the reply.
            Talk::Last(AuthMechanism::MongoDbX509) => Ok(Next::Satisfied),
            _ if reply.done => Ok(Next::Satisfied),
            _ => Err("the server wants more than the mechanism has".into()),
        }
    }
}

#[cfg(all(test, feature = "auth"))]
#[path = "conversation_tests.rs"]
mod tests;
