//! Why a bundle is not made, or not believed.

use std::fmt;

/// Why a bundle is not made, or not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// Not JSON, or not of this shape.
    Json {
        /// Line of the file.
        line: usize,
        /// Column.
        column: usize,
        /// What is wrong there.
        why: String,
        /// The file ends too early.
        ends: bool,
    },
    /// JSON, but no bundle.
    NotABundle,
    /// A version that this program does not know.
    Version(u64),
    /// The contents are not those that the digest was made over.
    Digest {
        /// The digest in the file.
        written: String,
        /// The digest of its contents.
        computed: String,
    },
    /// Something in it contradicts itself: where and how.
    Wrong {
        /// Which part.
        part: String,
        /// What is wrong with it.
        why: String,
    },
    /// It cannot be written as JSON.
    Write(String),
}

impl BundleError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            BundleError::Json { ends: true, .. } => {
                "the file is cut short; get it again from where it was made"
            }
            BundleError::Json { .. } | BundleError::NotABundle => {
                "bundles are made by `baretrace check SCRIPT -o FILE.json`"
            }
            BundleError::Version(_) => {
                "make it again with this version, or read it with the one that made it"
            }
            BundleError::Digest { .. } => {
                "it was edited or damaged; make it again, or get it again from where it was made"
            }
            BundleError::Wrong { .. } => {
                "its digest is right, so it was made like this; do not trust it"
            }
            BundleError::Write(_) => "names of files must be UTF-8",
        }
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BundleError::Json {
                line, column, why, ..
            } => write!(f, "line {line}, column {column}: {why}"),
            BundleError::NotABundle => {
                f.write_str("this is no bundle: no `\"format\": \"baretrace bundle\"`")
            }
            BundleError::Version(version) => write!(
                f,
                "the bundle's format is version {version}; this program knows version {}",
                super::VERSION
            ),
            BundleError::Digest { written, computed } => write!(
                f,
                "the contents are not what the digest says\n  digest in the file    {written}\n  digest of its contents {computed}"
            ),
            BundleError::Wrong { part, why } => write!(f, "{part}: {why}"),
            BundleError::Write(why) => write!(f, "write as JSON: {why}"),
        }
    }
}

impl std::error::Error for BundleError {}
