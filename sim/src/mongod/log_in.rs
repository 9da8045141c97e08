//! Log-in, the server's side: which mechanism a conversation follows, who is logged in on a connection and for how long.

use super::conn::Conn;
use super::generic::missing;
use super::oidc::{self, IdentityProvider};
use super::scram;
use super::settings::{MongodSettings, User};
use crate::store::Failure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, doc};
use quorate_core::Rng;

/// The database of users whom somebody else vouches for.
pub(crate) const EXTERNAL: &str = "$external";

/// What a server knows of its users.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(super) scram: scram::Keyring,
    provider: Option<IdentityProvider>,
    rng: Rng,
}

/// Somebody who has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) db: String,
    /// When it ends, in milliseconds of wall-clock time.
    pub(crate) until: Option<i64>,
}

/// A log-in under way on one connection.
#[derive(Debug)]
pub(crate) enum Conversation {
    Scram(Box<scram::Conversation>),
    /// A human has been told where to get a token.
    Oidc,
}

/// What came of one step.
#[derive(Debug)]
pub(crate) enum Step {
    /// The client has to go on.
    Continue(Document, Conversation),
    /// It is who it says.
    Done(Document, Identity),
}

impl Credentials {
    pub(crate) fn new(settings: &MongodSettings, seed: u64) -> Self {
        // One stream of numbers for salts and one for nonces.
        Credentials {
            scram: scram::Keyring::new(settings.users.clone(), seed),
            provider: settings.identity_provider.clone(),
            rng: Rng::new(seed ^ 1),
        }
    }

    /// The mechanisms `hello` offers for `db.user`; `None` for a user there is not.
    pub(crate) fn mechanisms(&self, full_name: &str) -> Result<Option<Vec<Bson>>, Failure> {
        let Some((db, name)) = full_name.split_once('.') else {
            return Err(Failure::new(2, "UserName must contain a '.' separated database.user pair"));
        };
        let known = self.scram.find(name, db).is_some();
        Ok(known.then(|| vec!["SCRAM-SHA-256".into(), "SCRAM-SHA-1".into()]))
    }

    fn start(&mut self, body: &Document, db: &str, wall: i64) -> Result<Step, Failure> {
        let name = body.get_str("mechanism").map_err(|_| missing("saslStart.mechanism"))?;
        let payload = payload(body).ok_or_else(|| missing("saslStart.payload"))?;
        match name {
            "SCRAM-SHA-1" | "SCRAM-SHA-256" => {
                let (talk, reply) =
                    scram::Conversation::start(&mut self.scram, name, payload, body, db, &mut self.rng)?;
                Ok(Step::Continue(reply, Conversation::Scram(Box::new(talk))))
            }
            "PLAIN" if db == EXTERNAL => self.plain(&payload),
            "MONGODB-OIDC" if self.provider.is_some() => self.token(&payload, wall),
            _ => {
                let text = format!("Received authentication for mechanism {name} which is not enabled");
                Err(Failure::new(334, text))
            }
        }
    }

    /// MONGODB-X509: a user of the name that is in the client's certificate.
    fn certified(&self, body: &Document, subject: Option<String>) -> Result<(Document, Identity), Failure> {
        if !body.get_str("mechanism").is_ok_and(|name| name == "MONGODB-X509") {
            return Err(failed());
        }
        let text = "There is no x.509 client certificate matching the user.";
        let user = subject.ok_or_else(|| Failure::new(18, text))?;
        if body.get_str("user").is_ok_and(|named| named != user) {
            return Err(Failure::new(18, text));
        }
        self.scram.find(&user, EXTERNAL).ok_or_else(failed)?;
        let reply = doc! { "dbname": EXTERNAL, "user": &user };
        Ok((reply, Identity { user, db: EXTERNAL.to_owned(), until: None }))
    }

    fn go_on(&mut self, talk: Conversation, body: &Document, wall: i64) -> Result<Step, Failure> {
        if !body.get_i32("conversationId").is_ok_and(|id| id == 1) {
            return Err(Failure::new(17, "sasl: Mismatched conversation id"));
        }
        let payload = payload(body).ok_or_else(|| missing("saslContinue.payload"))?;
        match talk {
            Conversation::Scram(mut talk) => match talk.go_on(payload)? {
                scram::Step::Continue(reply) => Ok(Step::Continue(reply, Conversation::Scram(talk))),
                scram::Step::Done(reply, (user, db)) => {
                    Ok(Step::Done(reply, Identity { user, db, until: None }))
                }
            },
            Conversation::Oidc => self.token(&payload, wall),
        }
    }

