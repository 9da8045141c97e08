//! The hostile servers do what their names say.

use bson::doc;
use quorate_harness::hostile::{Answer, HostileServer, bend, body};
use quorate_harness::wire::{self, Header};
use quorate_harness::{Admin, AdminError};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

fn dial(server: &HostileServer) -> TcpStream {
    let client = TcpStream::connect(server.address()).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client
}

fn hello() -> Vec<u8> {
    wire::op_msg(7, 0, 0, &doc! { "hello": 1, "$db": "admin" }.to_vec().unwrap())
}

fn io_kind(result: Result<bson::Document, AdminError>) -> ErrorKind {
    match result {
        Err(AdminError::Io(e)) => e.kind(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_canned_ones() {
    let server = HostileServer::http().unwrap();
    let mut client = dial(&server);
    client.write_all(&hello()).unwrap();
    let mut page = String::new();
    client.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 400 "), "{page}");

    let server = HostileServer::random_bytes(42).unwrap();
    let (mut one, mut two) = ([0; 9000], [0; 9000]);
    dial(&server).read_exact(&mut one).unwrap();
    dial(&server).read_exact(&mut two).unwrap();
    assert_eq!(one, two);
    assert_eq!(server.connections(), 2);

    let server = HostileServer::giant_header().unwrap();
    let mut client = dial(&server);
    client.write_all(&hello()).unwrap();
    let mut header = [0; 16];
    client.read_exact(&mut header).unwrap();
    let header = Header::from_bytes(header);
    assert_eq!((header.length, header.response_to), (i32::MAX, 7));

    let server = HostileServer::closing().unwrap();
    assert_eq!(dial(&server).read(&mut [0]).unwrap(), 0);

    let server = HostileServer::silent().unwrap();
    let mut admin = Admin::connect(&server.address(), Duration::from_millis(200)).unwrap();
    assert!(matches!(io_kind(admin.hello()), ErrorKind::WouldBlock | ErrorKind::TimedOut));
}

#[test]
fn a_script_answers_honestly_or_not() {
    let server = HostileServer::scripted(|request| match request.command() {
        "hello" => request.reply(&body::hello_standalone()).into(),
        "ping" => request.reply(&body::ok()).into(),
        "wrongId" => bend::response_to(request.reply(&body::ok()), 999).into(),
        "long" => bend::message_length(request.reply(&body::ok()), -5).into(),
        "liar" => bend::document_length(request.reply(&body::ok()), 1 << 20).into(),
        "half" => Answer::Close(bend::truncated(request.reply(&body::ok()), 20)),
        "reset" => Answer::Reset(Vec::new()),
        "slow" => Answer::Trickle(request.reply(&body::ok()), Duration::from_millis(1)),
        _ => Answer::Nothing,
    })
    .unwrap();
    let run = |name: &str| {
        let mut admin = Admin::connect(&server.address(), Duration::from_millis(500)).unwrap();
        admin.hello().unwrap();
        admin.run("admin", doc! { name: 1 })
    };
    run("ping").unwrap();
    run("slow").unwrap();
    for name in ["wrongId", "long", "liar"] {
        assert_eq!(io_kind(run(name)), ErrorKind::InvalidData, "{name}");
    }
    assert_eq!(io_kind(run("half")), ErrorKind::UnexpectedEof);
    assert_eq!(io_kind(run("reset")), ErrorKind::ConnectionReset);
    assert!(matches!(io_kind(run("mute")), ErrorKind::WouldBlock | ErrorKind::TimedOut));
}

#[test]
fn floods_greetings_and_old_hellos() {
    let unasked = wire::op_msg(1, 12345, 0, &body::ok().to_vec().unwrap());
    let server =
        HostileServer::greeting_then(unasked.clone(), move |_| Answer::flood(unasked.clone())).unwrap();
    let mut client = dial(&server);
    assert_eq!(wire::Message::read(&mut client).unwrap().unwrap().header.response_to, 12345);
    client.write_all(&hello()).unwrap();
    for _ in 0..10_000 {
        assert!(wire::Message::read(&mut client).unwrap().is_some());
    }

    let server = HostileServer::scripted(|r| {
        assert!(r.is_hello());
        r.reply(&body::hello_primary("rs", "a:1", &["a:1", "b:2"])).into()
    })
    .unwrap();
    let mut client = dial(&server);
    let query = [
        &0u32.to_le_bytes()[..],
        b"admin.$cmd\0",
        &0i32.to_le_bytes(),
        &(-1i32).to_le_bytes(),
        &doc! { "isMaster": 1, "helloOk": true }.to_vec().unwrap(),
    ]
    .concat();
    client.write_all(&wire::message(3, 0, wire::OP_QUERY, &query)).unwrap();
    let answer = wire::Message::read(&mut client).unwrap().unwrap();
    assert_eq!((answer.header.op_code, answer.header.response_to), (wire::OP_REPLY, 3));
    assert_eq!(answer.body().unwrap().get_str("setName").unwrap(), "rs");
}

#[test]
fn deep_and_wide_hellos_reach_the_client_whole() {
    let server = HostileServer::scripted(|request| {
        if request.index == 0 {
            request.reply_bytes(&body::with_nested_documents(&body::hello_standalone(), "x", 500_000)).into()
        } else {
            let mut hello = body::hello_standalone();
            hello.insert("hosts", body::many_hosts(100_000));
            request.reply(&hello).into()
        }
    })
    .unwrap();
    let mut client = dial(&server);
    client.write_all(&hello()).unwrap();
    let deep = wire::Message::read(&mut client).unwrap().unwrap();
    assert!(deep.payload.len() > 4_000_000);
    client.write_all(&hello()).unwrap();
    let wide = wire::Message::read(&mut client).unwrap().unwrap().body().unwrap();
    assert_eq!(wide.get_array("hosts").unwrap().len(), 100_000);
}
