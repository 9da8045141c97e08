//! The other side: a rustls server that gives every message back, and calls that put a client before it.

use super::certs::{Ca, File, Leaf};
use super::pipe::{End, pipe};
use crate::tls::{TlsConfig, TlsStream, handshake};
use futures::executor::block_on;
use futures::future::join;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use quorate_core::Error;
use quorate_core::options::TlsOptions;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

/// Both versions, which differ in who finishes the handshake first.
pub(super) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A server with that certificate that, given a CA, wants clients to show one of its certificates.
pub(super) fn server(
    leaf: &Leaf,
    client_ca: Option<&Ca>,
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version]).unwrap();
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.der()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    Arc::new(builder.with_single_cert(vec![leaf.certificate.clone()], leaf.key_der()).unwrap())
}

/// A client that trusts `ca` and nobody else.
pub(super) fn trusting(ca: &Ca) -> TlsConfig {
    let file = File::new(&ca.pem());
    let mut options = TlsOptions::default();
    options.ca_file_path = Some(file.path().to_owned());
    TlsConfig::from_options(&options).unwrap()
}

/// The driver's error inside an I/O error, if the failure was one of TLS and not of the network.
pub(super) fn tls_error(error: &std::io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// What a server saw of a client.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) server_name: Option<String>,
    pub(super) client_certificate: bool,
    /// The client said that nothing more comes.
    pub(super) ended_well: bool,
}

/// Serves one client: takes messages (four bytes of length, then that many) and gives them back, until the client goes.
pub(super) async fn echo(config: Arc<ServerConfig>, mut end: End) -> Seen {
    let mut tls = ServerConnection::new(config).unwrap();
    tls.set_buffer_limit(None);
    let (mut bytes, mut message, mut seen) = (vec![0; 1 << 16], Vec::new(), Seen::default());
    let mut unsent = VecDeque::new();
    loop {
        let mut out = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut out).unwrap();
        }
        let count = write_and_read(&mut end, &mut unsent, out, &mut bytes).await;
        let Ok(count @ 1..) = count else { return seen };
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            tls.read_tls(&mut rest).unwrap();
            let Ok(state) = tls.process_new_packets() else { continue };
            seen.ended_well |= state.peer_has_closed();
            let start = message.len();
            message.resize(start + state.plaintext_bytes_to_read(), 0);
            tls.reader().read_exact(&mut message[start..]).unwrap();
        }
        seen.server_name = tls.server_name().map(str::to_owned);
        seen.client_certificate = tls.peer_certificates().is_some();
        while let Some(length) = message.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize)
        {
            if message.len() < length + 4 {
                break;
            }
            tls.writer().write_all(&message[..length + 4]).unwrap();
            message.drain(..length + 4);
        }
    }
}

/// Writes what there is to write until there is something to read: a server that did one after the other would lock up with
/// a client that writes, too, over a narrow stream.
async fn write_and_read(
    end: &mut End,
    unsent: &mut VecDeque<u8>,
    out: Vec<u8>,
    bytes: &mut [u8],
) -> std::io::Result<usize> {
    unsent.extend(out);
    poll_fn(|cx| {
        while !unsent.is_empty() {
            match Pin::new(&mut *end).poll_write(cx, unsent.as_slices().0) {
                Poll::Ready(count) => drop(unsent.drain(..count?)),
                Poll::Pending => break,
            }
        }
        Pin::new(&mut *end).poll_read(cx, bytes)
    })
    .await
}

/// Sends `body` to an [`echo`] server and checks that it comes back.
pub(super) async fn exchange(stream: &mut TlsStream<End>, body: &[u8]) -> std::io::Result<()> {
    stream.write_all(&(body.len() as u32).to_le_bytes()).await?;
    stream.write_all(body).await?;
    stream.flush().await?;
    let mut back = vec![0; body.len() + 4];
    stream.read_exact(&mut back).await?;
    assert_eq!(&back[4..], body);
    Ok(())
}

/// Handshake, two messages, close: over a stream of that width.
pub(super) fn talk_over(
    client: &TlsConfig,
    host: &str,
    server: Arc<ServerConfig>,
    body: &[u8],
    (capacity, chunk): (usize, usize),
) -> (Result<(), Error>, Seen) {
    let (near, far) = pipe(capacity, chunk);
    let talk = async {
        let mut stream = handshake(client, host, near).await?;
        for _ in 0..2 {
            // Whatever is wrong shows by an error of TLS, never by one of the network: these networks are sound.
            exchange(&mut stream, body).await.map_err(|error| match tls_error(&error) {
                Some(error) => error.clone(),
                None => panic!("{error:?}"),
            })?;
        }
        stream.close().await.unwrap();
        Ok(())
    };
    block_on(join(talk, echo(server, far)))
}

/// [`talk_over`] a wide stream.
pub(super) fn talk(client: &TlsConfig, host: &str, server: Arc<ServerConfig>) -> (Result<(), Error>, Seen) {
    talk_over(client, host, server, b"hello", (1 << 20, 1 << 16))
}
