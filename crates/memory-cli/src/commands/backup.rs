//! `memory backup`: a consistent copy of a SQLite database.

use std::fs;
use std::path::{Path, PathBuf};

use memory::store::BackupOptions;
use serde::Serialize;

use crate::database::Database;
use crate::exit::{Code, Failure};
use crate::output::{Output, format_bytes};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File to write, readable by its owner only
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

impl Args {
    /// The file to write.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

pub(crate) async fn run(
    database: &Database,
    args: Args,
    output: &mut Output,
) -> Result<(), Failure> {
    if database.is_shared() {
        return Err(Failure::new(
            Code::Failed,
            "unsupported",
            "memory backup copies SQLite databases only; back up a PostgreSQL database with pg_dump",
        ));
    }
    check_target(database, &args)?;
    let options = BackupOptions::new().overwrite(args.force);
    database.backup(&args.file, &options).await?;
    output.set_done(format_args!("{} is written", args.file.display()));
    let bytes = fs::metadata(&args.file)
        .map_err(|error| Failure::io(format_args!("read {}", args.file.display()), &error))?
        .len();
    if output.is_json() {
        return output.write_json(&Backup {
            file: &args.file,
            bytes,
        });
    }
    output.write_line(format_args!(
        "backed up to {} ({})",
        args.file.display(),
        format_bytes(bytes)
    ))
}

/// Refuses a target before the database is opened, where that is possible.
fn check_target(database: &Database, args: &Args) -> Result<(), Failure> {
    let shown = args.file.display();
    database.refuse_own_file(&args.file)?;
    if args.file == Path::new("-") {
        return Err(Failure::usage(
            "a backup is a database file and cannot be written to standard output; name a file",
        ));
    }
    match fs::metadata(&args.file) {
        Ok(existing) if !existing.is_file() => Err(Failure::usage(format!(
            "cannot write the backup to {shown}: it is not a regular file; name a file"
        ))),
        Ok(_) if !args.force => Err(Failure::usage(format!(
            "{shown} already exists; name another file, or replace it with --force"
        ))),
        _ => Ok(()),
    }
}

#[derive(Serialize)]
struct Backup<'a> {
    file: &'a Path,
    bytes: u64,
}
