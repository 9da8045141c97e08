//! Fetches what is needed to find keys and tokens: files, and answers to small HTTP requests.

use crate::runtime::Runtime;
use crate::tls::{self, TlsConfig};
use futures::future::{Either, select};
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use quorate_core::ServerAddress;
use quorate_core::auth::{Errand, Fetched, HttpRequest, HttpResponse};
use quorate_core::options::TlsOptions;
use std::io;
use std::pin::pin;
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

/// "Drivers SHOULD enforce a 10 second read timeout".
const LIMIT: Duration = Duration::from_secs(10);

/// Fetches it, or says why that was not possible.
pub(super) async fn fetch<R: Runtime>(runtime: &R, errand: Errand) -> Fetched {
    match errand {
        Errand::ReadFile(name) => match std::fs::read(&name) {
            Ok(bytes) => Fetched::File(Zeroizing::new(bytes)),
            Err(error) => Fetched::Failed(format!("{name}: {error}")),
        },
        Errand::Http(request) => {
            let limit = runtime.sleep_until(runtime.now() + LIMIT);
            let asked = match select(pin!(ask(runtime, &request)), pin!(limit)).await {
                Either::Left((response, _)) => response,
                Either::Right(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer within 10 s")),
            };
            match asked {
                Ok(response) => Fetched::Http(response),
                Err(error) => Fetched::Failed(format!("{request:?}: {error}")),
            }
        }
        _ => Fetched::Failed("this client does not know how".into()),
    }
}

async fn ask<R: Runtime>(runtime: &R, request: &HttpRequest) -> io::Result<HttpResponse> {
    let stream = runtime.connect(ServerAddress::tcp(&request.host, request.port)).await?;
    if !request.tls {
        return exchange(stream, request).await;
    }
    let config = TlsConfig::from_options(&TlsOptions::default()).map_err(io::Error::other)?;
    let stream = tls::handshake(&config, &request.host, stream).await.map_err(io::Error::other)?;
    exchange(stream, request).await
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &HttpRequest,
) -> io::Result<HttpResponse> {
    stream.write_all(&request.to_bytes()).await?;
    stream.flush().await?;
    let mut came = Zeroizing::new(Vec::with_capacity(8 * 1024));
    let mut part = Zeroizing::new([0; 4096]);
    loop {
        let count = stream.read(part.as_mut_slice()).await?;
        came.extend_from_slice(part.get(..count).unwrap_or_default());
        let response = HttpResponse::parse(&came, count == 0).map_err(io::Error::other)?;
        if let Some(response) = response {
            part.zeroize();
            return Ok(response);
        }
    }
}
