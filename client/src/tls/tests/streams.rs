//! Bytes both ways: narrow, wide, cut off, closed.

use super::certs::{Ca, Valid};
use super::pipe::{End, pipe};
use super::server::{VERSIONS, echo, exchange, server, talk_over, tls_error, trusting};
use crate::tls::{TlsConfig, handshake};
use futures::executor::block_on;
use futures::future::join;
use futures::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use futures::task::noop_waker;
use rustls::version::TLS13;
use rustls::{ServerConfig, ServerConnection};
use std::io::{ErrorKind, IoSlice, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn pair() -> (TlsConfig, Arc<ServerConfig>) {
    let ca = Ca::new("ca");
    (trusting(&ca), server(&ca.issue(&["db.example"], Valid::Now), None, &TLS13))
}

#[test]
fn one_byte_at_a_time_is_enough() {
    let ca = Ca::new("ca");
    for version in VERSIONS {
        let server = server(&ca.issue(&["db.example"], Valid::Now), None, version);
        for width in [(1, 1), (7, 3), (1 << 16, 1)] {
            let (result, seen) =
                talk_over(&trusting(&ca), "db.example", server.clone(), &pattern(5_000), width);
            result.unwrap();
            assert!(seen.ended_well);
        }
    }
}

#[test]
fn large_messages_pass_whatever_the_width() {
    let (client, server) = pair();
    for width in [(1 << 20, 1 << 20), (5_000, 4_999), (1 << 16, 1_000)] {
        talk_over(&client, "db.example", server.clone(), &pattern(4 << 20), width).0.unwrap();
    }
}

#[test]
fn sizes_around_records_and_buffers_pass() {
    let (client, server) = pair();
    for length in [0, 1, 16_379, 16_380, 16_381, 16_384, 16_385, 65_531, 65_532, 65_533, 65_536, 70_000] {
        talk_over(&client, "db.example", server.clone(), &pattern(length), (1 << 14, 1 << 14)).0.unwrap();
    }
}

#[test]
fn a_message_in_pieces_is_written_in_one_call() {
    let (client, server) = pair();
    let (near, far) = pipe(1 << 16, 1 << 16);
    let talk = async {
        let mut stream = handshake(&client, "db.example", near).await.unwrap();
        let pieces = [IoSlice::new(&[5, 0, 0, 0]), IoSlice::new(b""), IoSlice::new(b"hello")];
        assert_eq!(stream.write_vectored(&pieces).await.unwrap(), 9);
        stream.flush().await.unwrap();
        let mut back = [0; 9];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back[4..], b"hello");
        assert_eq!(stream.write(b"").await.unwrap(), 0);
        assert_eq!(stream.read(&mut []).await.unwrap(), 0);
    };
    block_on(join(talk, echo(server, far)));
}

#[test]
fn what_was_written_goes_out_by_a_read_where_nobody_flushed() {
    let (client, server) = pair();
    // Narrower than a record: the write itself cannot send it all.
    let (near, far) = pipe(100, 100);
    let talk = async {
        let mut stream = handshake(&client, "db.example", near).await.unwrap();
        let mut message = 1_000_u32.to_le_bytes().to_vec();
        message.extend(pattern(1_000));
        stream.write_all(&message).await.unwrap();
        let mut back = vec![0; message.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, message);
    };
    block_on(join(talk, echo(server, far)));
}

/// A client past its handshake, and the server's side of it to play by hand.
fn connected() -> (super::super::TlsStream<End>, ServerConnection, End) {
    let (client, server) = pair();
    let (near, mut far) = pipe(1 << 17, 1 << 17);
    let serve = async {
        let mut tls = ServerConnection::new(server).unwrap();
        while tls.is_handshaking() {
            send(&mut tls, &mut far).await;
            let mut bytes = vec![0; 1 << 12];
            let count = far.read(&mut bytes).await.unwrap();
            tls.read_tls(&mut &bytes[..count]).unwrap();
            tls.process_new_packets().unwrap();
        }
        send(&mut tls, &mut far).await;
        (tls, far)
    };
    let (stream, (tls, far)) = block_on(join(handshake(&client, "db.example", near), serve));
    (stream.unwrap(), tls, far)
}

async fn send(tls: &mut ServerConnection, far: &mut End) {
    let mut out = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut out).unwrap();
    }
    far.write_all(&out).await.unwrap();
}

