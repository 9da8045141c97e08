//! What is signed for MONGODB-AWS, held against AWS's own signing crate.
//!
//! That crate is no dependency of the driver: it wants `std`, and brings some fifty crates along, `tokio` and `tracing` among them.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use quorate_core::auth::{Answer, AuthOutput, Authenticator, AwsKeys, Conversation, Work};
use quorate_core::options::{AuthMechanism, Credential};
use quorate_core::raw::RawDoc;
use quorate_core::{Duration, HelloReply, Rng};
use std::time::{SystemTime, UNIX_EPOCH};

const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

struct Case {
    id: String,
    secret: String,
    token: Option<String>,
    host: &'static str,
    region: &'static str,
    time: Duration,
}

impl Case {
    fn draw(rng: &mut Rng) -> Case {
        const HOSTS: [(&str, &str); 4] = [
            ("sts.amazonaws.com", "us-east-1"),
            ("sts.us-west-2.amazonaws.com", "us-west-2"),
            ("sts.eu-central-1.amazonaws.com", "eu-central-1"),
            ("localhost", "us-east-1"),
        ];
        let (host, region) = HOSTS[rng.below(HOSTS.len())];
        Case {
            id: text(rng, 20),
            secret: text(rng, 40),
            token: (rng.below(2) == 0).then(|| text(rng, 300)),
            host,
            region,
            // Until the year 2096.
            time: Duration::from_secs(rng.below(4_000_000_000) as u64),
        }
    }

    /// The client's second message, and the nonce that the server gave.
    fn ours(&self, rng: &mut Rng) -> (Document, Vec<u8>) {
        let mut credential = Credential::default();
        credential.mechanism = Some(AuthMechanism::MongoDbAws);
        let mut talk = Conversation::new(Authenticator::new(&credential, [3; 32]).start(rng.next_u64()));
        let hello = bytes(&doc! { "ok": 1, "isWritablePrimary": true, "maxWireVersion": 17 });
        talk.handle_hello(&HelloReply::parse(RawDoc::new(&hello).expect("BSON")).expect("a hello"));
        let mut nonce = payload(&mut talk).get_binary_generic("r").expect("a nonce").clone();
        nonce.extend((0..32).map(|_| rng.below(256) as u8));
        let first = bytes(&doc! { "s": binary(&nonce), "h": self.host });
        let reply = bytes(&doc! { "ok": 1, "conversationId": 1, "done": false, "payload": binary(&first) });
        talk.handle_reply(RawDoc::new(&reply).expect("BSON"));
        assert!(matches!(talk.poll_output(), Some(AuthOutput::Work(Work::AwsKeys))));
        let mut keys = AwsKeys::new(&self.id, &self.secret);
        keys.session_token = self.token.clone().map(Into::into);
        talk.handle_answer(Answer::AwsKeys(keys, self.time));
        (payload(&mut talk), nonce)
    }

    /// The signature by the crate.
    fn theirs(&self, nonce: &[u8]) -> String {
        let identity = Credentials::new(&self.id, &self.secret, self.token.clone(), None, "test").into();
        let time: SystemTime = UNIX_EPOCH + self.time;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name("sts")
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .expect("parameters");
        let nonce = base64(nonce);
        let length = BODY.len().to_string();
        let headers = [
            ("content-length", length.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-mongodb-gs2-cb-flag", "n"),
            ("x-mongodb-server-nonce", &nonce),
        ];
        let uri = format!("https://{}/", self.host);
        let body = SignableBody::Bytes(BODY.as_bytes());
        let request = SignableRequest::new("POST", uri, headers.into_iter(), body).expect("a request");
        sign(request, &params.into()).expect("a signature").into_parts().1
    }
}

fn text(rng: &mut Rng, length: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+=";
    (0..length).map(|_| char::from(LETTERS[rng.below(LETTERS.len())])).collect()
}

fn bytes(document: &Document) -> Vec<u8> {
    bson::serialize_to_vec(document).expect("BSON")
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

/// `bson`'s extended JSON knows base 64.
fn base64(nonce: &[u8]) -> String {
    let json = bson::Bson::Binary(binary(nonce)).into_relaxed_extjson();
    json["$binary"]["base64"].as_str().expect("base 64").to_owned()
}

fn payload(talk: &mut Conversation) -> Document {
    let Some(AuthOutput::Send(command)) = talk.poll_output() else { panic!("{talk:?}") };
    let command: Document = bson::deserialize_from_slice(&command).expect("a command");
    bson::deserialize_from_slice(command.get_binary_generic("payload").expect("a payload")).expect("BSON")
}

#[test]
fn as_aws_signs_it() {
    let mut rng = Rng::new(391);
    for _ in 0..300 {
        let case = Case::draw(&mut rng);
        let (second, nonce) = case.ours(&mut rng);
        let header = second.get_str("a").expect("a header");
        let signature = header.rsplit_once("Signature=").expect("a signature").1;
        assert_eq!(signature, case.theirs(&nonce), "{header}");
        assert_eq!(second.get_str("t").ok(), case.token.as_deref());
    }
}
