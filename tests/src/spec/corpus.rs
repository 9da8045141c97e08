//! Where the test files lie: a checkout of the specifications repository, or an unpacked PyMongo distribution.

#[cfg(not(target_family = "wasm"))]
use quorate_harness::fixtures::specifications;
use std::path::{Path, PathBuf};

/// An opened corpus.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// The folder that holds the suites' folders.
    root: PathBuf,
    layout: Layout,
    is_default: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Specifications,
    PyMongo,
}

impl Corpus {
    /// Opens what `QUORATE_SPECS` names, or else the default: PyMongo's source distribution, fetched on first use into
    /// `target/fixtures/`.
    ///
    /// # Errors
    /// One line that says what to set, when neither is to be had.
    pub fn open() -> Result<Self, String> {
        let is_default = std::env::var_os("QUORATE_SPECS").is_none_or(|value| value.is_empty());
        Ok(Corpus { is_default, ..Self::at(specifications()?)? })
    }

    /// Opens `root`, telling its layout by what lies there: at least one suite's folder must.
    ///
    /// # Errors
    /// When it is neither.
    pub fn at(root: impl Into<PathBuf>) -> Result<Self, String> {
        let given = root.into();
        for (layout, folder) in [(Layout::Specifications, "source"), (Layout::PyMongo, "test")] {
            let corpus = Corpus { root: given.join(folder), layout, is_default: false };
            if super::suites().any(|suite| corpus.folder(suite.specs, suite.pymongo).is_dir()) {
                return Ok(corpus);
            }
        }
        Err(format!(
            "{} is neither a specifications checkout nor an unpacked PyMongo distribution",
            given.display()
        ))
    }

    /// Whether this is the corpus that `tests/skips.toml` is about.
    pub const fn is_default(&self) -> bool {
        self.is_default
    }

    /// A suite's folder: `specs` relative to `source/`, `pymongo` relative to `test/`. It need not exist.
    pub(super) fn folder(&self, specs: &str, pymongo: &str) -> PathBuf {
        self.root.join(match self.layout {
            Layout::Specifications => specs,
            Layout::PyMongo => pymongo,
        })
    }

    /// A file parsed as JSON.
    ///
    /// # Errors
    /// When it cannot be read or is no JSON.
    pub fn load(path: &Path) -> Result<serde_json::Value, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
    }
}

/// Under WebAssembly nothing can be fetched.
#[cfg(target_family = "wasm")]
fn specifications() -> Result<PathBuf, String> {
    let given = std::env::var_os("QUORATE_SPECS").filter(|value| !value.is_empty());
    given.map(PathBuf::from).ok_or_else(|| "QUORATE_SPECS must say where the test files lie".to_owned())
}

/// The JSON files below a folder, sorted; none if there is no such folder.
pub(super) fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "json") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
