//! The CI step `outside`: builds, tests and runs `examples/outside/`, a workspace
//! that depends on the crates by path.

use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{pg, setup, shell};

pub(crate) fn check() -> Result<(), TaskError> {
    let folder = shell::root().join("examples").join("outside");
    if !folder.join("Cargo.toml").is_file() {
        println!("skipped: {} does not exist", folder.display());
        return Ok(());
    }
    let cache = setup::run(setup::Options::default())?;
    let cargo = |arguments: &[&str]| {
        let mut cargo = shell::cargo();
        cargo.current_dir(&folder).args(arguments);
        cargo.env(CACHE_ENV, &cache);
        cargo
    };
    let mut test = cargo(&["test", "--quiet", "--workspace"]);
    pg::with_server(&mut test)?;
    for member in shell::folders(&folder)? {
        if folder.join(&member).join("src").join("main.rs").is_file() {
            println!("running {member}");
            let mut run = cargo(&["run", "--quiet", "--package", &member]);
            pg::with_server(&mut run)?;
        }
    }
    Ok(())
}
