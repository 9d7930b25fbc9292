//! Versions of ONNX Runtime from the names of its library files.

use std::fmt;
use std::path::Path;

/// The oldest version that the linked `ort` supports. All releases of the runtime
/// have the major version 1, and `ort` names the minor one.
pub(crate) const MIN_SUPPORTED: Version = Version([1, ort::MINOR_VERSION, 0]);

/// A version of ONNX Runtime: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) [u32; 3]);

impl Version {
    /// The version in a library's file name (`libonnxruntime.so.1.32.0`,
    /// `libonnxruntime.1.32.0.dylib`), with links resolved; `None` if the name does
    /// not contain at least major and minor.
    pub(crate) fn of_library(library: &Path) -> Option<Self> {
        let real = library.canonicalize().ok()?;
        let name = real.file_name()?.to_str()?;
        let digits = name
            .strip_prefix("libonnxruntime.so.")
            .or_else(|| name.strip_prefix("libonnxruntime.")?.strip_suffix(".dylib"))?;
        Self::parse(digits)
    }

    /// Parses `1.32.0`, or `1.32` with a patch of 0.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        let version = Self([
            parts.next()??,
            parts.next()??,
            parts.next().unwrap_or(Some(0))?,
        ]);
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Whether a file name is that of the library, with or without a version, and not
/// that of a provider library (`libonnxruntime_providers_shared.so`).
pub(crate) fn is_library_name(name: &str) -> bool {
    if cfg!(windows) {
        name.eq_ignore_ascii_case("onnxruntime.dll")
    } else if cfg!(target_vendor = "apple") {
        name.strip_prefix("libonnxruntime.")
            .is_some_and(|rest| rest == "dylib" || rest.ends_with(".dylib"))
    } else {
        name.strip_prefix("libonnxruntime.so")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_numerically() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("1.9.1") < version("1.24.0"));
        assert!(version("1.24") >= MIN_SUPPORTED);
        for odd in ["", "1", "one.two", "1.2.3.4", "1..2"] {
            assert_eq!(Version::parse(odd), None, "{odd}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_version_is_that_of_the_link_s_target() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("libonnxruntime.so.1.19.2");
        let link = folder.path().join("libonnxruntime.so");
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(Version::of_library(&link), Version::parse("1.19.2"));
        assert_eq!(Version::of_library(&folder.path().join("absent")), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn provider_libraries_are_not_the_library() {
        assert!(is_library_name("libonnxruntime.so"));
        assert!(is_library_name("libonnxruntime.so.1.32.0"));
        assert!(!is_library_name("libonnxruntime_providers_shared.so"));
        assert!(!is_library_name("libonnxruntime.sofa"));
    }
}
