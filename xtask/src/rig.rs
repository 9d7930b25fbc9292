//! The CI step `rig`: checks and tests `crates/memory-rig`, a workspace of its own. Its
//! licenses and the direction of its dependencies are in the steps `deny` and `boundaries`.

use std::time::Duration;

use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{setup, shell};

/// The limit for each command, compiling included.
const LIMIT: Duration = Duration::from_secs(900);

pub(crate) fn check() -> Result<(), TaskError> {
    let folder = shell::root().join("crates").join("memory-rig");
    let cache = setup::run(setup::Options::default())?;
    for arguments in [
        &["fmt", "--check"][..],
        &[
            "clippy",
            "--quiet",
            "--no-deps",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        &["doc", "--quiet", "--no-deps"],
        &["test", "--quiet"],
    ] {
        let mut cargo = shell::cargo();
        cargo
            .current_dir(&folder)
            .args(arguments)
            // Its profile is that of the repository: dependencies are shared.
            .env("CARGO_TARGET_DIR", shell::target_dir())
            .env("RUSTDOCFLAGS", "-D warnings")
            .env(CACHE_ENV, &cache);
        shell::run_with_limit(&mut cargo, LIMIT)?;
    }
    Ok(())
}