#[test]
fn an_end_in_order_is_the_end_and_an_end_without_is_an_error() {
    for in_order in [true, false] {
        let (mut stream, mut tls, mut far) = connected();
        block_on(async {
            tls.writer().write_all(b"last words").unwrap();
            if in_order {
                tls.send_close_notify();
            }
            send(&mut tls, &mut far).await;
            drop(far);
            let mut words = [0; 10];
            stream.read_exact(&mut words).await.unwrap();
            assert_eq!(&words, b"last words");
            for _ in 0..2 {
                match stream.read(&mut words).await {
                    Ok(0) => assert!(in_order),
                    Ok(count) => panic!("{count}"),
                    Err(error) => {
                        assert!(!in_order);
                        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                        assert_eq!(error.to_string(), "the server closed the connection");
                        assert!(tls_error(&error).is_none());
                    }
                }
            }
        });
    }
}

#[test]
fn a_server_that_hangs_up_right_after_the_handshake_may_miss_a_client_certificate() {
    let (mut stream, _tls, far) = connected();
    drop(far);
    let error = block_on(stream.read(&mut [0; 16])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("tlsCertificateKeyFile"), "{error}");
}

#[test]
fn closing_says_so_once() {
    let (mut stream, mut tls, mut far) = connected();
    block_on(async {
        stream.close().await.unwrap();
        stream.close().await.unwrap();
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), 5 + 2 + 1 + 16, "one record with one alert");
        tls.read_tls(&mut &rest[..]).unwrap();
        assert!(tls.process_new_packets().unwrap().peer_has_closed());
    });
}

#[test]
fn bytes_that_were_tampered_with_are_an_error_of_tls() {
    let (mut stream, mut tls, mut far) = connected();
    block_on(async {
        let mut out = Vec::new();
        tls.writer().write_all(b"hello").unwrap();
        while tls.wants_write() {
            tls.write_tls(&mut out).unwrap();
        }
        *out.last_mut().unwrap() ^= 1;
        far.write_all(&out).await.unwrap();
        for _ in 0..2 {
            let error = stream.read(&mut [0; 16]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert!(tls_error(&error).unwrap().to_string().contains("db.example"));
            // For the second time: whatever comes now.
            far.write_all(b"more").await.unwrap();
        }
    });
}

#[test]
fn failures_of_the_network_stay_what_they_are() {
    let (mut stream, _tls, far) = connected();
    far.fail(ErrorKind::ConnectionReset);
    // The tickets that were under way come first, for nobody to see.
    let error = block_on(stream.read(&mut [0; 16])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(block_on(stream.write(b"hello")).unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_full_network_holds_the_writer_back() {
    let (mut stream, mut tls, mut far) = connected();
    let waker = noop_waker();
    let mut cx = Context::from_waker(&waker);
    let block = pattern(1 << 16);
    let mut taken = Vec::<u8>::new();
    while let Poll::Ready(count) = Pin::new(&mut stream).poll_write(&mut cx, &block) {
        taken.extend(&block[..count.unwrap()]);
        assert!(taken.len() < 1 << 20, "the buffer is bounded");
    }
    // Nothing taken is lost.
    let read = async {
        let mut got = Vec::new();
        let mut bytes = vec![0; 1 << 12];
        while got.len() < taken.len() {
            let count = far.read(&mut bytes).await.unwrap();
            let mut rest = &bytes[..count];
            while !rest.is_empty() {
                tls.read_tls(&mut rest).unwrap();
                let count = tls.process_new_packets().unwrap().plaintext_bytes_to_read();
                let start = got.len();
                got.resize(start + count, 0);
                std::io::Read::read_exact(&mut tls.reader(), &mut got[start..]).unwrap();
            }
        }
        got
    };
    let (flushed, got) = block_on(join(stream.flush(), read));
    flushed.unwrap();
    assert!(got == taken);
}

#[test]
fn exchanges_follow_each_other_on_one_stream() {
    let (client, server) = pair();
    let (near, far) = pipe(300, 77);
    let talk = async {
        let mut stream = handshake(&client, "db.example", near).await.unwrap();
        for length in 0..60 {
            exchange(&mut stream, &pattern(length * 37)).await.unwrap();
        }
    };
    block_on(join(talk, echo(server, far)));
}
