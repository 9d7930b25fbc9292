//! Detection of truncated ELF libraries.
//!
//! The dynamic loader maps the segments that a library's header declares. If the
//! file is shorter, as after an interrupted copy, the first access to the missing
//! part kills the process (SIGBUS), and no error can be returned. So the size is
//! checked before the library is loaded.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The first bytes of a 64-bit, little-endian ELF file.
const ELF_64_LITTLE: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
/// The bytes of the ELF header, and of one entry of the program header table
/// (System V ABI, ELF-64).
const HEADER: usize = 64;
const SEGMENT: usize = 56;

/// The number of bytes that are missing at the end of a library's file.
///
/// Also 0 for a file that is not 64-bit little-endian ELF, because the loader
/// returns an error for other formats.
///
/// # Errors
/// An I/O error; also if the file ends within its headers.
pub(super) fn missing_bytes(library: &Path) -> io::Result<u64> {
    let mut file = File::open(library)?;
    let length = file.metadata()?.len();
    let mut start = [0; HEADER];
    if length < 6 {
        return Ok(0);
    }
    file.read_exact(&mut start[..6])?;
    if start[..6] != ELF_64_LITTLE {
        return Ok(0);
    }
    file.read_exact(&mut start[6..])?;
    file.seek(SeekFrom::Start(number(&start[32..40])))?;
    let mut declared = 0;
    for _ in 0..number(&start[56..58]) {
        let mut segment = [0; SEGMENT];
        file.read_exact(&mut segment)?;
        let (offset, size) = (number(&segment[8..16]), number(&segment[32..40]));
        declared = declared.max(offset.saturating_add(size));
    }
    Ok(declared.saturating_sub(length))
}

/// A little-endian number of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_library_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        // The test executable is an ELF file with segments.
        std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        assert_eq!(missing_bytes(&copy).unwrap(), 0);
        let file = File::options().write(true).open(&copy).unwrap();
        file.set_len(10_000).unwrap();
        assert!(missing_bytes(&copy).unwrap() > 100_000);
        file.set_len(40).unwrap();
        assert!(missing_bytes(&copy).is_err());
    }

    #[test]
    fn other_formats_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        for content in ["", "text", "a longer text that is not a library"] {
            let file = folder.path().join("file");
            std::fs::write(&file, content).unwrap();
            assert_eq!(missing_bytes(&file).unwrap(), 0);
        }
    }
}
