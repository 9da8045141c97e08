//! The smallest host of a [`Topology`]: feeds it replies, keeps its events, and counts pools by its outputs alone.

use crate::spec::json::{object, text};
use quorate_core::error::IoErrorKind;
use quorate_core::event::sdam::SdamEvent;
use quorate_core::raw::RawDoc;
use quorate_core::sdam::{AppError, Topology, TopologyOptions, TopologyOutput};
use quorate_core::{Error, HelloReply, Instant, ServerAddress};
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) struct Host {
    pub(crate) topology: Topology,
    pub(crate) events: Vec<SdamEvent>,
    generations: BTreeMap<ServerAddress, u32>,
}

impl Host {
    pub(crate) fn new(options: TopologyOptions) -> Self {
        let topology = Topology::new(42, options);
        let mut host = Host { topology, events: Vec::new(), generations: BTreeMap::new() };
        host.drain();
        host
    }

    /// A pair of address and hello reply; the empty reply is a network error.
    pub(crate) fn respond(&mut self, response: &Value) -> Result<(), String> {
        let [address, reply] = response.as_array().map(Vec::as_slice).unwrap_or_default() else {
            return Err(format!("a response is a pair: {response}"));
        };
        let address = super::address(text(address)?)?;
        if object(reply)?.is_empty() {
            let error = Error::io(IoErrorKind::Reset, "mock network error");
            self.topology.handle_check_failed(Instant::ZERO, &address, error);
        } else {
            self.topology.handle_hello(Instant::ZERO, &address, &hello_of(reply)?, None, None);
        }
        self.drain();
        Ok(())
    }

    pub(crate) fn app_error(&mut self, address: &ServerAddress, error: &AppError) {
        self.topology.handle_app_error(Instant::ZERO, address, error);
        self.drain();
    }

    /// The generation of a pool that does what the outputs say.
    pub(crate) fn generation(&self, address: &ServerAddress) -> u32 {
        self.generations.get(address).copied().unwrap_or(0)
    }

    fn drain(&mut self) {
        while let Some(output) = self.topology.poll_output() {
            match output {
                TopologyOutput::Event(event) => self.events.push(event),
                TopologyOutput::ServerAdded(address) => {
                    self.generations.insert(address, 0);
                }
                TopologyOutput::ServerRemoved(address) => {
                    self.generations.remove(&address);
                }
                TopologyOutput::ClearPool { address, .. } => {
                    *self.generations.entry(address).or_default() += 1;
                }
                _ => {}
            }
        }
    }
}

/// Extended JSON as BSON bytes.
pub(crate) fn bson_of(value: &Value) -> Result<Vec<u8>, String> {
    match bson::Bson::try_from(value.clone()) {
        Ok(bson::Bson::Document(document)) => bson::serialize_to_vec(&document).map_err(|e| e.to_string()),
        other => Err(format!("no document: {other:?}")),
    }
}

pub(crate) fn hello_of(value: &Value) -> Result<HelloReply, String> {
    let bytes = bson_of(value)?;
    HelloReply::parse(RawDoc::new(&bytes).map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

/// The few connection strings of these files: hosts and up to three options.
pub(crate) fn options_of(uri: &str) -> Result<TopologyOptions, String> {
    let rest = uri.strip_prefix("mongodb://").ok_or("scheme")?;
    let (hosts, options) = rest.split_once("/?").unwrap_or((rest.trim_end_matches('/'), ""));
    let mut parsed = TopologyOptions {
        seeds: hosts.split(',').map(super::address).collect::<Result<_, _>>()?,
        ..TopologyOptions::default()
    };
    for option in options.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=').ok_or("option")? {
            ("replicaSet", name) => parsed.replica_set = Some(name.to_string()),
            ("directConnection", value) => parsed.direct_connection = Some(value == "true"),
            ("loadBalanced", value) => parsed.load_balanced = value == "true",
            (other, _) => return Err(format!("unknown option {other}")),
        }
    }
    parsed.validate().map_err(|e| e.to_string())?;
    Ok(parsed)
}
