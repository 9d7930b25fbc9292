//! The CI step `outside`: builds, tests and runs `examples/outside/`, a workspace
//! that depends on the crates by path.

use std::time::Duration;

use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{pg, setup, shell};

/// The limit for each command, compiling included.
const LIMIT: Duration = Duration::from_secs(900);

pub(crate) fn check() -> Result<(), TaskError> {
    let folder = shell::root().join("examples").join("outside");
    let cache = setup::run(setup::Options::default())?;
    let cargo = |arguments: &[&str]| {
        let mut cargo = shell::cargo();
        cargo.current_dir(&folder).args(arguments);
        // Its profile is that of the repository: dependencies are shared.
        cargo.env("CARGO_TARGET_DIR", shell::target_dir());
        cargo.env(CACHE_ENV, &cache);
        cargo
    };
    shell::run_with_limit(&mut cargo(&["test", "--quiet", "--workspace"]), LIMIT)?;
    for member in shell::folders(&folder)? {
        if folder.join(&member).join("src").join("main.rs").is_file() {
            let package = format!("outside-{member}");
            println!("running {package}");
            let mut run = cargo(&["run", "--quiet", "--package", &package]);
            pg::with_server_in(pg::OWN_URL_ENV, &mut run, LIMIT)?;
        }
    }
    Ok(())
}
