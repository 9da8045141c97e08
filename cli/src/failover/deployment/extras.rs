//! What the members of a simulated set ask of whoever connects: TLS, a log-in, compression.

use crate::args::Failover;
use crate::failover::line::Door;
use quorate::options::TlsOptions;
use quorate::tls::TlsConfig;
use quorate_harness::{Certificates, Login};
use quorate_sim::cluster::Builder;
use quorate_sim::quorate::options::Compressor;
use quorate_sim::rustls::ServerConfig;
use quorate_sim::rustls::crypto::ring;
use quorate_sim::rustls::pki_types::pem::PemObject;
use quorate_sim::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt::{Display, Write};
use std::sync::Arc;

const USER: &str = "suite";
const PASSWORD: &str = "p@ss:w/rd%";

/// The extras of one set.
#[derive(Debug)]
pub(super) struct Extras {
    certificates: Option<Certificates>,
    pub(super) door: Door,
    compressors: Vec<&'static str>,
}

impl Extras {
    /// Those that were asked for, for members of those names.
    pub(super) fn make(args: &Failover, hosts: &[&str]) -> Result<Self, String> {
        let certificates = args.tls.then(|| Certificates::for_hosts(hosts)).transpose()?;
        let tls = certificates.as_ref().map(|made| {
            let options = TlsOptions::builder().ca_file_path(made.ca()).build();
            TlsConfig::from_options(&options).map_err(|error| error.to_string())
        });
        let door = Door { tls: tls.transpose()?, login: args.auth.then(|| Login::new(USER, PASSWORD)) };
        let compressors = args.compressors.iter().map(|name| name.as_str()).collect();
        Ok(Extras { certificates, door, compressors })
    }

    /// The set with them.
    pub(super) fn apply(&self, mut builder: Builder) -> Result<Builder, String> {
        if self.door.login.is_some() {
            builder = builder.user(USER, PASSWORD);
        }
        if let Some(made) = &self.certificates {
            builder = builder.tls(server(made).map_err(|why| format!("TLS for simulated servers: {why}"))?);
        }
        let named = self.compressors.iter().filter_map(|name| Compressor::parse(name));
        Ok(builder.compressors(&named.collect::<Vec<_>>()))
    }

    /// The connection string for the application.
    pub(super) fn uri(&self, uri: &str) -> String {
        let mut uri = uri.to_owned();
        // Strings take everything; a replica set's has options already.
        if let Some(made) = &self.certificates {
            let _ = write!(uri, "&tlsCAFile={}", made.ca());
        }
        if !self.compressors.is_empty() {
            let _ = write!(uri, "&compressors={}", self.compressors.join(","));
        }
        uri
    }
}

fn server(made: &Certificates) -> Result<Arc<ServerConfig>, String> {
    fn text(error: impl Display) -> String {
        error.to_string()
    }
    let certificate = CertificateDer::from_pem_file(made.server()).map_err(text)?;
    let key = PrivateKeyDer::from_pem_file(made.server()).map_err(text)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(text)?;
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate], key).map_err(text)?;
    Ok(Arc::new(config))
}