    /// RFC 4616: nobody, the user, the password.
    fn plain(&self, payload: &[u8]) -> Result<Step, Failure> {
        let mut parts = payload.split(|byte| *byte == 0).skip(1).map(std::str::from_utf8);
        let (Some(Ok(user)), Some(Ok(password))) = (parts.next(), parts.next()) else { return Err(failed()) };
        let known = |known: &&User| {
            known.name == user && known.password == password && known.db == EXTERNAL && !password.is_empty()
        };
        let user = self.scram.users().iter().find(known).ok_or_else(failed)?;
        let identity = Identity { user: user.name.clone(), db: EXTERNAL.to_owned(), until: None };
        Ok(Step::Done(reply(Vec::new(), true), identity))
    }

    /// MONGODB-OIDC: a token, or the question where to get one.
    fn token(&self, payload: &[u8], wall: i64) -> Result<Step, Failure> {
        let provider = self.provider.as_ref().ok_or_else(failed)?;
        let said = Document::from_reader(payload).map_err(|_| failed())?;
        let Ok(token) = said.get_str("jwt") else {
            let info = oidc::whom_to_ask(provider);
            let bytes = bson::serialize_to_vec(&info).map_err(|_| failed())?;
            return Ok(Step::Continue(reply(bytes, false), Conversation::Oidc));
        };
        let (user, until) = provider.check(token, wall).ok_or_else(failed)?;
        let identity = Identity { user, db: EXTERNAL.to_owned(), until: Some(until) };
        Ok(Step::Done(reply(Vec::new(), true), identity))
    }
}

impl Conn {
    /// `saslStart`.
    pub(crate) fn sasl_start(
        &mut self,
        credentials: &mut Credentials,
        body: &Document,
        db: &str,
        wall: i64,
    ) -> Result<Document, Failure> {
        self.conversation = None;
        let step = credentials.start(body, db, wall)?;
        Ok(self.stepped(step))
    }

    /// `saslContinue`.
    pub(crate) fn sasl_continue(
        &mut self,
        credentials: &mut Credentials,
        body: &Document,
        wall: i64,
    ) -> Result<Document, Failure> {
        let talk = self.conversation.take();
        let talk = talk.ok_or_else(|| Failure::new(17, "No SASL session state found"))?;
        let step = credentials.go_on(talk, body, wall)?;
        Ok(self.stepped(step))
    }

    /// `authenticate`, from a client whose certificate has this subject.
    pub(crate) fn authenticate(
        &mut self,
        credentials: &Credentials,
        body: &Document,
        subject: Option<String>,
    ) -> Result<Document, Failure> {
        let (reply, identity) = credentials.certified(body, subject)?;
        Ok(self.stepped(Step::Done(reply, identity)))
    }

    /// The first step of a log-in that came with a hello. That it fails is not said: the client sees no answer to it.
    pub(crate) fn speculate(
        &mut self,
        credentials: &mut Credentials,
        body: &Document,
        subject: Option<String>,
        wall: i64,
    ) -> Option<Document> {
        if body.contains_key("authenticate") {
            return self.authenticate(credentials, body, subject).ok();
        }
        let db = body.get_str("db").unwrap_or("admin");
        self.sasl_start(credentials, body, db, wall).ok()
    }

    fn stepped(&mut self, step: Step) -> Document {
        match step {
            Step::Continue(reply, talk) => {
                self.conversation = Some(talk);
                reply
            }
            Step::Done(reply, identity) => {
                self.users.retain(|other| other.db != identity.db);
                self.users.push(identity);
                reply
            }
        }
    }

    /// Whether somebody is logged in. Who was, and is not any more, has to log in again.
    pub(crate) fn check_log_in(&mut self, command: &str, wall: i64) -> Result<(), Failure> {
        let before = self.users.len();
        self.users.retain(|identity| identity.until.is_none_or(|until| until > wall));
        if self.users.len() < before {
            return Err(Failure::new(391, "Expired session, please reauthenticate"));
        }
        if self.users.is_empty() {
            return Err(Failure::new(13, format!("command {command} requires authentication")));
        }
        Ok(())
    }
}

pub(crate) fn failed() -> Failure {
    Failure::new(18, "Authentication failed.")
}

pub(super) fn reply(bytes: Vec<u8>, done: bool) -> Document {
    let payload = Binary { subtype: BinarySubtype::Generic, bytes };
    doc! { "conversationId": 1, "done": done, "payload": payload }
}

fn payload(body: &Document) -> Option<Vec<u8>> {
    match body.get("payload")? {
        Bson::Binary(binary) => Some(binary.bytes.clone()),
        Bson::String(text) => BASE64.decode(text).ok(),
        _ => None,
    }
}
