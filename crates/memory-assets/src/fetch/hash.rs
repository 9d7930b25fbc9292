//! SHA-256 of files and of copied streams.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::folder_member;
use crate::check::{ProblemKind, check_size};
use crate::manifest::Member;

/// Large enough that the cost of system calls is negligible.
const BUFFER: usize = 256 * 1024;

/// Checks presence, size and SHA-256.
pub(super) fn check_hash(path: &Path, member: &Member) -> Option<ProblemKind> {
    let of = if member.is_folder() {
        folder_member::hash
    } else {
        of_file
    };
    check_size(path, member).or_else(|| match of(path) {
        Ok(found) if found == member.sha256 => None,
        Ok(_) => Some(ProblemKind::Hash),
        Err(error) => Some(ProblemKind::Unreadable(error)),
    })
}

/// The SHA-256 of a file, in lower-case hexadecimal.
pub(super) fn of_file(path: &Path) -> io::Result<String> {
    copy(&mut File::open(path)?, &mut io::sink())
}

/// Copies `from` to `to` and returns the SHA-256 of the content.
pub(super) fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(hexadecimal(&hasher.finalize())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
    }
}

/// The SHA-256 of bytes in memory, in lower-case hexadecimal.
pub(super) fn of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_test_vector_matches() {
        let mut copied = Vec::new();
        let hash = copy(&mut b"abc".as_slice(), &mut copied).unwrap();
        let published = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash, published);
        assert_eq!(copied, b"abc");
    }
}
