//! What can be asked for on the command line.

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use std::fmt;
use std::time::Duration;

/// The operator's tool of Quorate, a MongoDB driver.
#[derive(Debug, Parser)]
#[command(name = "quorate", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Failover(Failover),
}

/// Write for ever through the driver while the primary goes away, and see what the application sees.
///
/// Without --uri: brings up a replica set of three of its own, breaks its primary on purpose, and checks afterwards that
/// every acknowledged write is there and none was applied twice. The set is a simulated one on loopback sockets, or with
/// --mongod a real one. With --uri: only writes to that deployment, watches, and checks at the end; it never breaks
/// anything there.
///
/// Exit status: 0 when all is well; 1 when a write was lost, applied twice or hung; 2 when it could not be tried.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Failover {
    /// Run everything, the driver too, in virtual time: the same in seconds, and every time the same
    #[arg(long = "virtual", conflicts_with = "runtime")]
    pub(crate) in_virtual_time: bool,

    /// Start three real mongod, which are fetched on first use
    #[arg(long, conflicts_with = "in_virtual_time")]
    pub(crate) mongod: bool,

    /// Its members require TLS, with certificates of an authority made for this run
    #[arg(long)]
    pub(crate) tls: bool,

    /// Its members require a log-in, and have a user for it (SCRAM)
    #[arg(long)]
    pub(crate) auth: bool,

    /// Offer to compress messages, by the first of these that the servers have
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) compressors: Vec<CompressorName>,

    /// Where all chance of a simulated set comes from
    #[arg(long, default_value_t = 1, value_name = "N", conflicts_with = "mongod")]
    pub(crate) seed: u64,

    /// Write to this deployment until Ctrl-C or --seconds, instead of to a set of our own
    #[arg(long, conflicts_with_all = ["faults", "rounds", "election_timeout_ms", "in_virtual_time", "mongod", "seed", "tls", "auth", "compressors"])]
    pub(crate) uri: Option<String>,

    /// With --uri: end after so many seconds
    #[arg(long, requires = "uri", value_name = "N")]
    pub(crate) seconds: Option<u64>,

    /// What happens to the primary; repeat it or separate by commas
    #[arg(long = "fault", value_name = "FAULT", value_delimiter = ',', default_value = "stepdown,kill,stop")]
    pub(crate) faults: Vec<FaultArg>,

    /// How often each fault happens
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,

    /// Write concern: majority, a number of members, or the name of a tag mode
    ///
    /// On a set of our own a mode of that name is defined; it wants two of three data centres.
    #[arg(long, default_value = "majority", value_name = "W", value_parser = parse_w)]
    pub(crate) w: W,

    /// Whether the driver may send a write again
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) retry_writes: bool,

    /// Pause between two writes, in milliseconds
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) pause_ms: u64,

    /// The async runtime under the driver
    #[arg(long, default_value = "tokio")]
    pub(crate) runtime: RuntimeName,

    /// One JSON object a line and round on standard output, instead of the table
    #[arg(long)]
    pub(crate) json: bool,

    /// How long the set's members miss a primary before they elect another, in milliseconds; the default is the server's own
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) election_timeout_ms: u32,
}

impl Failover {
    pub(crate) fn pause(&self) -> Duration {
        Duration::from_millis(self.pause_ms)
    }

    /// What is written to.
    pub(crate) fn deployment(&self) -> Deployment<'_> {
        match &self.uri {
            Some(uri) => Deployment::Uri(uri),
            None if self.mongod => Deployment::Mongod,
            None if self.in_virtual_time => Deployment::Virtual,
            None => Deployment::Sim,
        }
    }

    /// What is written to, for reports: `mongod+tls+auth+zstd`.
    pub(crate) fn deployment_name(&self) -> String {
        let mut name = self.deployment().as_str().to_owned();
        let compressors = self.compressors.iter().map(|compressor| compressor.as_str());
        let features = [(self.tls, "tls"), (self.auth, "auth")].into_iter();
        for feature in features.filter(|(on, _)| *on).map(|(_, name)| name).chain(compressors) {
            name.push('+');
            name.push_str(feature);
        }
        name
    }

    /// What the driver runs on, for reports.
    pub(crate) fn runtime_name(&self) -> &'static str {
        if self.in_virtual_time { "simulation" } else { self.runtime.as_str() }
    }

    /// The faults in the order they were asked for, each once.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for fault in self.faults.iter().flat_map(|fault| fault.faults()) {
            if !faults.contains(fault) {
                faults.push(*fault);
            }
        }
        faults
    }
}

