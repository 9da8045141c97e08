//! Seeds that are no MongoDB, and deployments that are not the one asked for.

use super::child::{Case, Servers};
use super::client::{connect, expect_no_server, expect_service};
use super::pair;
use quorate_harness::hostile::{Answer, HostileServer, Request, body};
use quorate_harness::{Accept, Proxy};
use std::any::Any;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![everybody_is_listed()];
    cases.extend(no_mongodb("http", "message length 1347703880", || keep(HostileServer::http())));
    cases.extend(no_mongodb("random_bytes", "", || keep(HostileServer::random_bytes(7))));
    cases.extend(no_mongodb("two_gib_header", "2147483647", || keep(HostileServer::giant_header())));
    cases.extend(no_mongodb("closed_port", "refused", closed_port));
    cases.extend(no_mongodb("port_that_never_answers", "no connection within 300 ms|in time", black_hole));
    cases.extend(no_mongodb("accepts_and_says_nothing", "timed out during the handshake|in time", || {
        keep(HostileServer::silent())
    }));
    cases.extend(no_mongodb("accepts_and_closes", "closed|reset", || keep(HostileServer::closing())));
    cases.extend([wrong_set_name(), set_name_that_changes(), unknown_host()]);
    cases.extend([
        tls_not_spoken("silent"),
        tls_not_spoken("http"),
        tls_not_spoken("mongodb"),
        tls_unasked(),
    ]);
    cases
}

type Kept = (String, Box<dyn Any>);

fn keep(server: std::io::Result<HostileServer>) -> Kept {
    let server = server.expect("a port");
    (server.address(), Box::new(server))
}

fn closed_port() -> Kept {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    (port.local_addr().expect("an address").to_string(), Box::new(()))
}

/// A port whose connection attempts get no answer at all.
fn black_hole() -> Kept {
    let proxy = Proxy::start("127.0.0.1:1").expect("a port");
    proxy.set_accept(Accept::BlackHole);
    (proxy.address(), Box::new(proxy))
}

/// Alone it is an error that says what it is; beside a healthy server it is no hindrance.
fn no_mongodb(name: &str, words: &'static str, start: fn() -> Kept) -> [Case; 2] {
    let alone = Case::new(
        format!("seeds::{name}"),
        move || {
            let (address, keep) = start();
            Servers { addresses: vec![address], keep }
        },
        move |seeds| async move {
            let client = connect(&seeds, "").await;
            expect_no_server(&client, &[(&seeds[0], words)]).await;
            // And again: the state it is in has not become a worse one.
            expect_no_server(&client, &[(&seeds[0], words)]).await;
        },
    );
    let beside = Case::new(
        format!("seeds::{name}_beside_a_healthy_one"),
        move || {
            let (address, keep) = start();
            pair::with(address, keep)
        },
        |seeds| async move {
            let client = connect(&seeds, "&replicaSet=rs").await;
            expect_service(&client, 20).await;
        },
    );
    [alone, beside]
}

fn everybody_is_listed() -> Case {
    let start = || {
        let (closed, _) = closed_port();
        let (http, a) = keep(HostileServer::http());
        let (closing, b) = keep(HostileServer::closing());
        let (silent, c) = keep(HostileServer::silent());
        Servers { addresses: vec![closed, http, closing, silent], keep: Box::new((a, b, c)) }
    };
    Case::new("seeds::every_server_is_listed_with_its_last_error", start, |seeds| async move {
        let client = connect(&seeds, "&replicaSet=rs").await;
        let words = ["refused", "message length 1347703880", "closed|reset", "timed out|in time"];
        let listed: Vec<_> = seeds.iter().map(String::as_str).zip(words).collect();
        let error = expect_no_server(&client, &listed).await;
        assert!(error.to_string().contains("ReplicaSetNoPrimary"), "{error}");
    })
}

