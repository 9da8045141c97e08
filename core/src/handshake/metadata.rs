//! The `client` document: which application, driver, system and platform is speaking.

use super::ClientEnv;
use crate::error::{Error, Result};
use crate::raw::DocWriter;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The largest `client` document a server takes, in bytes.
pub const MAX_METADATA_BYTES: usize = 512;

/// The longest application name a server takes, in bytes.
pub const MAX_APP_NAME_BYTES: usize = 128;

/// `client.driver.name`.
pub const DRIVER_NAME: &str = "quorate";

/// What separates the values that wrapping libraries append.
const DELIMITER: char = '|';

/// The name an application gives itself, of at most 128 bytes. Servers log it with every connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppName(String);

impl AppName {
    /// Takes `name`.
    ///
    /// # Errors
    /// When it is longer than 128 bytes ("Limitations").
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        if name.len() > MAX_APP_NAME_BYTES {
            let length = name.len();
            let message = format!("appName has {length} bytes; at most {MAX_APP_NAME_BYTES} are allowed");
            return Err(Error::invalid_argument(message));
        }
        Ok(AppName(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a library that wraps this driver adds to the metadata ("Supporting Wrapping Libraries"). An empty text
/// counts as none.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "builders", derive(typed_builder::TypedBuilder))]
#[cfg_attr(feature = "builders", builder(field_defaults(default, setter(into))))]
pub struct DriverInfo {
    /// The library's name.
    #[cfg_attr(feature = "builders", builder(!default))]
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Its platform.
    pub platform: Option<String>,
}

impl DriverInfo {
    /// The same with empty texts left out.
    fn normalized(self) -> Self {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        DriverInfo { name: self.name, version: given(self.version), platform: given(self.platform) }
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        [Some(self.name.as_str()), self.version.as_deref(), self.platform.as_deref()].into_iter().flatten()
    }
}

/// What the host knows of its system.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct HostInfo {
    /// Kind of operating system, such as `Linux`; empty when not known.
    pub os_type: String,
    /// The operating system's own name, such as `Debian GNU/Linux 12`.
    pub os_name: Option<String>,
    /// The machine, such as `x86_64`.
    pub os_architecture: Option<String>,
    /// The operating system's version.
    pub os_version: Option<String>,
    /// What the driver runs on: compiler and async runtime. The important part first, as its end may be cut.
    pub platform: Option<String>,
    /// Where it runs.
    pub env: ClientEnv,
}

/// Everything the `client` document is made of.
///
/// ```
/// use quorate_core::handshake::{AppName, ClientMetadata, DriverInfo, HostInfo, MAX_METADATA_BYTES};
/// let app = AppName::new("shop").unwrap();
/// let mut metadata = ClientMetadata::new(Some(app), "0.1.0", HostInfo::default());
/// metadata.append(DriverInfo { name: "an-odm".into(), ..DriverInfo::default() }).unwrap();
/// assert!(metadata.to_bson().len() <= MAX_METADATA_BYTES);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMetadata {
    app_name: Option<AppName>,
    driver_version: String,
    host: HostInfo,
    appended: Vec<DriverInfo>,
}

impl ClientMetadata {
    /// Metadata without any wrapping library. `driver_version` is this driver's.
    pub fn new(app_name: Option<AppName>, driver_version: impl Into<String>, host: HostInfo) -> Self {
        ClientMetadata { app_name, driver_version: driver_version.into(), host, appended: Vec::new() }
    }

    /// Appends what a wrapping library says of itself; connections opened from now on carry it. Returns whether
    /// anything changed: the same information twice counts once ("Appending metadata").
    ///
    /// # Errors
    /// When a text contains the delimiter `|`.
    pub fn append(&mut self, info: DriverInfo) -> Result<bool> {
        let info = info.normalized();
        if let Some(text) = info.texts().find(|text| text.contains(DELIMITER)) {
            return Err(Error::invalid_argument(format!(
                "driver info must not contain {DELIMITER:?}: {text:?}"
            )));
        }
        if info == DriverInfo::default() || self.appended.contains(&info) {
            return Ok(false);
        }
        self.appended.push(info);
        Ok(true)
    }

    /// The `client` document, cut down to 512 bytes in the order of the specification ("Limitations"). Make it once and
    /// use it for every connection until something is appended.
    pub fn to_bson(&self) -> Vec<u8> {
        let mut view = View::of(self);
        let mut bytes = view.to_bson();
        for cut in CUTS {
            let excess = bytes.len().saturating_sub(MAX_METADATA_BYTES);
            if excess == 0 {
                break;
            }
            view.cut(cut, excess);
            bytes = view.to_bson();
        }
        bytes
    }
}

/// What may be left out for want of room.
#[derive(Clone, Copy)]
enum Cut {
    EnvDetails,
    OsDetails,
    Env,
    Platform,
    DriverVersion,
    DriverName,
    OsType,
}

/// In this order. The first four are the specification's; the others make the limit hold whatever hosts and libraries
/// say of themselves.
const CUTS: [Cut; 7] = [
    Cut::EnvDetails,
    Cut::OsDetails,
    Cut::Env,
    Cut::Platform,
    Cut::DriverVersion,
    Cut::DriverName,
    Cut::OsType,
];

/// How much of `env` is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EnvPart {
    All,
    NameOnly,
    Nothing,
}

