//! Choosing a library: the first that is whole, new enough, and loads.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ort::LoadDynamicError;

use super::place::Place;
use super::version::{NEEDED, Version};
use super::whole;

/// The library that was chosen and loaded.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) library: PathBuf,
    pub(super) version: Option<Version>,
    pub(super) place: &'static str,
}

/// Loads the first library that will do. A place whose libraries will not do
/// is passed over, with a warning, and the next one is looked at.
///
/// # Errors
/// What to tell people: every place and why it did not do.
pub(super) fn choose(
    places: Vec<Place>,
    mut load: impl FnMut(&Path) -> Result<(), LoadDynamicError>,
) -> Result<Choice, String> {
    let mut report = format!("no ONNX Runtime library of version {NEEDED} or newer was found:");
    for place in places {
        let mut reasons: Vec<String> = place.empty_because.iter().cloned().collect();
        for library in &place.libraries {
            match attempt(library, &mut load) {
                Ok(version) => {
                    return Ok(Choice {
                        library: library.clone(),
                        version,
                        place: place.name,
                    });
                }
                Err(why) => {
                    tracing::warn!(library = %library.display(), why, "passed over");
                    reasons.push(format!("{} {why}", library.display()));
                }
            }
        }
        // Writing to a string cannot fail.
        let _ = write!(report, "\n  - {place}: {}", reasons.join("; "));
    }
    Err(report)
}

/// Loads one library, unless its name or its header tells that it will not do.
fn attempt(
    library: &Path,
    load: &mut impl FnMut(&Path) -> Result<(), LoadDynamicError>,
) -> Result<Option<Version>, String> {
    let version = Version::of_library(library);
    if let Some(found) = version.filter(|found| *found < NEEDED) {
        return Err(too_old(&found.to_string()));
    }
    match whole::missing_bytes(library) {
        Ok(0) => {}
        Ok(bytes) => return Err(format!("is cut short by {bytes} bytes")),
        Err(error) => return Err(format!("cannot be read: {error}")),
    }
    // A relative path would be taken from the executable's folder.
    let library = std::path::absolute(library).map_err(|error| error.to_string())?;
    load(&library)
        .map(|()| version)
        .map_err(|error| match error {
            LoadDynamicError::BadVersion { version_str, .. } => too_old(&version_str),
            LoadDynamicError::MissingApi { .. } => "is not an ONNX Runtime library".to_owned(),
            LoadDynamicError::Dlopen { error, .. } => format!("does not load: {error}"),
            LoadDynamicError::InvalidVersionString => "does not tell its version".to_owned(),
        })
}

fn too_old(found: &str) -> String {
    format!("is version {found}; {NEEDED} or newer is needed")
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
