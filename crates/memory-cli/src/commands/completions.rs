//! `memory completions` and `memory man`: files for shells and for `man`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;
use serde::Serialize;

use crate::args::Cli;
use crate::exit::Failure;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to complete in
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script that makes a shell complete the command line.
pub(crate) fn completions(args: &CompletionsArgs, output: &mut Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "memory", &mut script);
    let written = output.writer().write_all(&script);
    written.map_err(|error| Failure::output(&error))
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Folder to write to, such as ~/.local/share/man/man1
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes a manual page for the command and each of its commands.
pub(crate) fn man(args: &ManArgs, output: &mut Output) -> Result<(), Failure> {
    fs::create_dir_all(&args.folder)
        .map_err(|error| Failure::io(format_args!("create {}", args.folder.display()), &error))?;
    clap_mangen::generate_to(Cli::command(), &args.folder)
        .map_err(|error| Failure::write(&args.folder, &error))?;
    if output.is_json() {
        let folder = &args.folder;
        return output.write_json(&Written { folder });
    }
    output.write_line(format_args!("wrote the pages to {}", args.folder.display()))
}

#[derive(Serialize)]
struct Written<'a> {
    folder: &'a Path,
}
