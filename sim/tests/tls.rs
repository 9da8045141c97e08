//! Simulated servers that require TLS, with a private authority, in virtual time and on real sockets.

use quorate_sim::bson::{self, Document, doc};
use quorate_sim::mongod::User;
use quorate_sim::quorate::Client;
use quorate_sim::quorate::error::ErrorKind;
use quorate_sim::quorate::options::{ClientOptions, Compressor};
use quorate_sim::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use quorate_sim::rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use quorate_sim::rustls::{crypto::ring, server::WebPkiClientVerifier};
use quorate_sim::{Cluster, SimRuntime};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const HOSTS: [&str; 8] = ["db0", "db1", "db2", "db3", "router0", "router1", "localhost", "127.0.0.1"];

/// A private authority; what it signs.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    name: &'static str,
}

impl Authority {
    fn new(name: &'static str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
        Authority { issuer: issuer.expect("an authority"), name }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sim-{}-{name}.pem", self.name));
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// `tlsCAFile`.
    fn option(&self) -> String {
        format!("tlsCAFile={}", self.write("ca", &self.issuer.pem()).display())
    }

    fn sign(&self, hosts: &[&str]) -> (CertificateDer<'static>, KeyPair, String) {
        self.sign_for("servers", hosts)
    }

    fn sign_for(&self, subject: &str, hosts: &[&str]) -> (CertificateDer<'static>, KeyPair, String) {
        let key = KeyPair::generate().expect("a key");
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).expect("names");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, subject);
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        let pem = signed.pem() + &key.serialize_pem();
        (signed.der().clone(), key, pem)
    }

    /// What servers of those names show. With `clients`, these need a certificate too.
    fn servers(&self, hosts: &[&str], clients: bool) -> Arc<ServerConfig> {
        let (certificate, key, _) = self.sign(hosts);
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let builder = if clients {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        Arc::new(builder.with_single_cert(vec![certificate], key).expect("a configuration"))
    }
}

fn orders(client: &Client<SimRuntime>) -> quorate_sim::quorate::Collection<Document, SimRuntime> {
    client.database("shop").collection("orders")
}

async fn ping(client: &Client<SimRuntime>) -> quorate_sim::quorate::error::Result<()> {
    client.database("admin").run_command(doc! { "ping": 1 }).await.map(drop)
}

/// The guide's deployment: a private authority, a user, compression; step-down, kill, hang.
#[test]
fn a_client_goes_through_failovers() {
    let authority = Authority::new("failover");
    let cluster = Cluster::replica_set().members(3).tls(authority.servers(&HOSTS, false));
    let cluster = cluster.user("user", "pencil").compressors(&[Compressor::Snappy]).seed(1).build();
    cluster.run(async {
        let options = format!("{}&compressors=snappy&w=majority", authority.option());
        let client = cluster.client(&options).await.expect("options");
        for id in 0..200 {
            let primary = cluster.primary();
            match id {
                20 => cluster.step_down(primary.expect("a primary")),
                80 => cluster.kill(primary.expect("a primary")),
                140 => {
                    cluster.start(0);
                    cluster.start(1);
                    cluster.start(2);
                    cluster.hang(primary.expect("a primary"));
                }
                _ => {}
            }
            orders(&client)
                .insert_one(doc! { "_id": id, "text": "x".repeat(20_000) })
                .await
                .expect("written");
            cluster.sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(orders(&client).count_documents(doc! {}).await.expect("a count"), 200);
        client.shutdown().await;
    });
}

#[test]
fn whoever_cannot_be_trusted_is_not_talked_to() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    for (servers, option, says) in [
        (ours.servers(&HOSTS, false), others.option(), "certificate"),
        (ours.servers(&["elsewhere"], false), ours.option(), "elsewhere"),
        (ours.servers(&HOSTS, true), ours.option(), "certificate"),
        (ours.servers(&HOSTS, false), "tls=false".to_owned(), ""),
    ] {
        let cluster = Cluster::standalone().tls(servers).seed(2).build();
        cluster.run(async {
            // Only `tls=false` contradicts the connection string.
            let uri = cluster.uri().replace("tls=true", &option).replace("/?tlsCA", "/?tls=true&tlsCA");
            let uri = format!("{uri}&serverSelectionTimeoutMS=2000");
            let options = ClientOptions::parse(&uri).await.expect("options");
            let client = Client::on(cluster.runtime(0), options).expect("a client");
            let error = ping(&client).await.expect_err("no connection");
            assert!(matches!(*error.kind, ErrorKind::ServerSelection { .. }), "{error:?}");
            assert!(error.to_string().contains(says), "{error}");
            // The operator comes in the clear.
            let reply = cluster.command(0, doc! { "ping": 1 }).await.expect("an answer");
            assert_eq!(reply.get_f64("ok").ok(), Some(1.0));
        });
    }
}

