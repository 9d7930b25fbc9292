//! PgBouncer in transaction mode in front of the test server. That server starts
//! it, since it runs as an unprivileged account.

use std::future::Future;
use std::time::Duration;

use memory_core::MemoryId;

use super::{connect, run, server, with_database};

/// Set by `cargo xtask test`: the folder with the program and its libraries.
const FOLDER_ENV: &str = "MEMORY_TEST_PGBOUNCER";

/// Fewer sessions than a store has connections, so that they are shared.
const SESSIONS: usize = 3;

/// Runs a test on a new database behind PgBouncer. It gets the URL through
/// PgBouncer and the direct URL.
pub(crate) async fn with_pgbouncer<Test, Done>(test: Test)
where
    Test: FnOnce(String, String) -> Done + Send + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    start(Endpoint::Socket, test).await;
}

/// As [`with_pgbouncer`], listening at a TCP port of localhost: with TLS alone if
/// a certificate and its key are given, else without TLS. The URL has no
/// parameters but `pooler=transaction`.
#[cfg(feature = "tls")]
pub(crate) async fn with_pgbouncer_on_tcp<Test, Done>(tls: Option<(String, String)>, test: Test)
where
    Test: FnOnce(String, String) -> Done + Send + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    start(Endpoint::Tcp { port, tls }, test).await;
}

/// Where clients connect.
enum Endpoint {
    Socket,
    #[cfg(feature = "tls")]
    Tcp {
        port: u16,
        /// A certificate and its key, in PEM.
        tls: Option<(String, String)>,
    },
}

async fn start<Test, Done>(endpoint: Endpoint, test: Test)
where
    Test: FnOnce(String, String) -> Done + Send + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    let programs = std::env::var(FOLDER_ENV).unwrap_or_else(|_| {
        panic!(
            "this test needs PgBouncer: run `cargo xtask test`, or set {FOLDER_ENV} to the \
             folder of one that the server's account can read"
        )
    });
    with_database(|url| async move {
        let sockets = parameter(&url, "host=");
        let user = parameter(&url, "user=");
        let id = MemoryId::new().as_uuid().simple().to_string();
        let folder = format!("{sockets}/pgbouncer-{}", &id[20..]);
        shell(&format!("mkdir -p {folder}")).await;
        let (pooled, port, listen) = match endpoint {
            Endpoint::Socket => (url.replace(&sockets, &folder), 5432, "listen_addr =".to_owned()),
            #[cfg(feature = "tls")]
            Endpoint::Tcp { port, tls } => {
                let (address, _) = url.split_once('?').unwrap_or((&url, ""));
                let name = address.rsplit('/').next().unwrap_or_default();
                let pooled =
                    format!("postgres://{user}@localhost:{port}/{name}?pooler=transaction");
                (pooled, port, listen_on_tcp(&folder, tls).await)
            }
        };
        let settings = format!(
            "[databases]\n* = host={sockets} user={user}\n[pgbouncer]\n{listen}\nlisten_port = {port}\n\
             unix_socket_dir = {folder}\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {SESSIONS}\nmax_client_conn = 200\nlogfile = {folder}/log\n\
             pidfile = {folder}/pid\n"
        );
        write(&format!("{folder}/ini"), &settings).await;
        shell(&format!(
            "LD_LIBRARY_PATH={programs} {programs}/pgbouncer -q -d {folder}/ini"
        ))
        .await;
        while !std::path::Path::new(&format!("{folder}/.s.PGSQL.{port}")).exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let outcome = tokio::spawn(test(pooled, url)).await;
        shell(&format!(
            "kill `cat {folder}/pid`; sleep 0.2; rm -r {folder}"
        ))
        .await;
        if let Err(error) = outcome {
            std::panic::resume_unwind(error.into_panic());
        }
    })
    .await;
}

/// The settings of a TCP endpoint. Writes the files that they name.
#[cfg(feature = "tls")]
async fn listen_on_tcp(folder: &str, tls: Option<(String, String)>) -> String {
    let listen = "listen_addr = localhost";
    let Some((certificate, key)) = tls else {
        return listen.to_owned();
    };
    write(&format!("{folder}/certificate"), &certificate).await;
    write(&format!("{folder}/key"), &key).await;
    format!(
        "{listen}\nclient_tls_sslmode = require\nclient_tls_cert_file = {folder}/certificate\n\
         client_tls_key_file = {folder}/key"
    )
}

/// The value of a parameter of the URL.
fn parameter(url: &str, name: &str) -> String {
    let found = url
        .split(['?', '&'])
        .find_map(|part| part.strip_prefix(name));
    found
        .expect("this test needs a server that is reached by a socket (?host=/…&user=…)")
        .to_owned()
}

/// Runs a command through the server.
async fn shell(command: &str) {
    let command = command.replace('\'', "''");
    let mut server = connect(&server()).await;
    run(
        &mut server,
        &format!("COPY (SELECT 1) TO PROGRAM '{command}'"),
    )
    .await;
}

/// Writes a file through the server.
async fn write(path: &str, text: &str) {
    let lines: Vec<String> = text.lines().map(|line| format!("('{line}')")).collect();
    let mut server = connect(&server()).await;
    run(
        &mut server,
        &format!("COPY (VALUES {}) TO '{path}'", lines.join(", ")),
    )
    .await;
}
