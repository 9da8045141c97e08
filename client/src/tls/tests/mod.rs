//! Client against a rustls server, over a pipe in memory.

mod certs;
mod files;
mod handshakes;
mod pipe;
mod server;
mod streams;
