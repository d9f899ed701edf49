use crate::delta::DecodeError;
use crate::version::Version;

/// Why a manifest cannot name a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPath {
    /// The path has no bytes.
    #[error("a path must not be empty")]
    Empty,
    /// The path begins or ends with `/`, or has two in a row.
    #[error("a path is relative and has no empty part")]
    EmptyPart,
    /// A part of the path is `.` or `..`.
    #[error("a path has no part that is . or ..")]
    DotPart,
    /// The path has a NUL byte.
    #[error("a path has no NUL byte")]
    Nul,
    /// The path has a backslash, which separates parts on some systems.
    #[error("a path has no backslash")]
    Backslash,
    /// The path is longer than the format allows.
    #[error("a path of {len} bytes; at most {max} are allowed")]
    TooLong {
        /// The path's length in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
}

/// Why bytes are no manifest, or why entries cannot form one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The first byte is not that of a manifest.
    #[error("these bytes are no manifest")]
    NoManifest,
    /// The second byte names a format that this version does not know.
    #[error("the manifest has format {format}; this version reads format {known}", known = super::format::FORMAT)]
    UnknownFormat {
        /// The format named.
        format: u8,
    },
    /// The manifest ends too early.
    #[error("the manifest is cut off after {len} bytes")]
    CutOff {
        /// How many bytes there are.
        len: usize,
    },
    /// More bytes follow the last version.
    #[error("{extra} bytes follow the manifest")]
    TooLong {
        /// How many bytes follow.
        extra: usize,
    },
    /// A number is not in its shortest form, or has more than 64 bits.
    #[error("the manifest has a malformed number at byte {at}")]
    BadNumber {
        /// Where, in bytes.
        at: usize,
    },
    /// There are more entries than the limit.
    #[error("a manifest of {count} files; at most {limit} are accepted")]
    TooManyFiles {
        /// How many files the manifest announces.
        count: u64,
        /// The limit.
        limit: u64,
    },
    /// All paths together are longer than the limit.
    #[error("the manifest's paths take more than {limit} bytes")]
    PathsTooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// A path is not allowed.
    #[error("the manifest names {path:?}: {reason}")]
    BadPath {
        /// The path, as far as it is UTF-8.
        path: String,
        /// What is wrong with it.
        reason: BadPath,
    },
    /// A path is not UTF-8.
    #[error("the path of file {index} is not UTF-8")]
    NotUtf8 {
        /// The entry's index.
        index: usize,
    },
    /// A path does not share as many bytes with the path before as it could.
    #[error("the path {path:?} is not written in its shortest form")]
    NotShortest {
        /// The path.
        path: String,
    },
    /// Two entries are equal, or not in order.
    #[error("the path {path:?} does not stand in order")]
    NotSorted {
        /// The second of both paths.
        path: String,
    },
    /// An entry is a file, and another lies below it.
    #[error("{parent:?} is a file, so {path:?} cannot lie below it")]
    BelowFile {
        /// The file.
        parent: String,
        /// The path below it.
        path: String,
    },
    /// An entry has a flag that this version does not know.
    #[error("{path:?} has unknown flags {flags:#04x}")]
    UnknownFlags {
        /// The path.
        path: String,
        /// All its flags.
        flags: u8,
    },
    /// All files together are longer than 2^63 bytes.
    #[error("the files of the manifest take more than 2^63 bytes")]
    FilesTooLong,
    /// A file of no bytes has another version than the empty file, or the other way round.
    #[error("{path:?} is said to have {len} bytes, which does not fit its version")]
    BadLength {
        /// The path.
        path: String,
        /// The length said.
        len: u64,
    },
}

/// Why bytes are no directory delta, or why one does not fit its manifests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryDeltaError {
    /// The first byte is not that of a directory delta.
    #[error("these bytes are no directory delta")]
    NoDirectoryDelta,
    /// The second byte names a format that this version does not know.
    #[error("the directory delta has format {format}; this version reads format {known}", known = super::format::FORMAT)]
    #[non_exhaustive]
    UnknownFormat {
        /// The format named.
        format: u8,
    },
    /// The directory delta ends before its first part.
    #[error("the directory delta is cut off before its first part")]
    CutOff,
    /// A number is not in its shortest form, or has more than 64 bits.
    #[error("the directory delta has a malformed number")]
    BadNumber,
    /// The delta between the manifests is invalid, or is a delta from another manifest.
    #[error("the manifest's delta is invalid")]
    ManifestDelta(#[source] DecodeError),
    /// The new manifest is invalid.
    #[error("the new manifest is invalid")]
    Manifest(#[source] ManifestError),
    /// A number is beyond a limit.
    #[error("the directory delta announces {value} {what}; at most {limit} are accepted")]
    #[non_exhaustive]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many are announced.
        value: u64,
        /// The limit.
        limit: u64,
    },
    /// A part has no files.
    #[error("the directory delta has a part without files")]
    EmptyPart,
    /// The new manifest is not the one that the directory delta announces.
    #[error("the manifest has version {found}, but the directory delta leads to {announced}")]
    #[non_exhaustive]
    OtherTarget {
        /// The version announced.
        announced: Version,
        /// The version of the manifest.
        found: Version,
    },
    /// The parts do not have as many files as are new.
    #[error("the parts have {announced} files, but {expected} are new")]
    #[non_exhaustive]
    OtherFiles {
        /// Files of all parts.
        announced: usize,
        /// New files by both manifests.
        expected: usize,
    },
    /// A basis file is beyond the end of the old manifest.
    #[error("a part needs file {index} of the old manifest, which has {count}")]
    #[non_exhaustive]
    NoSuchBasis {
        /// The index named.
        index: usize,
        /// Files of the old manifest.
        count: usize,
    },
}

