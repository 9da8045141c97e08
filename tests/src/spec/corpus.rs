//! Where the test files lie: a checkout of the specifications repository, or an unpacked PyMongo distribution.

use std::path::{Path, PathBuf};

/// An opened corpus.
#[derive(Clone, Debug)]
pub struct Corpus {
    root: PathBuf,
    layout: Layout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Specifications,
    PyMongo,
}

impl Corpus {
    /// Opens what `QUORATE_SPECS` names, or else PyMongo's source distribution, fetched on first use into
    /// `target/fixtures/`.
    ///
    /// # Errors
    /// One line that says what to set, when neither is to be had.
    pub fn open() -> Result<Self, String> {
        Self::at(quorate_harness::fixtures::specifications()?)
    }

    /// Opens `root`, telling its layout by what lies there.
    ///
    /// # Errors
    /// When it is neither.
    pub fn at(root: impl Into<PathBuf>) -> Result<Self, String> {
        let root = root.into();
        if root.join("source/server-selection/tests").is_dir() {
            Ok(Corpus { root, layout: Layout::Specifications })
        } else if root.join("test/server_selection").is_dir() {
            Ok(Corpus { root, layout: Layout::PyMongo })
        } else {
            Err(format!(
                "{} is neither a specifications checkout nor an unpacked PyMongo distribution",
                root.display()
            ))
        }
    }

    /// The JSON files below a folder (sorted, recursive): `specs` relative to `source/`, `pymongo` relative to `test/`.
    /// Empty when the corpus does not have it.
    pub fn json_files(&self, specs: &str, pymongo: &str) -> Vec<PathBuf> {
        let dir = match self.layout {
            Layout::Specifications => self.root.join("source").join(specs),
            Layout::PyMongo => self.root.join("test").join(pymongo),
        };
        let mut files = Vec::new();
        collect(&dir, &mut files);
        files.sort();
        files
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

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "json") {
            files.push(path);
        }
    }
}
