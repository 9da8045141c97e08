//! How a simulated server is set up: what `mongod`'s command line and configuration file are to the real one.

use super::oidc::IdentityProvider;
use bson::Document;
use quorate_core::wire::compression::Compressor;
use quorate_core::{Duration, Rng, ServerAddress};

/// The wire version of MongoDB 6.0.
pub const WIRE_VERSION: i32 = 17;

/// How a simulated `mongod` is set up.
#[derive(Clone, Debug)]
pub struct MongodSettings {
    /// The address clients know it by.
    pub host: ServerAddress,
    /// Everything the process draws by chance comes from here: process ids, cursor ids, jitter, nonces.
    pub seed: u64,
    /// Who may log in.
    pub users: Vec<User>,
    /// Whose tokens let people in by MONGODB-OIDC; nobody's by default.
    pub identity_provider: Option<IdentityProvider>,
    /// Who puts this number into a command, as `$operator`, may do everything: how a deployment carries out orders of the program
    /// it is part of, whoever its users are.
    pub(crate) operator: Option<i64>,
    /// Whether clients have to log in before they may do anything (`--auth`).
    pub auth: bool,
    /// What hello says of `maxWireVersion`. 17 is MongoDB 6.0; what commands do is 6.0's whatever this says.
    pub max_wire_version: i32,
    /// How long a command waits before it is carried out. Nothing by default: waiting in the network overlaps as well.
    pub start_delay: Delay,
    /// How long a command takes from its effects to its reply: a connection that breaks in between loses the reply.
    pub reply_delay: Delay,
    /// Whether `configureFailPoint` exists (`--setParameter enableTestCommands=1`).
    pub test_commands: bool,
    /// `serviceId`, which hello shows to clients that come through a load balancer.
    pub service_id: Option<[u8; 12]>,
    /// What it shows and asks for as a server of TLS, which it then requires of all clients.
    #[cfg(feature = "tls")]
    pub tls: Option<std::sync::Arc<rustls::ServerConfig>>,
    /// The compressors it has (`--networkMessageCompressors`): those of them that this build has, all three by default.
    pub compressors: Vec<Compressor>,
}

impl MongodSettings {
    /// A server without users that answers in 50 to 150 microseconds.
    pub fn new(host: ServerAddress, seed: u64) -> Self {
        MongodSettings {
            host,
            seed,
            users: Vec::new(),
            identity_provider: None,
            operator: None,
            auth: false,
            max_wire_version: WIRE_VERSION,
            start_delay: Delay::NONE,
            reply_delay: Delay::between(Duration::from_micros(50), Duration::from_micros(150)),
            test_commands: true,
            service_id: None,
            #[cfg(feature = "tls")]
            tls: None,
            compressors: vec![
                Compressor::Snappy,
                Compressor::Zstd { level: None },
                Compressor::Zlib { level: None },
            ],
        }
    }

    /// With another user, and log-in required from now on.
    #[must_use]
    pub fn with_user(mut self, user: User) -> Self {
        self.users.push(user);
        self.auth = true;
        self
    }

    /// With somebody whose tokens let people in, and log-in required from now on.
    #[must_use]
    pub fn with_identity_provider(mut self, provider: IdentityProvider) -> Self {
        self.identity_provider = Some(provider);
        self.auth = true;
        self
    }

    /// Whether a command comes from the operator, which is then no longer to be seen.
    pub(crate) fn take_operator(&self, body: &mut Document) -> bool {
        let Some(number) = self.operator else { return false };
        body.get_i64("$operator").is_ok_and(|shown| shown == number) && body.remove("$operator").is_some()
    }

    /// With other processing times.
    #[must_use]
    pub fn with_delays(mut self, start: Delay, reply: Delay) -> Self {
        (self.start_delay, self.reply_delay) = (start, reply);
        self
    }
}

/// Somebody who may log in, by SCRAM-SHA-1 and SCRAM-SHA-256; by PLAIN, or by MONGODB-X509 without a password, where the
/// database is `$external`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password, as it is.
    pub password: String,
    /// The database the user is defined in, `authSource` of a connection string.
    pub db: String,
}

impl User {
    /// A user of the `admin` database. All users may do everything.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        User { name: name.into(), password: password.into(), db: "admin".to_owned() }
    }

    /// A user who shows a certificate of this subject, such as `CN=app,OU=Shop,O=Us`, and has no password.
    pub fn certified(subject: impl Into<String>) -> Self {
        User { name: subject.into(), password: String::new(), db: "$external".to_owned() }
    }
}

/// A time drawn evenly between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    least: Duration,
    most: Duration,
}

impl Delay {
    /// No delay, and no number drawn.
    pub const NONE: Delay = Delay { least: Duration::ZERO, most: Duration::ZERO };

    /// Between `least` and `most`, both included.
    pub fn between(least: Duration, most: Duration) -> Self {
        Delay { least, most: most.max(least) }
    }

    /// Draws one.
    pub fn draw(&self, rng: &mut Rng) -> Duration {
        let spread = (self.most - self.least).as_nanos();
        if spread == 0 {
            return self.least;
        }
        let spread = u64::try_from(spread).unwrap_or(u64::MAX - 1);
        // Not `Rng::below`, which counts in `usize`: the same numbers on 32 bits.
        let drawn = (u128::from(rng.next_u64()) * u128::from(spread + 1)) >> 64;
        self.least + Duration::from_nanos(u64::try_from(drawn).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_inside_their_bounds() {
        let mut rng = Rng::new(1);
        let delay = Delay::between(Duration::from_nanos(5), Duration::from_nanos(7));
        let drawn: std::collections::BTreeSet<_> =
            (0..100).map(|_| delay.draw(&mut rng).as_nanos()).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [5, 6, 7]);
        let before = rng.clone().next_u64();
        assert_eq!(Delay::NONE.draw(&mut rng), Duration::ZERO);
        assert_eq!(rng.next_u64(), before);
    }
}
