//! Makes `wasm/pkg`: compiles `quorate-wasm` for `wasm32-unknown-unknown` and writes the JavaScript around it, as an ECMAScript
//! module for Node with its TypeScript declarations.
//!
//! `cargo run -p quorate-wasm-build`; nothing needs to be installed but the target.

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use wasm_bindgen_cli_support::Bindgen;

const TARGET: &str = "wasm32-unknown-unknown";

/// Makes the JavaScript package of quorate-wasm.
#[derive(Debug, Parser)]
struct Arguments {
    /// Optimized, without debug information.
    #[arg(long)]
    release: bool,
    /// Where the package goes.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../pkg"))]
    out: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match compile(arguments.release).and_then(|module| package(&module, &arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Compiles; gives the module cargo made.
fn compile(release: bool) -> Result<PathBuf, String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target_dir =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(&workspace).args(["build", "--quiet", "-p", "quorate-wasm", "--target", TARGET]);
    command.arg("--target-dir").arg(&target_dir);
    // Flags for this machine's own compiler are none of the module's.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    if release {
        command.arg("--release");
    }
    let status = command.status().map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !status.success() {
        return Err(format!(
            "cargo build for {TARGET}: {status} (where the target is missing: rustup target add {TARGET})"
        ));
    }
    let profile = if release { "release" } else { "debug" };
    Ok(target_dir.join(TARGET).join(profile).join("quorate_wasm.wasm"))
}

/// Writes the package: the module, the JavaScript that loads it, the declarations, and a manifest.
fn package(module: &Path, arguments: &Arguments) -> Result<(), String> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name("quorate").typescript(true).keep_debug(!arguments.release);
    bindgen.nodejs_module(true).map_err(|error| error.to_string())?;
    bindgen.generate(&arguments.out).map_err(|error| format!("{}: {error:#}", module.display()))?;
    let manifest = concat!(
        "{\n  \"name\": \"quorate\",\n  \"version\": \"",
        env!("CARGO_PKG_VERSION"),
        "\",\n  \"type\": \"module\",\n  \"main\": \"quorate.js\",\n  \"types\": \"quorate.d.ts\",\n  \"private\": true\n}\n"
    );
    let path = arguments.out.join("package.json");
    std::fs::write(&path, manifest).map_err(|error| format!("{}: {error}", path.display()))
}