#[test]
fn clients_can_have_certificates_and_clusters_routers() {
    let authority = Authority::new("routers");
    let (_, _, pem) = authority.sign(&["app"]);
    let key = authority.write("client", &pem);
    let option = format!("{}&tlsCertificateKeyFile={}", authority.option(), key.display());
    let servers = authority.servers(&[&HOSTS[..], &["balancer"]].concat(), true);
    for builder in [Cluster::sharded(), Cluster::load_balanced()] {
        let cluster = builder.tls(servers.clone()).seed(3).build();
        cluster.run(async {
            let client = cluster.client(&option).await.expect("options");
            orders(&client).insert_one(doc! { "_id": 1 }).await.expect("written");
            assert_eq!(orders(&client).count_documents(doc! {}).await.expect("a count"), 1);
        });
    }
}

/// MONGODB-X509: the subject of the certificate is the user.
#[test]
fn a_certificate_can_be_a_user() {
    let authority = Authority::new("users");
    let key = |subject: &'static str| {
        let (_, _, pem) = authority.sign_for(subject, &["app"]);
        format!("tlsCertificateKeyFile={}", authority.write(subject, &pem).display())
    };
    let user = User::certified("CN=app");
    for builder in [Cluster::replica_set(), Cluster::sharded()] {
        let cluster = builder.add_user(user.clone()).tls(authority.servers(&HOSTS, true)).seed(5).build();
        cluster.run(async {
            let option = format!("{}&{}", authority.option(), key("app"));
            let client = cluster.client(&option).await.expect("options");
            for id in 0..50 {
                if id == 25 && cluster.routers().is_empty() {
                    cluster.kill(cluster.primary().expect("a primary"));
                }
                orders(&client).insert_one(doc! { "_id": id }).await.expect("written");
            }
            let option = format!("{}&{}", authority.option(), key("somebody"));
            for uri in [cluster.uri().to_owned(), cluster.uri().replace("CN%3Dapp@", "")] {
                let options = ClientOptions::parse(format!("{uri}&{option}")).await.expect("options");
                let client = Client::on(cluster.runtime(0), options).expect("a client");
                let error = orders(&client).insert_one(doc! { "_id": 1 }).await.expect_err("no such user");
                assert!(matches!(*error.kind, ErrorKind::Authentication { .. }), "{error:?}");
            }
        });
    }
}

/// As any program on this machine sees them.
#[test]
fn real_sockets_have_it_too() {
    let authority = Authority::new("served");
    let cluster = Cluster::replica_set().members(3).tls(authority.servers(&HOSTS, false)).seed(4).serve();
    let cluster = cluster.expect("ports");
    let primary = cluster.primary().expect("a primary");
    assert!(cluster.uri().contains("tls=true"));
    let mut roots = RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let name = "localhost".try_into().expect("a name");
    let session = ClientConnection::new(config, name).expect("a session");
    let address = cluster.addresses()[primary].to_string();
    let mut stream = StreamOwned::new(session, TcpStream::connect(&address).expect("a connection"));
    // An OP_MSG: length, number, in answer to none, op code, flags, body.
    let body = bson::serialize_to_vec(&doc! { "hello": 1, "$db": "admin" }).expect("a document");
    let head = [21 + body.len() as i32, 1, 0, 2013, 0].map(i32::to_le_bytes).concat();
    stream.write_all(&[&head, &[0][..], &body].concat()).expect("sent");
    let mut head = [0; 21];
    stream.read_exact(&mut head).expect("an answer");
    let reply = Document::from_reader(stream).expect("a document");
    assert_eq!(reply.get_bool("isWritablePrimary").ok(), Some(true));
    // The operator comes in the clear; nobody else may.
    let reply = cluster.command(primary, doc! { "hello": 1 }).expect("an answer to the operator");
    assert_eq!(reply.get_f64("ok").ok(), Some(1.0));
    let mut clear = TcpStream::connect(address).expect("a connection");
    clear
        .write_all(
            &[&[21 + body.len() as u8, 0, 0, 0][..], &[0; 8], &[221, 7, 0, 0, 0, 0, 0, 0, 0], &body].concat(),
        )
        .expect("sent");
    assert_eq!(clear.read(&mut [0; 1]).unwrap_or(0), 0, "closed without a word");
}
