//! Whether a library's file is whole.
//!
//! The dynamic loader maps the segments that a library's header promises. If
//! the file is shorter, as an interrupted copy leaves it, the first touch of
//! the missing part kills the process (SIGBUS), and no error can be returned.
//! So the promise is checked before the loader sees the file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The first bytes of a 64-bit, little-endian ELF file.
const ELF_64_LITTLE: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
/// Bytes of its header, and of one entry of its program header table.
const HEADER: usize = 64;
const SEGMENT: usize = 56;

/// The bytes that are missing at the end of a library's file.
///
/// 0 also for a file that is not 64-bit little-endian ELF: the loader refuses
/// a foreign format with an error.
///
/// # Errors
/// What reading the file fails with; a file that ends within its headers
/// counts as unreadable.
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
    let mut promised = 0;
    for _ in 0..number(&start[56..58]) {
        let mut segment = [0; SEGMENT];
        file.read_exact(&mut segment)?;
        let (offset, size) = (number(&segment[8..16]), number(&segment[32..40]));
        promised = promised.max(offset.saturating_add(size));
    }
    Ok(promised.saturating_sub(length))
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
    fn a_library_that_was_cut_short_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        // The test itself is an ELF file with segments.
        std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        assert_eq!(missing_bytes(&copy).unwrap(), 0);
        let file = File::options().write(true).open(&copy).unwrap();
        file.set_len(10_000).unwrap();
        assert!(missing_bytes(&copy).unwrap() > 100_000);
        file.set_len(40).unwrap();
        assert!(missing_bytes(&copy).is_err());
    }

    #[test]
    fn other_formats_are_left_to_the_loader() {
        let folder = tempfile::tempdir().unwrap();
        for content in ["", "text", "a longer text that is not a library"] {
            let file = folder.path().join("file");
            std::fs::write(&file, content).unwrap();
            assert_eq!(missing_bytes(&file).unwrap(), 0);
        }
    }
}
