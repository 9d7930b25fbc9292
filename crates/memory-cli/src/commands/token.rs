//! `memory token`: a token for the server.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;
use memory_server::{Access, TokenScope, Tokens};
use serde::Serialize;

use crate::exit::Failure;
use crate::output::{Output, note};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File to append to, created if it is missing; remove a line to revoke its token
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Entities whose names start with this, which is not empty; all entities if it is not given
    // An empty one, such as that of a variable that is not set, would cover all of them.
    #[arg(long, value_name = "PREFIX", value_parser = NonEmptyStringValueParser::new())]
    entities: Option<String>,

    /// What the token may do
    #[arg(long, value_name = "ACCESS", value_enum, default_value_t)]
    access: AccessName,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum AccessName {
    /// Operations that change no memory
    #[default]
    Read,
    /// All operations
    Write,
}

/// Makes a token and prints it, the only time that it is shown.
pub(crate) fn run(args: Args, output: &mut Output) -> Result<(), Failure> {
    let access = match args.access {
        AccessName::Read => Access::Read,
        AccessName::Write => Access::Write,
    };
    let scope = TokenScope {
        entities: args.entities.unwrap_or_default(),
        access,
    };
    let made = Tokens::create(&args.file, scope)?;
    output.set_done(format_args!(
        "{} contains the new token, but its secret could not be printed and is lost; remove the line \
         with the id {} and create another token",
        args.file.display(),
        made.id
    ));
    if output.is_json() {
        let (id, token) = (made.id, made.token);
        return output.write_json(&Made { id, token });
    }
    note(format_args!(
        "keep it: the file has only its hash, on the line with the id {}",
        made.id
    ));
    output.write_line(format_args!("{}", made.token))
}

#[derive(Serialize)]
struct Made {
    id: String,
    token: String,
}