/// What is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deployment<'a> {
    /// A simulated set on loopback sockets.
    Sim,
    /// A simulated set in virtual time.
    Virtual,
    /// Real servers of our own.
    Mongod,
    /// Somebody else's.
    Uri(&'a str),
}

impl Deployment<'_> {
    /// The word for it in reports.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Deployment::Sim => "sim",
            Deployment::Virtual => "virtual",
            Deployment::Mongod => "mongod",
            Deployment::Uri(_) => "uri",
        }
    }
}

/// What may stand after `--fault`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FaultArg {
    /// It is told to step down
    Stepdown,
    /// SIGKILL
    Kill,
    /// SIGSTOP: it hangs, its sockets stay open
    Stop,
    /// SIGTERM, and started again
    Restart,
    /// It is cut off from everybody, both ways and without a word
    Partition,
    /// One after the other
    All,
}

impl FaultArg {
    fn faults(self) -> &'static [Fault] {
        match self {
            FaultArg::Stepdown => &[Fault::Stepdown],
            FaultArg::Kill => &[Fault::Kill],
            FaultArg::Stop => &[Fault::Stop],
            FaultArg::Restart => &[Fault::Restart],
            FaultArg::Partition => &[Fault::Partition],
            FaultArg::All => &Fault::ALL,
        }
    }
}

/// What happens to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Stepdown,
    Kill,
    Stop,
    Restart,
    Partition,
}

impl Fault {
    const ALL: [Fault; 5] = [Fault::Stepdown, Fault::Kill, Fault::Stop, Fault::Restart, Fault::Partition];

    /// The word for it on the command line and in reports.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Fault::Stepdown => "stepdown",
            Fault::Kill => "kill",
            Fault::Stop => "stop",
            Fault::Restart => "restart",
            Fault::Partition => "partition",
        }
    }
}

/// A write concern's `w`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum W {
    Members(u32),
    /// `majority` or the name of a mode of the set's configuration.
    Mode(String),
}

impl W {
    /// As commands and connection strings have it.
    pub(crate) fn to_bson(&self) -> bson::Bson {
        match self {
            W::Members(n) => bson::Bson::Int32(i32::try_from(*n).unwrap_or(i32::MAX)),
            W::Mode(name) => bson::Bson::String(name.clone()),
        }
    }

    /// The name of a mode that a set of our own has to define.
    pub(crate) fn custom_mode(&self) -> Option<&str> {
        match self {
            W::Mode(name) if name != "majority" => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for W {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            W::Members(n) => write!(f, "{n}"),
            W::Mode(name) => f.write_str(name),
        }
    }
}

fn parse_w(text: &str) -> Result<W, String> {
    if text == "0" {
        return Err("with w: 0 nothing is acknowledged, so nothing could be checked".into());
    }
    if text.is_empty() {
        return Err("majority, a number of members, or the name of a tag mode".into());
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return match text.parse() {
            Ok(n) if n <= 50 => Ok(W::Members(n)),
            _ => Err("a set has at most 50 members".into()),
        };
    }
    Ok(W::Mode(text.into()))
}

/// What messages are compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompressorName {
    Snappy,
    Zlib,
    Zstd,
}

impl CompressorName {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            CompressorName::Snappy => "snappy",
            CompressorName::Zlib => "zlib",
            CompressorName::Zstd => "zstd",
        }
    }
}

/// The async runtime under the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuntimeName {
    Tokio,
    Smol,
}

