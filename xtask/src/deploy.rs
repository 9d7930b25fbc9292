//! `cargo xtask deploy`, also a CI step: checks the files of docs/deploy, without a
//! container engine or a running systemd. It runs the steps of the image, with the
//! command that the tests build, parses the compose files, and verifies the unit.

mod compose;
mod image;
mod unit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::TaskError;
use crate::{debian, setup, shell};

/// The compose files, below docs/.
const COMPOSE_FILES: [&str; 2] = ["deploy/compose.yml", "observability/compose.yml"];

/// What the checks use.
struct Context {
    /// The runtime and the model.
    cache: PathBuf,
    /// An empty folder, in place of /var/lib/memory.
    state: PathBuf,
    /// The command.
    memory: PathBuf,
}

pub(crate) fn check() -> Result<(), TaskError> {
    let docs = shell::root().join("docs");
    let state = shell::target_dir().join("deploy-check");
    if state.is_dir() {
        fs::remove_dir_all(&state).map_err(write_failed(&state))?;
    }
    fs::create_dir_all(&state).map_err(write_failed(&state))?;
    let context = Context {
        cache: setup::run(setup::Options::default())?,
        memory: shell::build_memory()?,
        state,
    };
    let variables = read(&docs.join("operations.md"))?;
    let mut findings = image::check(&read(&docs.join("deploy/Dockerfile"))?, &context)?;
    let folder = docs.join("deploy");
    let ignored = read(&folder.join("Dockerfile.dockerignore"))?;
    findings.extend(image::missing_ignores(
        &read(&folder.join(".gitignore"))?,
        &ignored,
    ));
    for name in COMPOSE_FILES {
        let path = docs.join(name);
        findings.extend(compose::check(&path, &read(&path)?, &variables)?);
    }
    let mut promtool = Command::new(debian::program("prometheus", "promtool")?);
    promtool.args(["check", "config", "--syntax-only"]);
    shell::run(promtool.arg(docs.join("deploy/prometheus.yml")))?;
    unit::check(&read(&docs.join("deploy/memory.service"))?, &context)?;
    for finding in &findings {
        println!("{finding} [deploy]");
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(TaskError::Findings {
            count,
            what: "findings in docs/deploy",
        }),
    }
}

impl Context {
    /// Checks that the command knows these arguments: with `--help` after them it
    /// parses them, and runs nothing.
    fn check_arguments(&self, arguments: &[String]) -> Result<(), TaskError> {
        let mut command = Command::new(&self.memory);
        command.args(arguments).arg("--help").stdout(Stdio::null());
        shell::run(&mut command)
    }
}

fn read(path: &Path) -> Result<String, TaskError> {
    fs::read_to_string(path).map_err(|source| TaskError::Read {
        path: path.to_owned(),
        source,
    })
}

fn write_failed(path: &Path) -> impl FnOnce(std::io::Error) -> TaskError + use<> {
    let path = path.to_owned();
    |source| TaskError::Write { path, source }
}
