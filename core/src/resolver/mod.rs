//! Where the servers are, asked of DNS.
//!
//! The core asks no name server itself: a look-up is an output, its answer an input. Two machines do all there is to do for a
//! `mongodb+srv` connection string:
//!
//! * [`SeedResolver`] finds the seeds before the client starts: SRV and TXT records in, [`crate::ClientOptions`] out.
//! * [`SrvPoller`] asks again for as long as the client runs, so that a sharded cluster's list of `mongos` stays fresh.
//!
//! Both have the shape of every machine here. A host does, in a loop:
//!
//! 1. `poll_output` until `None`; for each [`Lookup`] it asks its resolver and brings the answer back with `handle_srv` or
//!    `handle_txt`;
//! 2. sleeps until `poll_timeout`, or until an answer is there;
//! 3. calls `handle_timeout` if the moment has come. Too early or too late a call is harmless.
//!
//! An answer nobody waits for (any more) is ignored. What a name server says is taken for hostile: it leads nowhere outside of
//! the domain, sets no option but three, and its size is bounded.
//!
//! Sources: initial DNS seedlist discovery specification; polling SRV records for mongos discovery specification.

mod poller;
mod record;
mod seeds;

pub use poller::{MIN_RESCAN_INTERVAL, SrvPoller, SrvPollerOutput};
pub use record::{Lookup, MAX_RECORDS, SrvRecord, TxtRecord};
pub use seeds::{Resolved, SeedOutput, SeedResolver};
