//! Recognizing paths that lead to the database's own files, or to another
//! database.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What SQLite appends to the name of a database for the files next to it.
const SIDECAR_SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The number of symbolic links that are followed, as on Linux.
const MAX_LINKS: usize = 40;

/// Whether `path` leads to the database `file` or to a file that SQLite keeps
/// next to it, by whatever links, folders or spelling. Names that differ in case
/// only count as the same, because some file systems do not distinguish them.
pub(crate) fn is_own_file(path: &Path, file: &Path) -> bool {
    let resolved = resolve(file);
    [file, &resolved].into_iter().any(|base| {
        is_same_file(path, base)
            || SIDECAR_SUFFIXES
                .iter()
                .any(|suffix| is_same_file(path, &sidecar(base, suffix)))
    })
}

/// Whether `path` is an existing SQLite database of whatever application.
pub(crate) fn is_sqlite_database(path: &Path) -> bool {
    const SIGNATURE: &[u8; 16] = b"SQLite format 3\0";
    // Opening a pipe would wait for its writer.
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let mut start = [0; SIGNATURE.len()];
    is_file
        && File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok())
        && start == *SIGNATURE
}

/// The path of a file that SQLite keeps next to the database.
pub(crate) fn sidecar(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    if have_same_inode(a, b) {
        return true;
    }
    let (a, b) = (resolve(a), resolve(b));
    let names = (a.file_name(), b.file_name());
    let (Some(a_name), Some(b_name)) = names else {
        return false;
    };
    let is_same_name =
        a_name.to_string_lossy().to_lowercase() == b_name.to_string_lossy().to_lowercase();
    is_same_name
        && match (a.parent(), b.parent()) {
            (Some(a), Some(b)) => a == b || have_same_inode(a, b),
            _ => false,
        }
}

/// Whether two paths exist and lead to the same file, also by hard links.
#[cfg(unix)]
fn have_same_inode(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn have_same_inode(_: &Path, _: &Path) -> bool {
    false
}

/// The path without symbolic links, also where the file does not exist yet or
/// the last link dangles.
pub(crate) fn resolve(path: &Path) -> PathBuf {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        if let Ok(real) = path.canonicalize() {
            return real;
        }
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        path = match path.parent() {
            Some(folder) => folder.join(target),
            None => target,
        };
    }
    let path = std::path::absolute(&path).unwrap_or(path);
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_and_sidecars_are_recognized_and_neighbors_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.db");
        fs::write(&file, "x").unwrap();
        let sub = folder.path().join("sub");
        fs::create_dir(&sub).unwrap();
        for own in [
            "m.db",
            "M.DB",
            "m.db-wal",
            "m.db-shm",
            "m.db-journal",
            "M.db-WAL",
            "./m.db",
            "sub/../m.db",
        ] {
            assert!(is_own_file(&folder.path().join(own), &file), "{own}");
        }
        for other in [
            "m.db.jsonl",
            "m.db-wal2",
            "n.db",
            "sub/m.db",
            "missing/m.db",
        ] {
            assert!(!is_own_file(&folder.path().join(other), &file), "{other}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_to_own_files_are_recognized() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("real")).unwrap();
        let file = at("real/m.db");
        fs::write(&file, "x").unwrap();
        symlink("real", at("folder")).unwrap();
        symlink("real/m.db", at("link")).unwrap();
        symlink("link", at("chain")).unwrap();
        symlink("real/m.db-wal", at("dangling")).unwrap();
        fs::hard_link(&file, at("hard")).unwrap();
        for own in [
            "folder/m.db",
            "folder/m.db-wal",
            "link",
            "chain",
            "dangling",
            "hard",
        ] {
            assert!(is_own_file(&at(own), &file), "{own}");
        }
        // A database that is opened by a link has its sidecars next to the file.
        for own in ["real/m.db", "real/m.db-wal", "link", "link-wal", "chain"] {
            assert!(is_own_file(&at(own), &at("link")), "{own}");
        }
        symlink("loop", at("loop")).unwrap();
        assert!(!is_own_file(&at("loop"), &file));
    }
}