impl RuntimeName {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            RuntimeName::Tokio => "tokio",
            RuntimeName::Smol => "smol",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Failover, String> {
        let words = ["quorate", "failover"].into_iter().chain(line.split_whitespace());
        let Command::Failover(args) = Args::try_parse_from(words).map_err(|e| e.to_string())?.command;
        Ok(args)
    }

    #[test]
    fn without_arguments_it_is_one_round_each_of_three_faults() {
        let args = parse("").unwrap();
        assert_eq!(args.faults(), [Fault::Stepdown, Fault::Kill, Fault::Stop]);
        assert_eq!((args.rounds, args.election_timeout_ms, args.pause_ms), (1, 10_000, 10));
        assert_eq!(args.w, W::Mode("majority".into()));
        assert_eq!((args.runtime, args.retry_writes, args.json), (RuntimeName::Tokio, true, false));
    }

    #[test]
    fn one_deployment_at_a_time() {
        let deployment = |line| parse(line).map(|args| args.deployment().as_str());
        assert_eq!(deployment("").unwrap(), "sim");
        assert_eq!(deployment("--virtual --seed 7").unwrap(), "virtual");
        assert_eq!(deployment("--mongod --runtime smol").unwrap(), "mongod");
        assert_eq!(deployment("--uri mongodb://db").unwrap(), "uri");
        for wrong in [
            "--virtual --mongod",
            "--virtual --runtime smol",
            "--mongod --seed 1",
            "--uri mongodb://db --virtual",
        ] {
            assert!(deployment(wrong).unwrap_err().contains("cannot be used with"), "{wrong}");
        }
    }

    #[test]
    fn servers_may_have_more_and_reports_say_so() {
        let name = |line| parse(line).map(|args| args.deployment_name());
        assert_eq!(name("--mongod").unwrap(), "mongod");
        assert_eq!(name("--mongod --tls --auth").unwrap(), "mongod+tls+auth");
        assert_eq!(name("--mongod --auth --compressors zstd,zlib").unwrap(), "mongod+auth+zstd+zlib");
        assert_eq!(name("--virtual --auth").unwrap(), "virtual+auth");
        assert_eq!(name("--tls --compressors snappy").unwrap(), "sim+tls+snappy");
        assert!(name("--uri mongodb://db --tls").unwrap_err().contains("cannot be used with"));
        assert!(name("--mongod --compressors lz4").unwrap_err().contains("snappy, zlib, zstd"));
    }

    #[test]
    fn faults_repeat_split_and_do_not_double() {
        let faults = |line| parse(line).unwrap().faults();
        assert_eq!(faults("--fault kill --fault stop,kill"), [Fault::Kill, Fault::Stop]);
        assert_eq!(faults("--fault all"), Fault::ALL);
        assert_eq!(faults("--fault partition,all")[0], Fault::Partition);
        assert!(parse("--fault fire").unwrap_err().contains("stepdown"));
    }

    #[test]
    fn write_concerns() {
        let w = |text: &str| parse(&format!("--w {text}")).map(|args| args.w);
        assert_eq!(w("2").unwrap(), W::Members(2));
        assert_eq!(w("eachDC").unwrap().custom_mode(), Some("eachDC"));
        assert_eq!(w("majority").unwrap().custom_mode(), None);
        assert!(w("0").is_err());
        assert!(w("51").is_err());
        assert!(w("99999999999999999999").is_err());
    }

    #[test]
    fn retry_writes_takes_a_word() {
        assert!(!parse("--retry-writes false").unwrap().retry_writes);
        assert!(parse("--retry-writes").unwrap().retry_writes);
        assert!(parse("--retry-writes maybe").is_err());
    }

    #[test]
    fn nothing_is_broken_in_a_deployment_of_somebody_else() {
        let error = parse("--uri mongodb://db --fault kill").unwrap_err();
        assert!(error.contains("cannot be used with"), "{error}");
        assert!(parse("--uri mongodb://db --rounds 2").is_err());
        assert!(parse("--uri mongodb://db --seconds 5").is_ok());
        assert!(parse("--seconds 5").is_err());
    }
}