/// The document to be, before and after cuts.
struct View<'a> {
    metadata: &'a ClientMetadata,
    driver_name: String,
    driver_version: String,
    os_type: String,
    os_details: bool,
    platform: String,
    env: EnvPart,
}

impl<'a> View<'a> {
    fn of(metadata: &'a ClientMetadata) -> Self {
        let host = &metadata.host;
        let appended = &metadata.appended;
        let names = appended.iter().map(|info| info.name.as_str());
        let versions = appended.iter().filter_map(|info| info.version.as_deref());
        let platforms = appended.iter().filter_map(|info| info.platform.as_deref());
        View {
            metadata,
            driver_name: joined(DRIVER_NAME, names),
            driver_version: joined(&metadata.driver_version, versions),
            // "clients must default to `unknown`".
            os_type: if host.os_type.is_empty() { "unknown".to_owned() } else { host.os_type.clone() },
            os_details: true,
            platform: joined(host.platform.as_deref().unwrap_or_default(), platforms),
            env: EnvPart::All,
        }
    }

    fn cut(&mut self, cut: Cut, excess: usize) {
        match cut {
            Cut::EnvDetails => self.env = EnvPart::NameOnly,
            Cut::OsDetails => self.os_details = false,
            Cut::Env => self.env = EnvPart::Nothing,
            Cut::Platform => shorten(&mut self.platform, excess),
            Cut::DriverVersion => shorten(&mut self.driver_version, excess),
            Cut::DriverName => shorten(&mut self.driver_name, excess),
            Cut::OsType => shorten(&mut self.os_type, excess),
        }
    }

    fn to_bson(&self) -> Vec<u8> {
        let host = &self.metadata.host;
        let mut bytes = Vec::with_capacity(MAX_METADATA_BYTES);
        let mut doc = DocWriter::new(&mut bytes);
        if let Some(name) = self.metadata.app_name.as_ref().filter(|name| !name.as_str().is_empty()) {
            doc = doc.doc("application", |doc| doc.str("name", name.as_str()));
        }
        doc = doc
            .doc("driver", |doc| doc.str("name", &self.driver_name).str("version", &self.driver_version))
            .doc("os", |doc| {
                let doc = doc.str("type", &self.os_type);
                let shown = |text: &'a Option<String>| text.as_deref().filter(|_| self.os_details);
                let doc = optional(doc, "name", shown(&host.os_name));
                let doc = optional(doc, "architecture", shown(&host.os_architecture));
                optional(doc, "version", shown(&host.os_version))
            });
        doc = optional(doc, "platform", Some(&self.platform));
        write_env(doc, &host.env, self.env).finish();
        bytes
    }
}

fn write_env<'a>(doc: DocWriter<'a>, env: &ClientEnv, part: EnvPart) -> DocWriter<'a> {
    let container = part == EnvPart::All && env.is_container();
    if part == EnvPart::Nothing || (env.faas.is_none() && !container) {
        return doc;
    }
    doc.doc("env", |mut doc| {
        if let Some(faas) = &env.faas {
            doc = doc.str("name", faas.name.as_str());
            if part == EnvPart::All {
                doc = faas.timeout_sec.into_iter().fold(doc, |doc, value| doc.i32("timeout_sec", value));
                doc = faas.memory_mb.into_iter().fold(doc, |doc, value| doc.i32("memory_mb", value));
                doc = optional(doc, "region", faas.region.as_deref());
            }
        }
        if !container {
            return doc;
        }
        doc.doc("container", |doc| {
            let doc = optional(doc, "runtime", env.docker.then_some("docker"));
            optional(doc, "orchestrator", env.kubernetes.then_some("kubernetes"))
        })
    })
}

/// A string field, unless there is nothing to say.
fn optional<'a>(doc: DocWriter<'a>, name: &str, value: Option<&str>) -> DocWriter<'a> {
    match value {
        Some(value) if !value.is_empty() => doc.str(name, value),
        _ => doc,
    }
}

/// `first` and what is appended to it; parts that are empty do not count.
fn joined<'a>(first: &'a str, appended: impl Iterator<Item = &'a str>) -> String {
    let mut all = String::new();
    for part in core::iter::once(first).chain(appended).filter(|part| !part.is_empty()) {
        if !all.is_empty() {
            all.push(DELIMITER);
        }
        all.push_str(part);
    }
    all
}

/// Takes at least `excess` bytes off the end, and no part of a character.
fn shorten(text: &mut String, excess: usize) {
    let mut end = text.len().saturating_sub(excess);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.truncate(end);
}
