//! Whether this driver and a server can talk at all.
//!
//! Source: SDAM specification, "Checking wire protocol compatibility".

use super::{ServerDescription, ServerType};
use alloc::string::String;

/// Lowest wire protocol version this driver speaks: MongoDB 4.2.
pub const MIN_WIRE_VERSION: i32 = 8;
/// Highest wire protocol version this driver knows.
pub const MAX_WIRE_VERSION: i32 = 29;
/// The server release of [`MIN_WIRE_VERSION`].
const MIN_SERVER: &str = "4.2";

/// Why this driver cannot use that server, if it cannot. Unknown servers and load balancers never stand in the way.
pub(super) fn incompatibility(server: &ServerDescription) -> Option<String> {
    if matches!(
        server.server_type,
        ServerType::Unknown | ServerType::PossiblePrimary | ServerType::LoadBalancer
    ) {
        return None;
    }
    if server.min_wire_version > MAX_WIRE_VERSION {
        return Some(alloc::format!(
            "Server at {} requires wire version {}, but this version of Quorate only supports up to {MAX_WIRE_VERSION}.",
            server.address,
            server.min_wire_version
        ));
    }
    if server.max_wire_version < MIN_WIRE_VERSION {
        return Some(alloc::format!(
            "Server at {} reports wire version {}, but this version of Quorate requires at least {MIN_WIRE_VERSION} \
             (MongoDB {MIN_SERVER}).",
            server.address,
            server.max_wire_version
        ));
    }
    None
}
