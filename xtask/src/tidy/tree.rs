//! The files that the rules check.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::TaskError;

/// Folders without source files, at any depth.
const SKIPPED_FOLDERS: &[&str] = &[".git", "target"];

/// Files written by tools.
const GENERATED: &[&str] = &["Cargo.lock"];

/// A text file.
pub(super) struct File {
    /// Its path from the root, with `/` between its parts.
    pub(super) path: String,
    /// Its content.
    pub(super) text: String,
}

impl File {
    /// Its lines, counted from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }
}

/// Every file of the workspace.
#[derive(Default)]
pub(super) struct Tree {
    /// The text files, in the order of their paths.
    pub(super) files: Vec<File>,
    /// Every file and folder, including binary files.
    paths: BTreeSet<String>,
}

impl Tree {
    /// Reads the tree below `root`; does not follow symbolic links.
    pub(super) fn read(root: &Path) -> Result<Self, TaskError> {
        let mut tree = Self::default();
        tree.walk(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// The text files whose name ends in `.extension`.
    pub(super) fn with_extension(&self, extension: &str) -> impl Iterator<Item = &File> {
        let ending = format!(".{extension}");
        self.files
            .iter()
            .filter(move |file| file.path.ends_with(&ending))
    }

    /// The manifests of the packages of this workspace. Those under `examples/`
    /// belong to a workspace of their own.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &File> {
        self.files
            .iter()
            .filter(|file| file.path.ends_with("/Cargo.toml"))
            .filter(|file| !file.path.starts_with("examples/"))
    }

    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether there is a file or folder at this path from the root.
    pub(super) fn contains(&self, path: &str) -> bool {
        path.is_empty() || self.paths.contains(path)
    }

    fn walk(&mut self, folder: &Path, prefix: &str) -> Result<(), TaskError> {
        let failed = |path: PathBuf| move |source| TaskError::Read { path, source };
        for entry in fs::read_dir(folder).map_err(failed(folder.to_owned()))? {
            let entry = entry.map_err(failed(folder.to_owned()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(failed(entry.path()))?;
            let path = format!("{prefix}{name}");
            // In a worktree `.git` is a file.
            if SKIPPED_FOLDERS.contains(&name.as_str()) {
                continue;
            }
            if kind.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() && !GENERATED.contains(&name.as_str()) {
                let bytes = fs::read(entry.path()).map_err(failed(entry.path()))?;
                self.add(&path, bytes);
            }
            self.paths.insert(path);
        }
        Ok(())
    }

    /// Only UTF-8 without NUL counts as text.
    fn add(&mut self, path: &str, bytes: Vec<u8>) {
        let Ok(text) = String::from_utf8(bytes) else {
            return;
        };
        if !text.contains('\0') {
            let path = path.to_owned();
            self.files.push(File { path, text });
        }
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of these files, for the tests of the rules.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            let folders = path
                .match_indices('/')
                .map(|(end, _)| path[..end].to_owned());
            tree.paths.extend(folders.chain([(*path).to_owned()]));
            tree.add(path, text.as_bytes().to_vec());
        }
        tree
    }

    /// The lines on which `check` finds something in one file.
    pub(super) fn lines_found(
        check: fn(&Self) -> Vec<super::Finding>,
        path: &str,
        text: &str,
    ) -> Vec<usize> {
        let findings = check(&Self::of(&[(path, text)]));
        findings.iter().map(|finding| finding.line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_text_and_skips_build_output() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write("src/lib.rs", b"//! A crate.\n");
        write("data/model.bin", b"\x00\xff");
        write("target/debug/out.rs", b"x");
        write("Cargo.lock", b"x");

        let tree = Tree::read(root.path()).unwrap();
        let paths: Vec<_> = tree.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["src/lib.rs"]);
        assert!(
            tree.contains("data/model.bin") && tree.contains("src") && !tree.contains("target")
        );
    }
}
