//! `memory mcp`: the operations as tools of the Model Context Protocol, over standard
//! input and output.

use memory_server::McpServer;

use crate::database::Database;
use crate::exit::Failure;
use crate::interrupt::Signals;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Serve only this entity; without it, each call names one
    #[arg(long, value_name = "NAME")]
    entity: Option<String>,
}

/// Serves until the client leaves or a signal arrives. Standard output carries the
/// protocol alone, so nothing is printed.
pub(crate) async fn run(database: &Database, args: Args) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let memory = match signals.guard(database.open_for_serving()).await {
        Ok(memory) => memory?,
        Err(_) => return Ok(()),
    };
    let server = McpServer::new(memory, args.entity.map(Into::into))?;
    let shutdown = async move {
        signals.next().await;
    };
    Ok(server.serve_stdio(shutdown).await?)
}
