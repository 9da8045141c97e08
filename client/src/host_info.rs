//! What the handshake tells servers of this program and the machine it runs on.

use quorate_core::handshake::{ClientEnv, HostInfo};

/// Reads the environment once.
pub(crate) fn host_info(runtime: &str) -> HostInfo {
    let lookup = |name: &str| std::env::var(name).ok();
    HostInfo {
        os_type: title(std::env::consts::OS),
        os_name: Some(std::env::consts::OS).filter(|os| !os.is_empty()).map(str::to_owned),
        os_architecture: Some(std::env::consts::ARCH.to_owned()),
        os_version: None,
        platform: Some(format!("Rust with {runtime}")),
        env: ClientEnv::detect(lookup, std::path::Path::new("/.dockerenv").exists()),
    }
}

/// `linux` as servers know it: `Linux`.
fn title(os: &str) -> String {
    match os {
        "macos" => "Darwin".to_owned(),
        "windows" => "Windows".to_owned(),
        // WebAssembly without a system interface. Handshake specification, "client.os.type": "default to `unknown`".
        "" => "unknown".to_owned(),
        other => {
            let mut letters = other.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
        }
    }
}
