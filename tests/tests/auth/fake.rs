//! A server that takes tokens and AWS signatures, which a real one does only as MongoDB's customers have it.

use quorate::bson::spec::BinarySubtype;
use quorate::bson::{Binary, Document, doc};
use quorate_harness::hostile::{Answer, HostileServer, Request, body};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What it knows and has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Tokens it takes.
    pub(crate) good: BTreeSet<String>,
    /// Connections that have logged in.
    known: BTreeSet<u64>,
    /// So many commands are answered by "log in again".
    pub(crate) tired: u32,
    /// What came, in order: `hello`, `jwt NAME`, `principal`, `ping` ...
    pub(crate) log: Vec<String>,
}

/// The server.
pub(crate) struct Fake {
    server: HostileServer,
    seen: Arc<Mutex<Seen>>,
}

impl Fake {
    pub(crate) fn start(good: &[&str]) -> Self {
        let good = good.iter().map(ToString::to_string).collect();
        let seen = Arc::new(Mutex::new(Seen { good, ..Seen::default() }));
        let shared = seen.clone();
        let server = HostileServer::scripted(move |request| {
            Answer::Bytes(request.reply(&lock(&shared).answer(request)))
        });
        Fake { server: server.expect("a port"), seen }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// The connection string, `login` before the host.
    pub(crate) fn uri(&self, login: &str, more: &str) -> String {
        format!("mongodb://{login}{}/?directConnection=true{more}", self.server.address())
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn binary(bytes: Vec<u8>) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes }
}

fn refusal(code: i32, name: &str) -> Document {
    doc! { "ok": 0, "code": code, "codeName": name, "errmsg": name }
}

fn payload(command: &Document) -> Document {
    let bytes = command.get_binary_generic("payload").expect("a payload");
    Document::from_reader(bytes.as_slice()).expect("a payload of BSON")
}

impl Seen {
    fn answer(&mut self, request: &Request) -> Document {
        let (body, connection) = (&request.body, request.connection);
        if request.is_hello() {
            let mut hello = body::hello_standalone();
            if let Ok(step) = body.get_document("speculativeAuthenticate") {
                let mut answer = self.sasl(step, connection);
                if answer.remove("ok").is_some_and(|ok| ok == 1.into()) {
                    hello.insert("speculativeAuthenticate", answer);
                }
            }
            return hello;
        }
        match request.command() {
            "saslStart" | "saslContinue" => self.sasl(body, connection),
            _ if !self.known.contains(&connection) => refusal(13, "Unauthorized"),
            "endSessions" => body::ok(),
            name => {
                self.log.push(name.to_owned());
                if self.tired > 0 {
                    self.tired -= 1;
                    self.known.remove(&connection);
                    return refusal(391, "ReauthenticationRequired");
                }
                body::ok()
            }
        }
    }

    fn sasl(&mut self, command: &Document, connection: u64) -> Document {
        let said = payload(command);
        let done = doc! { "conversationId": 1, "done": true, "payload": binary(Vec::new()), "ok": 1 };
        let more = |answer: Document| {
            let bytes = answer.to_vec().expect("a document");
            doc! { "conversationId": 1, "done": false, "payload": binary(bytes), "ok": 1 }
        };
        if let Ok(token) = said.get_str("jwt") {
            self.log.push(format!("jwt {token}"));
            if !self.good.contains(token) {
                return refusal(18, "AuthenticationFailed");
            }
        } else if let Ok(nonce) = said.get_binary_generic("r") {
            let nonce = [nonce.as_slice(), &[7; 32]].concat();
            return more(doc! { "s": binary(nonce), "h": "sts.us-west-2.amazonaws.com" });
        } else if let Ok(authorization) = said.get_str("a") {
            self.log.push(format!("aws {authorization} {}", said.get_str("t").unwrap_or("no token")));
        } else {
            self.log.push(format!("principal {}", said.get_str("n").unwrap_or("unnamed")));
            return more(doc! { "issuer": "https://issuer", "clientId": "us" });
        }
        self.known.insert(connection);
        done
    }
}
