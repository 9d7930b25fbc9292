//! `memory serve`: the operations over HTTP; and `memory token`, which makes a token
//! for it.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use memory::Settings;
use memory_server::{
    Access, Metrics, Server, ServerError, ServerOptions, TokenScope, Tokens, TokensError,
};
use serde::Serialize;

use crate::database::Database;
use crate::exit::{Code, Failure};
use crate::interrupt::Signals;
use crate::log;
use crate::output::{Output, note};

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,

    /// File of tokens, which memory token writes; required unless ADDRESS is on loopback
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,

    /// Requests per second for each token; further ones are refused [default: MEMORY_HTTP_RATE_LIMIT, else no limit]
    #[arg(long, value_name = "N")]
    rate_limit: Option<NonZeroU32>,

    /// Web pages of this origin may use the server, such as https://app.example (repeatable) [default: MEMORY_HTTP_ALLOWED_ORIGINS, else none]
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allowed_origins: Vec<String>,

    /// Serve HTTPS with this certificate, in PEM, in a build with --features serve-tls
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl ServeArgs {
    /// The options of the command line, and of the settings where it has none.
    fn into_options(self, settings: &Settings) -> Result<ServerOptions, Failure> {
        let mut options = ServerOptions::new();
        if let Some(file) = self.tokens {
            options = options.tokens(Tokens::open(file).map_err(tokens_failure)?);
        }
        if let Some(limit) = self.rate_limit.or(settings.http_rate_limit()) {
            options = options.rate_limit(limit);
        }
        let origins = match self.allowed_origins.as_slice() {
            [] => settings.http_allowed_origins(),
            origins => origins,
        };
        options = options.allowed_origins(origins);
        match self.tls_cert.zip(self.tls_key) {
            Some((certificate, key)) => with_tls(options, &certificate, &key),
            None => Ok(options),
        }
    }
}

#[cfg(feature = "serve-tls")]
fn with_tls(
    options: ServerOptions,
    certificate: &Path,
    key: &Path,
) -> Result<ServerOptions, Failure> {
    let identity = memory_server::TlsIdentity::read(certificate, key)
        .map_err(|error| Failure::new(Code::Usage, "configuration", error.to_string()))?;
    Ok(options.tls(identity))
}

#[cfg(not(feature = "serve-tls"))]
fn with_tls(_: ServerOptions, _: &Path, _: &Path) -> Result<ServerOptions, Failure> {
    let message = "this build serves no HTTPS; build with --features serve-tls, or put a proxy \
                   that has TLS in front";
    Err(Failure::new(Code::Usage, "unsupported", message))
}

pub(crate) async fn serve(
    database: &Database,
    args: ServeArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    log::init();
    let listen = args.listen;
    let scheme = if args.tls_cert.is_some() {
        "https"
    } else {
        "http"
    };
    let metrics = Metrics::install()
        .map_err(|error| Failure::new(Code::Failed, "other", error.to_string()))?;
    let options = args.into_options(database.settings())?.metrics(metrics);
    options.check(listen).map_err(server_failure)?;
    // Before the model is loaded: a signal meanwhile ends the process in order.
    let mut signals = Signals::listen()?;
    let starting = async {
        let memory = database.open_for_serving().await?;
        let server = Server::bind(listen, memory, options).await;
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
        output.write_line(format_args!("listening on {scheme}://{address}"))?;
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
        ServerError::Origin(_) => Failure::new(Code::Usage, "configuration", error.to_string()),
        ServerError::Io(_) | ServerError::Handshake => {
            Failure::new(Code::Failed, "io", error.to_string())
        }
    }
}
