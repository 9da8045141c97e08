use super::*;
use crate::auth::oidc::TokenStore;
use crate::auth::{DeriveJob, KeyCache};
use crate::options::Credential;
use crate::options::oidc::{Callback, IdpServerInfo, IdpServerResponse};
use crate::raw::{DocWriter, Value};
use alloc::borrow::ToOwned;
use alloc::vec;
use bson::{Document, doc};

fn credential(mechanism: Option<AuthMechanism>) -> Credential {
    Credential {
        username: Some("user".into()),
        password: Some("canary".into()),
        mechanism,
        ..Credential::default()
    }
}

fn conversation(credential: &Credential) -> Conversation {
    Conversation::new(Authenticator::new(credential, [7; 32]).start(1))
}

fn hello(reply: Document) -> HelloReply {
    let mut whole = doc! { "ok": 1, "isWritablePrimary": true, "maxWireVersion": 17 };
    whole.extend(reply);
    HelloReply::parse(RawDoc::new(&bson::serialize_to_vec(&whole).unwrap()).unwrap()).unwrap()
}

fn sent(conversation: &mut Conversation) -> Document {
    match conversation.poll_output() {
        Some(AuthOutput::Send(command)) => bson::deserialize_from_slice(&command).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn failure(conversation: &mut Conversation) -> String {
    match conversation.poll_output() {
        Some(AuthOutput::Failed(error)) => {
            assert!(conversation.poll_output().is_none());
            error.to_string()
        }
        other => panic!("{other:?}"),
    }
}

fn derivation(conversation: &mut Conversation) -> DeriveJob {
    match conversation.poll_output() {
        Some(AuthOutput::Work(Work::Derive(job))) => job,
        other => panic!("{other:?}"),
    }
}

fn reply(conversation: &mut Conversation, reply: Document) {
    let bytes = bson::serialize_to_vec(&reply).unwrap();
    conversation.handle_reply(RawDoc::new(&bytes).unwrap());
}

fn payload(text: &str) -> bson::Binary {
    bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: text.as_bytes().to_vec() }
}

fn text(command: &Document) -> String {
    String::from_utf8(command.get_binary_generic("payload").unwrap().clone()).unwrap()
}

/// What a server that knows the password says.
struct Server {
    hash: Hash,
    first_bare: String,
    first: String,
}

impl Server {
    fn answer(hash: Hash, command: &Document) -> (Server, Document) {
        let said = text(command);
        let first_bare = said.strip_prefix("n,,").unwrap().to_owned();
        let nonce = first_bare.rsplit_once("r=").unwrap().1;
        let first = format!("r={nonce}server,s=c2FsdA==,i=4096");
        let reply = doc! { "conversationId": 3, "done": false, "payload": payload(&first), "ok": 1 };
        (Server { hash, first_bare, first }, reply)
    }

    fn finish(&self, job: &DeriveJob, command: &Document, done: bool) -> Document {
        assert_eq!(command.get_i32("conversationId").unwrap(), 3);
        let said = text(command);
        let signed = format!("{},{},{}", self.first_bare, self.first, said.rsplit_once(",p=").unwrap().0);
        let proof = self.hash.hmac(&job.run().server, signed.as_bytes());
        let proof = <base64ct::Base64 as base64ct::Encoding>::encode_string(&proof);
        doc! { "conversationId": 3, "done": done, "payload": payload(&format!("v={proof}")), "ok": 1 }
    }
}

#[test]
fn the_try_inside_the_hello_saves_a_round_trip() {
    let mut talk = conversation(&credential(None));
    let arguments = talk.hello_arguments();
    assert_eq!(arguments.sasl_supported_mechs.as_deref(), Some("admin.user"));
    let command: Document = bson::deserialize_from_slice(&arguments.speculative.unwrap()).unwrap();
    assert_eq!(command.keys().next().map(String::as_str), Some("saslStart"));
    assert_eq!(command.get_str("mechanism").unwrap(), "SCRAM-SHA-256");
    assert_eq!(command.get_str("db").unwrap(), "admin");
    assert_eq!(command.get_document("options").unwrap(), &doc! { "skipEmptyExchange": true });
    let (server, mut first) = Server::answer(Hash::Sha256, &command);
    first.remove("ok");
    talk.handle_hello(&hello(
        doc! { "saslSupportedMechs": ["SCRAM-SHA-256"], "speculativeAuthenticate": first },
    ));
    let job = derivation(&mut talk);
    assert!(talk.poll_output().is_none(), "it waits");
    talk.handle_answer(Answer::Keys(job.run()));
    let command = sent(&mut talk);
    assert_eq!(command.keys().next().map(String::as_str), Some("saslContinue"));
    reply(&mut talk, server.finish(&job, &command, true));
    assert!(matches!(talk.poll_output(), Some(AuthOutput::Done)));
}

/// "Default Authentication Methods".
#[test]
fn the_hello_decides_on_the_mechanism() {
    for (supported, expected) in [
        (Some(vec!["SCRAM-SHA-1", "SCRAM-SHA-256"]), "SCRAM-SHA-256"),
        (Some(vec!["SCRAM-SHA-256"]), "SCRAM-SHA-256"),
        (Some(vec!["SCRAM-SHA-1"]), "SCRAM-SHA-1"),
        (Some(vec!["PLAIN", "whatever"]), "SCRAM-SHA-1"),
        (Some(vec![]), "SCRAM-SHA-1"),
        (None, "SCRAM-SHA-1"),
    ] {
        let mut talk = conversation(&credential(None));
        let tried = talk.hello_arguments().speculative.unwrap();
        let reply = supported.map_or(doc! {}, |names| doc! { "saslSupportedMechs": names });
        talk.handle_hello(&hello(reply));
        let command = sent(&mut talk);
        assert_eq!(command.get_str("mechanism").unwrap(), expected);
        assert!(!command.contains_key("db"), "the command has a database of its own");
        let tried: Document = bson::deserialize_from_slice(&tried).unwrap();
        assert_ne!(text(&tried), text(&command), "a nonce is used once");
    }
    let mut named = conversation(&credential(Some(AuthMechanism::ScramSha1)));
    assert_eq!(named.hello_arguments().sasl_supported_mechs, None, "there is nothing to negotiate");
    named.handle_hello(&hello(doc! { "saslSupportedMechs": ["SCRAM-SHA-256"] }));
    assert_eq!(sent(&mut named).get_str("mechanism").unwrap(), "SCRAM-SHA-1", "what was named is kept to");
}

#[test]
fn an_old_server_gets_its_empty_exchange() {
    let mut talk = conversation(&credential(Some(AuthMechanism::ScramSha1)));
    talk.hello_arguments();
    talk.handle_hello(&hello(doc! {}));
    let (server, first) = Server::answer(Hash::Sha1, &sent(&mut talk));
    reply(&mut talk, first);
    let job = derivation(&mut talk);
    let mut cache = KeyCache::default();
    cache.insert(job.run());
    talk.handle_answer(Answer::Keys(cache.get(&job).unwrap()));
    let command = sent(&mut talk);
    reply(&mut talk, server.finish(&job, &command, false));
    assert_eq!(text(&sent(&mut talk)), "");
    reply(&mut talk, doc! { "conversationId": 3, "done": true, "payload": payload(""), "ok": 1 });
    assert!(matches!(talk.poll_output(), Some(AuthOutput::Done)));
}

#[test]
fn done_is_not_believed_before_the_server_has_proven_itself() {
    let mut talk = conversation(&credential(Some(AuthMechanism::ScramSha256)));
    talk.hello_arguments();
    talk.handle_hello(&hello(doc! {}));
    let (_, mut first) = Server::answer(Hash::Sha256, &sent(&mut talk));
    first.insert("done", true);
    reply(&mut talk, first);
    assert!(failure(&mut talk).contains("SCRAM-SHA-256: the server ends the conversation too early"));
}

#[test]
fn errors_name_the_mechanism_and_show_no_password() {
    for mechanism in [AuthMechanism::ScramSha1, AuthMechanism::ScramSha256, AuthMechanism::Plain] {
        let mut talk = conversation(&credential(Some(mechanism)));
        talk.hello_arguments();
        talk.handle_hello(&hello(doc! {}));
        let shown = format!("{talk:?} {:?}", talk.poll_output());
        assert!(shown.contains("user") && !shown.contains("canary") && !shown.contains("[99, 97"), "{shown}");
        reply(&mut talk, doc! { "ok": 0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": "no" });
        let name = mechanism.as_str();
        let expected = format!("authentication failed: {name}: no (code 18 AuthenticationFailed)");
        assert_eq!(failure(&mut talk), expected);
    }
}

/// What a server says when it is about to leave is the driver's to judge: it may be tried elsewhere.
#[test]
fn a_state_change_is_no_refusal() {
    let mut talk = conversation(&credential(None));
    talk.hello_arguments();
    talk.handle_hello(&hello(doc! {}));
    reply(&mut talk, doc! { "ok": 0, "code": 91, "errmsg": "shutting down" });
    match talk.poll_output() {
        Some(AuthOutput::Failed(error)) => assert_eq!(error.code(), Some(91)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn plain_says_it_in_one_message() {
    let plain = Credential { source: Some("$external".into()), ..credential(Some(AuthMechanism::Plain)) };
    let mut talk = conversation(&plain);
    assert!(talk.hello_arguments().speculative.is_none(), "a password is not sent on the off chance");
    talk.handle_hello(&hello(doc! {}));
    assert_eq!(talk.database(), "$external");
    let command = sent(&mut talk);
    assert_eq!(text(&command), "\0user\0canary");
    assert!(!command.contains_key("options"));
    reply(&mut talk, doc! { "conversationId": 1, "done": true, "payload": payload(""), "ok": 1 });
    assert!(matches!(talk.poll_output(), Some(AuthOutput::Done)));
}

#[test]
fn x509_names_the_user_only_if_the_application_does() {
    for user in [None, Some("CN=client")] {
        let mechanism = Some(AuthMechanism::MongoDbX509);
        let x509 = Credential { username: user.map(Into::into), mechanism, ..Credential::default() };
        let mut talk = conversation(&x509);
        let tried: Document =
            bson::deserialize_from_slice(&talk.hello_arguments().speculative.unwrap()).unwrap();
        let mut expected = doc! { "authenticate": 1, "mechanism": "MONGODB-X509" };
        if let Some(user) = user {
            expected.insert("user", user);
        }
        talk.handle_hello(&hello(doc! {}));
        assert_eq!(sent(&mut talk), expected);
        assert_eq!(talk.database(), "$external");
        reply(&mut talk, doc! { "dbname": "$external", "user": "CN=client", "ok": 1 });
        assert!(matches!(talk.poll_output(), Some(AuthOutput::Done)));
        expected.insert("db", "$external");
        assert_eq!(tried, expected);
        let mut quick = conversation(&x509);
        quick.hello_arguments();
        quick.handle_hello(&hello(doc! { "speculativeAuthenticate": { "dbname": "$external" } }));
        assert!(matches!(quick.poll_output(), Some(AuthOutput::Done)));
    }
}

#[test]
fn arbiters_ask_nobody_and_late_calls_do_nothing() {
    let mut talk = conversation(&credential(None));
    talk.hello_arguments();
    talk.handle_hello(&hello(doc! { "setName": "rs", "isWritablePrimary": false, "arbiterOnly": true }));
    assert!(matches!(talk.poll_output(), Some(AuthOutput::Done)));
    talk.handle_answer(Answer::Failed(Error::invalid_argument("late")));
    assert!(talk.poll_output().is_none());
}

#[test]
fn replies_that_are_none_fail_it() {
    let mut bytes = vec![];
    DocWriter::new(&mut bytes).i32("ok", 1).str("conversationId", "x").finish();
    let mut cut = bytes.clone();
    let at = cut.len() - 6;
    cut[at] = 0xfe;
    for bytes in [bytes, cut] {
        let mut talk = conversation(&credential(None));
        talk.hello_arguments();
        talk.handle_hello(&hello(doc! {}));
        let _ = sent(&mut talk);
        talk.handle_reply(RawDoc::new(&bytes).unwrap());
        assert!(failure(&mut talk).contains("authentication failed: SCRAM-SHA-1"));
    }
    assert!(Value::Null.as_bool().is_none());
}

fn with_tokens(credential: &Credential, tokens: &TokenStore) -> Conversation {
    Conversation::new(Authenticator::new(credential, [7; 32]).start(1).with_tokens(tokens))
}

fn oidc(human: bool) -> Credential {
    let give = |_| async { Ok(IdpServerResponse::new("unused")) };
    Credential {
        username: human.then(|| "me".to_string()),
        mechanism: Some(AuthMechanism::MongoDbOidc),
        oidc_callback: Some(if human { Callback::human(give) } else { Callback::machine(give) }),
        ..Credential::default()
    }
}

fn token(text: &str) -> AccessToken {
    AccessToken::from(Zeroizing::new(text.to_string()))
}

fn wanted(conversation: &mut Conversation) -> TokenRequest {
    match conversation.poll_output() {
        Some(AuthOutput::Work(Work::Token(request))) => request,
        other => panic!("{other:?}"),
    }
}

fn shown(command: &Document) -> Document {
    bson::deserialize_from_slice(command.get_binary_generic("payload").unwrap()).unwrap()
}

fn end(conversation: &mut Conversation) {
    reply(conversation, doc! { "conversationId": 1, "payload": payload(""), "done": true, "ok": 1 });
    assert!(matches!(conversation.poll_output(), Some(AuthOutput::Done)));
}

fn refuse(conversation: &mut Conversation) {
    reply(conversation, doc! { "ok": 0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": "no" });
}

/// MONGODB-OIDC, "One-Step".
#[test]
fn a_machines_token_is_shown_in_one_step() {
    let mut talk = with_tokens(&oidc(false), &TokenStore::default());
    assert!(talk.hello_arguments().speculative.is_none(), "there is nothing to show yet");
    talk.handle_hello(&hello(doc! {}));
    let request = wanted(&mut talk);
    assert_eq!((request.kind, request.rejected), (TokenKind::Machine, None));
    talk.handle_answer(Answer::Token(token("abcd1234")));
    let command = sent(&mut talk);
    // The specification's bytes.
    let mut bytes = vec![0x17, 0, 0, 0, 2];
    bytes.extend_from_slice(b"jwt\0\x09\0\0\0abcd1234\0\0");
    assert_eq!(command.get_binary_generic("payload").unwrap(), &bytes);
    assert_eq!(talk.token().unwrap().as_str(), "abcd1234");
    end(&mut talk);
}

/// MONGODB-OIDC, "Credential Caching" and "Speculative Authentication".
#[test]
fn a_kept_token_goes_inside_the_hello_and_is_replaced_when_it_is_refused() {
    let mut store = TokenStore::default();
    let machine = TokenRequest { kind: TokenKind::Machine, rejected: None, refresh_rejected: false };
    store.keep(&machine, IdpServerResponse::new("old"));
    let mut quick = with_tokens(&oidc(false), &store);
    let tried: Document =
        bson::deserialize_from_slice(&quick.hello_arguments().speculative.unwrap()).unwrap();
    assert_eq!((shown(&tried), tried.get_str("db").unwrap()), (doc! { "jwt": "old" }, "$external"));
    let done = doc! { "conversationId": 1, "payload": payload(""), "done": true };
    quick.handle_hello(&hello(doc! { "speculativeAuthenticate": done }));
    assert!(matches!(quick.poll_output(), Some(AuthOutput::Done)));

    for speculative in [None, Some(doc! { "done": false })] {
        let mut talk = with_tokens(&oidc(false), &store);
        talk.hello_arguments();
        let answer = speculative.map_or(doc! {}, |failed| doc! { "speculativeAuthenticate": failed });
        talk.handle_hello(&hello(answer));
        assert_eq!(shown(&sent(&mut talk)), doc! { "jwt": "old" });
        refuse(&mut talk);
        assert_eq!(wanted(&mut talk).rejected, Some(token("old")));
        talk.handle_answer(Answer::Token(token("new")));
        assert_eq!(shown(&sent(&mut talk)), doc! { "jwt": "new" });
        refuse(&mut talk);
        assert!(failure(&mut talk).contains("MONGODB-OIDC: no (code 18"), "a new token is the last word");
    }
    // "Raise any other errors to the user."
    let mut talk = with_tokens(&oidc(false), &store);
    talk.handle_hello(&hello(doc! {}));
    let _ = sent(&mut talk);
    reply(&mut talk, doc! { "ok": 0, "code": 20, "errmsg": "IllegalOperation" });
    assert!(failure(&mut talk).contains("code 20"));
}

/// MONGODB-OIDC, "Two-Step".
#[test]
fn for_a_humans_token_the_server_is_asked_first() {
    let mut talk = with_tokens(&oidc(true), &TokenStore::default());
    talk.hello_arguments();
    talk.handle_hello(&hello(doc! {}));
    assert_eq!(shown(&sent(&mut talk)), doc! { "n": "me" });
    let info = doc! { "issuer": "https://issuer", "clientId": "abcd", "requestScopes": ["a", "b"] };
    let info = bson::Binary {
        subtype: bson::spec::BinarySubtype::Generic,
        bytes: bson::serialize_to_vec(&info).unwrap(),
    };
    reply(&mut talk, doc! { "conversationId": 7, "payload": info, "done": false, "ok": 1 });
    let TokenKind::Human(info) = wanted(&mut talk).kind else { panic!("a human is asked") };
    assert_eq!(info.issuer, "https://issuer");
    assert_eq!(info.client_id.as_deref(), Some("abcd"));
    assert_eq!(info.request_scopes.unwrap(), ["a", "b"]);
    talk.handle_answer(Answer::Token(token("abcd1234")));
    let command = sent(&mut talk);
    assert_eq!(command.get_i32("conversationId").unwrap(), 7);
    assert_eq!(shown(&command), doc! { "jwt": "abcd1234" });
    end(&mut talk);
}

#[test]
fn a_refused_refresh_token_leads_back_to_the_human() {
    let mut store = TokenStore::default();
    let info = IdpServerInfo::new("https://issuer");
    let human = TokenRequest { kind: TokenKind::Human(info), rejected: None, refresh_rejected: false };
    let first = store.keep(&human, IdpServerResponse::new("first").with_refresh_token("r"));
    store.invalidate(&first);
    let mut talk = with_tokens(&oidc(true), &store);
    talk.hello_arguments();
    talk.handle_hello(&hello(doc! {}));
    assert_eq!(wanted(&mut talk).kind, TokenKind::Refresh);
    talk.handle_answer(Answer::Token(token("second")));
    assert_eq!(shown(&sent(&mut talk)), doc! { "jwt": "second" });
    refuse(&mut talk);
    assert_eq!(shown(&sent(&mut talk)), doc! { "n": "me" });
    let issuer = bson::serialize_to_vec(&doc! { "issuer": "https://issuer" }).unwrap();
    let issuer = bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: issuer };
    reply(&mut talk, doc! { "conversationId": 1, "payload": issuer, "done": false, "ok": 1 });
    let request = wanted(&mut talk);
    assert!(matches!(request.kind, TokenKind::Human(_)) && request.refresh_rejected);
    assert_eq!(request.rejected, Some(token("second")));
    talk.handle_answer(Answer::Token(token("third")));
    let _ = sent(&mut talk);
    end(&mut talk);
}

/// MONGODB-AWS, "Conversation".
#[test]
fn aws_keys_are_asked_for_when_the_server_has_named_its_host() {
    let mut talk = conversation(&credential(Some(AuthMechanism::MongoDbAws)));
    assert!(talk.hello_arguments().speculative.is_none());
    talk.handle_hello(&hello(doc! {}));
    let first = shown(&sent(&mut talk));
    let nonce = [first.get_binary_generic("r").unwrap().as_slice(), &[9; 32]].concat();
    let mut server = Vec::new();
    DocWriter::new(&mut server).binary("s", 0, &nonce).str("h", "sts.amazonaws.com").finish();
    let server = bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: server };
    reply(&mut talk, doc! { "conversationId": 1, "payload": server, "done": false, "ok": 1 });
    assert!(matches!(talk.poll_output(), Some(AuthOutput::Work(Work::AwsKeys))));
    let keys = crate::auth::AwsKeys::new("AKID", "canary");
    talk.handle_answer(Answer::AwsKeys(keys, crate::Duration::from_secs(1_573_086_367)));
    let second = shown(&sent(&mut talk));
    assert!(second.get_str("a").unwrap().starts_with("AWS4-HMAC-SHA256 Credential=AKID/20191107/"));
    end(&mut talk);
}
