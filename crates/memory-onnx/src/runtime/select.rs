//! Selection of the first library that is complete, new enough and loadable.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ort::LoadDynamicError;

use super::candidate::Candidate;
use super::elf_check;
use super::version::{MIN_SUPPORTED, Version};

/// The library that was selected and loaded.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) library: PathBuf,
    pub(super) version: Option<Version>,
    pub(super) source: &'static str,
}

/// Loads the first usable library. Unusable ones are skipped with a warning.
///
/// # Errors
/// A message for the user with all candidates and why each was skipped.
pub(super) fn select(
    candidates: Vec<Candidate>,
    mut load: impl FnMut(&Path) -> Result<(), LoadDynamicError>,
) -> Result<Selection, String> {
    let mut report =
        format!("no ONNX Runtime library of version {MIN_SUPPORTED} or newer was found:");
    for candidate in candidates {
        let mut reasons: Vec<String> = candidate.empty_because.iter().cloned().collect();
        for library in &candidate.libraries {
            match try_load(library, &mut load) {
                Ok(version) => {
                    return Ok(Selection {
                        library: library.clone(),
                        version,
                        source: candidate.name,
                    });
                }
                Err(why) => {
                    tracing::warn!(library = %library.display(), why, "skipped an ONNX Runtime library");
                    reasons.push(format!("{} {why}", library.display()));
                }
            }
        }
        // Writing to a string cannot fail.
        let _ = write!(report, "\n  - {candidate}: {}", reasons.join("; "));
    }
    Err(report)
}

/// Loads one library, unless its name or its header shows that it is unusable.
fn try_load(
    library: &Path,
    load: &mut impl FnMut(&Path) -> Result<(), LoadDynamicError>,
) -> Result<Option<Version>, String> {
    let version = Version::of_library(library);
    if let Some(found) = version.filter(|found| *found < MIN_SUPPORTED) {
        return Err(too_old(&found.to_string()));
    }
    match elf_check::missing_bytes(library) {
        Ok(0) => {}
        Ok(bytes) => return Err(format!("is truncated by {bytes} bytes")),
        Err(error) => return Err(format!("cannot be read: {error}")),
    }
    // The loader would resolve a relative path against the executable's folder.
    let library = std::path::absolute(library).map_err(|error| error.to_string())?;
    load(&library)
        .map(|()| version)
        .map_err(|error| match error {
            LoadDynamicError::BadVersion { version_str, .. } => too_old(&version_str),
            LoadDynamicError::MissingApi { .. } => "is not an ONNX Runtime library".to_owned(),
            LoadDynamicError::Dlopen { error, .. } => format!("cannot be loaded: {error}"),
            LoadDynamicError::InvalidVersionString => "does not report its version".to_owned(),
        })
}

fn too_old(found: &str) -> String {
    format!("is version {found}; {MIN_SUPPORTED} or newer is needed")
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
