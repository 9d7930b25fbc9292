//! A second server, which a test may kill. The first server starts it, since that
//! runs as an unprivileged account and knows where its programs are.

use std::future::Future;
use std::panic::resume_unwind;

use memory_core::MemoryId;
use sqlx::{PgConnection, Row};

use crate::support::{connect, run, server};

/// A second server.
#[derive(Clone)]
pub(crate) struct ServerProcess {
    folder: String,
    programs: String,
}

/// Runs a test against a server of its own, which is removed afterward.
pub(crate) async fn with_server_process<Test, Done>(test: Test)
where
    Test: FnOnce(ServerProcess) -> Done,
    Done: Future<Output = ()> + Send + 'static,
{
    let mut first = connect(&server()).await;
    let programs = setting(
        &mut first,
        "SELECT setting FROM pg_config WHERE name = 'BINDIR'",
    )
    .await;
    let sockets = setting(&mut first, "SHOW unix_socket_directories").await;
    let parent = sockets.split(',').next().unwrap().trim().to_owned();
    let id = MemoryId::new().as_uuid().simple().to_string();
    let server_process = ServerProcess {
        folder: format!("{parent}/second-{}", &id[20..]),
        programs,
    };
    server_process
        .shell(
            "mkdir $folder && $programs/initdb --username memory --auth trust --no-sync \
                   --locale C --encoding UTF8 --pgdata $folder/data",
        )
        .await;
    server_process.start().await;
    let outcome = tokio::spawn(test(server_process.clone())).await;
    server_process.remove().await;
    if let Err(error) = outcome {
        resume_unwind(error.into_panic());
    }
}

/// Runs a test against a server of its own and a hot standby of it.
pub(crate) async fn with_standby<Test, Done>(test: Test)
where
    Test: FnOnce(ServerProcess, ServerProcess) -> Done + Send + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    with_server_process(|primary| async move {
        let standby = ServerProcess {
            folder: format!("{}s", primary.folder),
            programs: primary.programs.clone(),
        };
        let copy = format!(
            "mkdir $folder && $programs/pg_basebackup --host {} --username memory --no-sync \
             --checkpoint fast --write-recovery-conf --pgdata $folder/data",
            primary.folder
        );
        standby.shell(&copy).await;
        standby.start().await;
        let outcome = tokio::spawn(test(primary, standby.clone())).await;
        standby.remove().await;
        if let Err(error) = outcome {
            resume_unwind(error.into_panic());
        }
    })
    .await;
}

impl ServerProcess {
    /// Makes a standby accept writes, as a failover does.
    pub(crate) async fn promote(&self) {
        self.shell("$programs/pg_ctl promote --silent --wait --pgdata $folder/data")
            .await;
    }

    /// Stops all its processes, without ending them, or lets them continue. One may have
    /// ended since they were listed.
    pub(crate) async fn signal(&self, signal: &str) {
        self.shell(&format!(
            "first=`head -1 $folder/data/postmaster.pid`; \
             kill -{signal} $first `cat /proc/$first/task/$first/children` || true"
        ))
        .await;
    }

    /// What it has logged.
    pub(crate) async fn log(&self) -> String {
        let mut first = connect(&server()).await;
        sqlx::query_scalar("SELECT pg_read_file($1)")
            .bind(format!("{}/log", self.folder))
            .fetch_one(&mut first)
            .await
            .unwrap()
    }

    /// Stops it and removes its files.
    async fn remove(&self) {
        self.shell("$programs/pg_ctl stop --silent --mode immediate --pgdata $folder/data || true")
            .await;
        self.shell("rm -r $folder").await;
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///postgres?host={}&user=memory", self.folder)
    }

    /// Starts it, also after a crash.
    pub(crate) async fn start(&self) {
        self.shell(
            "$programs/pg_ctl start --silent --wait --log $folder/log --pgdata $folder/data \
             --options \"-k $folder -c listen_addresses=\"",
        )
        .await;
    }

    /// Kills it with all its processes, as a power failure would. Also removes
    /// its lock files: where dead processes are not reaped, it would seem to be
    /// running still.
    pub(crate) async fn kill(&self) {
        self.shell(
            "first=`head -1 $folder/data/postmaster.pid`; \
             kill -9 $first `cat /proc/$first/task/$first/children`; \
             rm $folder/data/postmaster.pid $folder/.s.PGSQL.5432.lock",
        )
        .await;
    }

    /// Runs a command through the first server.
    async fn shell(&self, command: &str) {
        let command = command
            .replace("$folder", &self.folder)
            .replace("$programs", &self.programs)
            .replace('\'', "''");
        let mut first = connect(&server()).await;
        run(
            &mut first,
            &format!("COPY (SELECT 1) TO PROGRAM '{command}'"),
        )
        .await;
    }
}

async fn setting(connection: &mut PgConnection, query: &'static str) -> String {
    sqlx::query(query)
        .fetch_one(connection)
        .await
        .unwrap()
        .get(0)
}
