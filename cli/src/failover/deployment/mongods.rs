//! Real servers, started by the test harness.

use super::{CENTRES, CENTRES_WANTED, Deployment};
use crate::args::{Failover, Fault};
use crate::failover::host::{Host, Job};
use crate::failover::line::Door;
use crate::failover::live::Live;
use bson::doc;
use quorate::ServerAddress;
use quorate::options::TlsOptions;
use quorate::tls::TlsConfig;
use quorate_harness::{Features, MemberSpec, ReplicaSet, Tls, fixtures};
use quorate_smol::Smol;
use std::sync::Arc;
use std::time::Duration;

/// How long a member may take to end.
const END: Duration = Duration::from_secs(60);

/// Three `mongod`.
#[derive(Debug)]
pub(in crate::failover) struct Mongods {
    set: Arc<ReplicaSet>,
    direct: Vec<ServerAddress>,
    door: Door,
}

impl Mongods {
    pub(in crate::failover) fn start(args: &Failover, live: &Live) -> Result<Self, String> {
        let version = fixtures::DEFAULT_VERSION;
        live.line(&format!("looking for mongod {version}, which is fetched on first use"));
        fixtures::mongod(version)?;
        live.line(&format!("starting {} mongod", CENTRES.len()));
        let mut builder = ReplicaSet::builder()
            .features(features(args))
            .election_timeout(Duration::from_millis(args.election_timeout_ms.into()))
            .proxied(args.faults().contains(&Fault::Partition));
        for centre in CENTRES {
            builder = builder.member(MemberSpec::default().tag("dc", centre));
        }
        if let Some(mode) = args.w.custom_mode() {
            builder = builder.settings(doc! { "getLastErrorModes": { mode: { "dc": CENTRES_WANTED } } });
        }
        let set = builder.start()?;
        let direct = (0..CENTRES.len()).map(|member| set.direct_address(member));
        let parsed = direct.map(|text| ServerAddress::parse(&text).ok_or(format!("{text} is no address")));
        let direct = parsed.collect::<Result<_, _>>()?;
        Ok(Mongods { direct, door: door(args, &set)?, set: Arc::new(set) })
    }

    /// The harness waits by blocking its thread.
    async fn harness<T: Send + 'static>(&self, act: impl FnOnce(&ReplicaSet) -> T + Send + 'static) -> T {
        let set = Arc::clone(&self.set);
        smol::unblock(move || act(&set)).await
    }
}

fn features(args: &Failover) -> Features {
    let mut features = Features::default();
    if args.tls {
        features = features.tls(Tls::required());
    }
    if args.auth {
        features = features.user();
    }
    args.compressors.iter().fold(features, |features, name| features.compressor(name.as_str()))
}

fn door(args: &Failover, set: &ReplicaSet) -> Result<Door, String> {
    let config = || {
        let options = TlsOptions::builder().ca_file_path(set.certificates().ca()).build();
        TlsConfig::from_options(&options).map_err(|error| error.to_string())
    };
    Ok(Door { tls: args.tls.then(config).transpose()?, login: set.login().cloned() })
}

impl Deployment for Mongods {
    type Runtime = Smol;

    fn runtime(&self) -> &Smol {
        &Smol
    }

    fn uri(&self) -> String {
        self.set.uri()
    }

    fn address(&self, member: usize) -> String {
        self.set.address(member).to_owned()
    }

    fn direct_address(&self, member: usize) -> ServerAddress {
        self.direct[member].clone()
    }

    fn door(&self) -> &Door {
        &self.door
    }

    fn start_writer(&self, job: Job) -> Host {
        Host::thread(job)
    }

    async fn kill(&self, member: usize) -> Result<(), String> {
        self.harness(move |set| set.kill(member)).await;
        Ok(())
    }

    async fn terminate(&self, member: usize) -> Result<(), String> {
        self.harness(move |set| {
            set.terminate(member)?;
            if set.wait_until_ended(member, END) { Ok(()) } else { Err(format!("it runs after {END:?}")) }
        })
        .await
    }

    async fn start(&self, member: usize) -> Result<(), String> {
        self.harness(move |set| set.restart(member)).await
    }

    async fn hang(&self, member: usize) -> Result<(), String> {
        self.harness(move |set| set.pause(member)).await
    }

    async fn resume(&self, member: usize) -> Result<(), String> {
        self.harness(move |set| set.resume(member)).await
    }

    async fn isolate(&self, member: usize) -> Result<(), String> {
        self.harness(move |set| set.partition(member)).await;
        Ok(())
    }

    async fn rejoin(&self, member: usize) -> Result<(), String> {
        self.harness(move |set| set.heal(member)).await;
        Ok(())
    }
}