/// Why the parts of a directory delta were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// The part's delta is invalid.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The bytes of a file are not those of its version.
    #[error("a part does not have the bytes of {path:?}")]
    #[non_exhaustive]
    OtherBytes {
        /// The path of the file in the new manifest.
        path: String,
    },
    /// The part is shorter or longer than its files.
    #[error("a part has {found} bytes, but its files have {expected}")]
    #[non_exhaustive]
    OtherLength {
        /// Bytes of the part's files.
        expected: u64,
        /// Bytes of the part.
        found: u64,
    },
}

/// Why bytes do not tell what a receiver holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HaveError {
    /// The first byte is not that of such a list.
    #[error("these bytes do not list what a receiver holds")]
    NoHave,
    /// The second byte names a format that this version does not know.
    #[error("the list has format {format}; this version reads format {known}", known = super::format::FORMAT)]
    #[non_exhaustive]
    UnknownFormat {
        /// The format named.
        format: u8,
    },
    /// The list ends too early.
    #[error("the list is cut off")]
    CutOff,
    /// A number is not in its shortest form, or has more than 64 bits.
    #[error("the list has a malformed number")]
    BadNumber,
    /// More bytes follow.
    #[error("{extra} bytes follow the list")]
    #[non_exhaustive]
    TooLong {
        /// How many bytes follow.
        extra: usize,
    },
    /// A file is beyond the end of the manifest.
    #[error("the list names a file that the manifest, which has {count}, does not have")]
    #[non_exhaustive]
    NoSuchFile {
        /// Files of the manifest.
        count: usize,
    },
    /// More files are held in another version than the format allows.
    #[error("the list names {announced} other versions; at most {limit} are accepted")]
    #[non_exhaustive]
    TooMany {
        /// How many are announced.
        announced: u64,
        /// The limit.
        limit: u64,
    },
}

impl ManifestError {
    /// The name of the rule that the bytes break, as `spec/vectors.json` uses it.
    pub fn reason(&self) -> &'static str {
        match self {
            ManifestError::NoManifest => "bad-magic",
            ManifestError::UnknownFormat { .. } => "bad-format",
            ManifestError::CutOff { .. } => "truncated",
            ManifestError::TooLong { .. } => "trailing-bytes",
            ManifestError::BadNumber { .. } => "bad-varint",
            ManifestError::TooManyFiles { .. } | ManifestError::FilesTooLong => "limit-files",
            ManifestError::PathsTooLong { .. } => "limit-paths",
            ManifestError::BadPath { .. } | ManifestError::NotUtf8 { .. } | ManifestError::NotShortest { .. } => {
                "bad-path"
            }
            ManifestError::NotSorted { .. } => "bad-order",
            ManifestError::BelowFile { .. } => "below-file",
            ManifestError::UnknownFlags { .. } => "bad-flags",
            ManifestError::BadLength { .. } => "bad-length",
        }
    }
}

impl DirectoryDeltaError {
    /// The name of the rule that the bytes break, as `spec/vectors.json` uses it.
    pub fn reason(&self) -> &'static str {
        match self {
            DirectoryDeltaError::NoDirectoryDelta => "bad-magic",
            DirectoryDeltaError::UnknownFormat { .. } => "bad-format",
            DirectoryDeltaError::CutOff => "truncated",
            DirectoryDeltaError::ManifestDelta(error) => error.reason(),
            DirectoryDeltaError::Manifest(error) => error.reason(),
            DirectoryDeltaError::BadNumber => "bad-varint",
            DirectoryDeltaError::TooMany { .. } => "limit-files",
            DirectoryDeltaError::OtherTarget { .. } => "wrong-target",
            DirectoryDeltaError::EmptyPart
            | DirectoryDeltaError::OtherFiles { .. }
            | DirectoryDeltaError::NoSuchBasis { .. } => "bad-parts",
        }
    }
}

impl PartError {
    /// The name of the rule that the bytes break, as `spec/vectors.json` uses it.
    pub fn reason(&self) -> &'static str {
        match self {
            PartError::Decode(error) => error.reason(),
            PartError::OtherBytes { .. } => "bad-file",
            PartError::OtherLength { .. } => "bad-parts",
        }
    }
}

impl HaveError {
    /// The name of the rule that the bytes break, as `spec/vectors.json` uses it.
    pub fn reason(&self) -> &'static str {
        match self {
            HaveError::NoHave => "bad-magic",
            HaveError::UnknownFormat { .. } => "bad-format",
            HaveError::CutOff => "truncated",
            HaveError::BadNumber => "bad-varint",
            HaveError::TooLong { .. } => "trailing-bytes",
            HaveError::NoSuchFile { .. } => "bad-index",
            HaveError::TooMany { .. } => "limit-files",
        }
    }
}
