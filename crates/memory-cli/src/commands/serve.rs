//! `memory serve`: the operations over HTTP.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use memory::{MemoryError, SettingProblem, Settings};
use memory_server::{Metrics, Server, ServerOptions, Tokens};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::database::Database;
use crate::exit::{Code, Failure};
use crate::interrupt::Signals;
use crate::listen_address::{ListenAddress, find_free};
use crate::log;
use crate::output::{Output, note};

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Host and port to listen on; without a host, 127.0.0.1; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    listen: ListenAddress,

    /// File of tokens, which memory token writes; required unless ADDRESS is on loopback
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,

    /// Requests per second for each token; further ones are refused [default: MEMORY_HTTP_RATE_LIMIT, else no limit]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    rate_limit: Option<NonZeroU32>,

    /// Web pages of this origin may use the server, such as https://app.example (repeatable) [default: MEMORY_HTTP_ALLOWED_ORIGINS, else none]
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allowed_origins: Vec<String>,

    /// Longest request, 1 KiB to 1 GiB [default: MEMORY_HTTP_MAX_BODY_BYTES, else 8 MiB]
    #[arg(long, value_name = "SIZE", value_parser = max_body_bytes)]
    max_body_bytes: Option<u64>,

    /// Longest import, 1 KiB to 1 PiB [default: MEMORY_HTTP_MAX_IMPORT_BYTES, else 1 GiB]
    #[arg(long, value_name = "SIZE", value_parser = max_import_bytes)]
    max_import_bytes: Option<u64>,

    /// Longest time of a request, of a connection without one, and of a client that takes or sends nothing, 1 s to 1 day [default: MEMORY_HTTP_REQUEST_TIMEOUT_SECONDS, else 30 s]
    #[arg(long, value_name = "TIME", value_parser = request_timeout)]
    request_timeout: Option<Duration>,

    /// Time that requests in progress get after a signal, up to 1 day [default: MEMORY_HTTP_DRAIN_TIMEOUT_SECONDS, else 10 s]
    #[arg(long, value_name = "TIME", value_parser = drain_timeout)]
    drain_timeout: Option<Duration>,

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
            options = options.tokens(Tokens::open(file)?);
        }
        if let Some(limit) = self.rate_limit.or(settings.http_rate_limit()) {
            options = options.rate_limit(limit);
        }
        let origins = match self.allowed_origins.as_slice() {
            [] => settings.http_allowed_origins(),
            origins => origins,
        };
        options = options.allowed_origins(origins);
        let max_body_bytes = self
            .max_body_bytes
            .unwrap_or(settings.http_max_body_bytes().0);
        options = options
            // No more than 1 GiB.
            .max_body_bytes(usize::try_from(max_body_bytes).unwrap_or(usize::MAX))
            .max_import_bytes(
                self.max_import_bytes
                    .unwrap_or(settings.http_max_import_bytes().0),
            )
            .request_timeout(
                self.request_timeout
                    .unwrap_or(settings.http_request_timeout()),
            )
            .drain_timeout(self.drain_timeout.unwrap_or(settings.http_drain_timeout()));
        match self.tls_cert.zip(self.tls_key) {
            Some((certificate, key)) => with_tls(options, &certificate, &key),
            None => Ok(options),
        }
    }
}

/// Settings of which one has this value. An option takes what the variable of its setting
/// takes, such as `8 MiB` and `2 min`.
fn read_as(variable: &str, text: &str) -> Result<Settings, String> {
    // An empty variable counts as none.
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let settings = Settings::builder().variables([(variable, text)]).build();
    settings.map_err(|error| match error {
        MemoryError::InvalidSetting { problem } => match problem.problem {
            SettingProblem::InvalidValue { allowed, .. } => format!("it must be {allowed}"),
            other => other.to_string(),
        },
        other => other.to_string(),
    })
}

fn max_body_bytes(text: &str) -> Result<u64, String> {
    let settings = read_as("MEMORY_HTTP_MAX_BODY_BYTES", text)?;
    Ok(settings.http_max_body_bytes().0)
}

fn max_import_bytes(text: &str) -> Result<u64, String> {
    let settings = read_as("MEMORY_HTTP_MAX_IMPORT_BYTES", text)?;
    Ok(settings.http_max_import_bytes().0)
}

fn request_timeout(text: &str) -> Result<Duration, String> {
    let settings = read_as("MEMORY_HTTP_REQUEST_TIMEOUT_SECONDS", text)?;
    Ok(settings.http_request_timeout())
}

