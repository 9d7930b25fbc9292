//! `memory serve`: the operations over HTTP; and `memory token`, which makes a token
//! for it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ValueEnum;
use memory_server::{
    Access, Metrics, Server, ServerError, ServerOptions, TokenScope, Tokens, TokensError,
};
use serde::Serialize;

use crate::database::Database;
use crate::exit::{Code, Failure};
use crate::interrupt::Signals;
use crate::output::{Output, note};

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,

    /// File of tokens, which memory token writes; required unless ADDRESS is on loopback
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
}

pub(crate) async fn serve(
    database: &Database,
    args: ServeArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    let metrics = Metrics::install()
        .map_err(|error| Failure::new(Code::Failed, "other", error.to_string()))?;
    let mut options = ServerOptions::new().metrics(metrics);
    if let Some(file) = args.tokens {
        options = options.tokens(Tokens::open(file).map_err(tokens_failure)?);
    }
    options.check(args.listen).map_err(server_failure)?;
    // Before the model is loaded: a signal meanwhile ends the process in order.
    let mut signals = Signals::listen()?;
    let starting = async {
        let memory = database.open_or_create().await?;
        let server = Server::bind(args.listen, memory, options).await;
        server.map_err(server_failure)
    };
    let server = match signals.guard(starting).await {
        Ok(server) => server?,
        Err(_) => return Ok(()),
    };
    let address = server.address();
    if output.is_json() {
        output.write_json(&Listening { listening: address })?;
    } else {
        output.write_line(format_args!("listening on http://{address}"))?;
    }
    output.flush()?;
    let shutdown = async move {
        let signal = signals.next().await;
        note(format_args!("{}: ending in order", signal.name()));
    };
    server.run(shutdown).await.map_err(server_failure)
}

#[derive(Serialize)]
struct Listening {
    listening: SocketAddr,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TokenArgs {
    /// File to append to, created if it is missing; remove a line to revoke its token
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Entities whose names start with this; all entities if it is not given
    #[arg(long, value_name = "PREFIX", default_value = "")]
    entities: String,

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
pub(crate) fn token(args: TokenArgs, output: &mut Output) -> Result<(), Failure> {
    let access = match args.access {
        AccessName::Read => Access::Read,
        AccessName::Write => Access::Write,
    };
    let scope = TokenScope {
        entities: args.entities,
        access,
    };
    let made = Tokens::create(&args.file, scope).map_err(tokens_failure)?;
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

fn tokens_failure(error: TokensError) -> Failure {
    Failure::new(Code::Usage, "configuration", error.to_string())
}

pub(crate) fn server_failure(error: ServerError) -> Failure {
    match error {
        ServerError::TokensRequired(_) => {
            Failure::new(Code::Usage, "configuration", error.to_string())
                .with_hint("memory token makes one, and --tokens names its file")
        }
        ServerError::Io(_) | ServerError::Handshake => {
            Failure::new(Code::Failed, "io", error.to_string())
        }
    }
}
