//! A second server, which a test may kill. The first starts it: it runs as an
//! unprivileged account already, and knows where its programs lie.

use std::future::Future;
use std::panic::resume_unwind;

use memory_core::MemoryId;
use sqlx::{PgConnection, Row};

use crate::support::{connect, run, server};

/// Where a second server lives.
#[derive(Clone)]
pub(crate) struct Program {
    folder: String,
    programs: String,
}

/// Runs a test against a server of its own, which is removed afterward.
pub(crate) async fn with_program<Test, Done>(test: Test)
where
    Test: FnOnce(Program) -> Done,
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
    let program = Program {
        folder: format!("{parent}/second-{}", &id[20..]),
        programs,
    };
    program
        .shell(
            "mkdir $folder && $programs/initdb --username memory --auth trust --no-sync \
                   --locale C --encoding UTF8 --pgdata $folder/data",
        )
        .await;
    program.start().await;
    let outcome = tokio::spawn(test(program.clone())).await;
    program
        .shell("$programs/pg_ctl stop --silent --mode immediate --pgdata $folder/data || true")
        .await;
    program.shell("rm -r $folder").await;
    if let Err(error) = outcome {
        resume_unwind(error.into_panic());
    }
}

impl Program {
    /// How to reach it.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///postgres?host={}&user=memory", self.folder)
    }

    /// Starts it, after a crash as well.
    pub(crate) async fn start(&self) {
        self.shell(
            "$programs/pg_ctl start --silent --wait --log $folder/log --pgdata $folder/data \
             --options \"-k $folder -c listen_addresses=\"",
        )
        .await;
    }

    /// Kills it with all its processes, as a power cut would. Its locks go as
    /// well: where nobody buries dead processes they would look alive.
    pub(crate) async fn kill(&self) {
        self.shell(
            "first=`head -1 $folder/data/postmaster.pid`; \
             kill -9 $first `cat /proc/$first/task/$first/children`; \
             rm $folder/data/postmaster.pid $folder/.s.PGSQL.5432.lock",
        )
        .await;
    }

    /// Lets the first server run a command.
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