fn drain_timeout(text: &str) -> Result<Duration, String> {
    let settings = read_as("MEMORY_HTTP_DRAIN_TIMEOUT_SECONDS", text)?;
    Ok(settings.http_drain_timeout())
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
    let listen = args.listen.clone();
    let scheme = if args.tls_cert.is_some() {
        "https"
    } else {
        "http"
    };
    let metrics = Metrics::install()
        .map_err(|error| Failure::new(Code::Failed, "other", error.to_string()))?;
    let options = args.into_options(database.settings())?.metrics(metrics);
    // Before the model is loaded, which takes seconds.
    let address = choose_address(&listen, &options)?;
    // A signal meanwhile ends the process in order.
    let mut signals = Signals::listen()?;
    let starting = async {
        let memory = database.open_for_serving().await?;
        let server = Server::bind(address, memory, options).await;
        server.map_err(Failure::from)
    };
    let server = match signals.guard(starting).await {
        Ok(server) => server?,
        Err(_) => return Ok(()),
    };
    let address = server.address();
    let url = format!("{scheme}://{address}");
    if output.is_json() {
        let listening = address;
        output.write_json(&Listening { listening, url })?;
    } else {
        output.write_line(format_args!("listening on {url}"))?;
    }
    output.flush()?;
    run_until_signal(server, &mut signals).await
}

/// The address of the host that the server binds to. One that it may not serve, or that is
/// taken, is refused.
fn choose_address(listen: &ListenAddress, options: &ServerOptions) -> Result<SocketAddr, Failure> {
    let addresses = listen.resolve().map_err(|error| {
        let message = format!("cannot resolve the host of --listen {listen}: {error}");
        Failure::new(Code::Usage, "configuration", message)
    })?;
    for address in &addresses {
        options.check(*address)?;
    }
    find_free(&addresses).map_err(|error| {
        let failure = Failure::io(format_args!("listen on {listen}"), &error);
        match error.kind() {
            ErrorKind::AddrInUse => {
                failure.with_hint("another process listens there; name another port with --listen")
            }
            _ => failure,
        }
    })
}

/// Serves until a signal, then lets the requests in progress end, until another signal.
async fn run_until_signal(server: Server, signals: &mut Signals) -> Result<(), Failure> {
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        // It is not dropped before the server ends.
        let _ = stopped.await;
    };
    let mut serving = pin!(server.run(shutdown));
    match signals.guard(&mut serving).await {
        Ok(outcome) => return outcome.map_err(Failure::from),
        Err(signal) => note(format_args!(
            "{}: ending in order; another signal ends at once",
            signal.name()
        )),
    }
    let _ = stop.send(());
    match signals.guard(&mut serving).await {
        Ok(outcome) => outcome.map_err(Failure::from),
        Err(signal) => {
            let message = format!(
                "interrupted by {}; requests in progress were not answered, and their writes may \
                 have been stored",
                signal.name()
            );
            Err(Failure::interrupted(signal, message))
        }
    }
}

#[derive(Serialize)]
struct Listening {
    listening: SocketAddr,
    url: String,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn options(args: &[&str], settings: &Settings) -> String {
        let line = Line::try_parse_from([&["serve"], args].concat());
        let options = line.ok().map(|line| line.args.into_options(settings));
        format!("{:?}", options.map(Result::ok))
    }

    #[test]
    fn settings_have_the_defaults_of_the_server() {
        assert_eq!(
            options(&[], &Settings::default()),
            format!("{:?}", Some(Some(ServerOptions::new())))
        );
    }

    #[test]
    fn options_come_before_settings() {
        let variables = [
            ("MEMORY_HTTP_MAX_BODY_BYTES", "1 MiB"),
            ("MEMORY_HTTP_DRAIN_TIMEOUT_SECONDS", "2 min"),
        ];
        let settings = Settings::builder().variables(variables).build().unwrap();
        let expected = ServerOptions::new()
            .max_body_bytes(2_048)
            .max_import_bytes(1_024)
            .request_timeout(Duration::from_secs(7))
            .drain_timeout(Duration::from_secs(120));
        let given = [
            "--max-body-bytes=2048",
            "--max-import-bytes=1024",
            "--request-timeout=7",
        ];
        assert_eq!(
            options(&given, &settings),
            format!("{:?}", Some(Some(expected)))
        );
        for wrong in [
            "--max-body-bytes=0",
            "--max-import-bytes=0",
            "--request-timeout=0",
            "--drain-timeout=86401",
            "--drain-timeout=",
            "--max-body-bytes=1.5 GiB",
        ] {
            assert_eq!(options(&[wrong], &settings), "None", "{wrong}");
        }
    }

    #[test]
    fn options_take_what_settings_take() {
        assert_eq!(max_body_bytes("2 MiB"), Ok(2 << 20));
        assert_eq!(max_import_bytes("1 TiB"), Ok(1 << 40));
        assert_eq!(request_timeout("2 min"), Ok(Duration::from_secs(120)));
        assert_eq!(drain_timeout("0"), Ok(Duration::ZERO));
        assert_eq!(
            request_timeout("2 days"),
            Err("it must be a duration from 1 s to 1 day, such as \"30 s\"".to_owned())
        );
    }
}