fn scripted(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Servers {
    let (address, keep) = keep(HostileServer::scripted(script));
    Servers { addresses: vec![address], keep }
}

fn wrong_set_name() -> Case {
    let start = || pair::start(|request, names| pair::honest(request, &names.secondary_hello()));
    Case::new("seeds::wrong_replica_set_name", start, |seeds| async move {
        let client = connect(&seeds[1..], "&replicaSet=other").await;
        let error = expect_no_server(&client, &[]).await.to_string();
        assert!(error.contains("other") && error.contains("\"rs\""), "{error}");
        assert!(error.contains(&seeds[1]), "{error}");
        // Asked for directly it is an error too.
        let client = connect(&seeds[1..], "&replicaSet=other&directConnection=true").await;
        let error = expect_no_server(&client, &[(&seeds[1], "")]).await.to_string();
        assert!(error.contains("other") && error.contains("\"rs\""), "{error}");
    })
}

fn set_name_that_changes() -> Case {
    // How many hellos the present configuration lasts.
    const HONEST: u32 = 8;
    let start = || {
        let hellos = AtomicU32::new(0);
        let own = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
        let me = own.clone();
        let server = HostileServer::scripted(move |request| {
            let me = me.get().map_or("", String::as_str);
            let count = if request.is_hello() { hellos.fetch_add(1, Ordering::Relaxed) } else { 0 };
            pair::honest(request, &body::hello_primary(if count < HONEST { "rs" } else { "new" }, me, &[me]))
        });
        let (address, keep) = keep(server);
        let _ = own.set(address.clone());
        Servers { addresses: vec![address], keep }
    };
    Case::new("seeds::primary_that_changes_its_set_name", start, |seeds| async move {
        let client = connect(&seeds, "&replicaSet=rs").await;
        expect_service(&client, 1).await;
        tokio::time::sleep(Duration::from_millis(500 * u64::from(HONEST))).await;
        let error = expect_no_server(&client, &[]).await.to_string();
        assert!(error.contains("\"rs\"") && error.contains("\"new\""), "{error}");
        assert!(error.contains(&seeds[0]), "{error}");
    })
}

fn unknown_host() -> Case {
    let start = || Servers { addresses: vec!["no-such-host.invalid:27017".into()], keep: Box::new(()) };
    Case::new("seeds::host_that_has_no_address", start, |seeds| async move {
        let client = connect(&seeds, "").await;
        let error = expect_no_server(&client, &[("no-such-host.invalid:27017", "")]).await;
        assert!(error.to_string().contains("rror"), "{error}");
    })
}

fn tls_not_spoken(what: &'static str) -> Case {
    let start = move || match what {
        "silent" => {
            let (address, keep) = keep(HostileServer::silent());
            Servers { addresses: vec![address], keep }
        }
        "http" => {
            let (address, keep) = keep(HostileServer::http());
            Servers { addresses: vec![address], keep }
        }
        _ => scripted(|request| pair::honest(request, &body::hello_standalone())),
    };
    Case::new(format!("seeds::tls_asked_of_a_{what}_server"), start, move |seeds| async move {
        let client = connect(&seeds, "&tls=true&tlsAllowInvalidCertificates=true").await;
        expect_no_server(&client, &[(&seeds[0], "TLS")]).await;
    })
}

/// A server that wants TLS answers what it cannot read with an alert.
fn tls_unasked() -> Case {
    const ALERT: [u8; 7] = [0x15, 3, 1, 0, 2, 2, 70];
    let start = || {
        let (address, keep) =
            keep(HostileServer::greeting_then(ALERT.to_vec(), |_| Answer::Close(Vec::new())));
        Servers { addresses: vec![address], keep }
    };
    Case::new("seeds::tls_not_asked_of_a_tls_server", start, |seeds| async move {
        let client = connect(&seeds, "").await;
        expect_no_server(&client, &[(&seeds[0], "closed|reset")]).await;
    })
}
