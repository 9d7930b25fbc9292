//! A network between one system and a server, which a test may cut.

use std::io;
use std::path::PathBuf;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// What happens to connections through a [`Forwarder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    Connected,
    /// Nothing arrives, and nobody is told.
    Silent,
    /// Open connections are closed, and so is every new one.
    Closed,
}

/// Forwards TCP connections to the socket of a server.
pub(crate) struct Forwarder {
    port: u16,
    network: watch::Sender<Network>,
}

impl Forwarder {
    pub(crate) async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (network, receiver) = watch::channel(Network::Connected);
        tokio::spawn(async move {
            while let Ok((incoming, _)) = listener.accept().await {
                tokio::spawn(forward(incoming, socket.clone(), receiver.clone()));
            }
        });
        Self { port, network }
    }

    pub(crate) fn url(&self, parameters: &str) -> String {
        format!("valkey://127.0.0.1:{}?{parameters}", self.port)
    }

    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

/// Forwards one connection for as long as it is connected. One that was silent is
/// closed when the network is back: what was on its way is lost.
async fn forward(
    mut incoming: TcpStream,
    socket: PathBuf,
    mut network: watch::Receiver<Network>,
) -> io::Result<()> {
    if *network.borrow() == Network::Connected {
        let mut outgoing = UnixStream::connect(socket).await?;
        tokio::select! {
            _ = copy_bidirectional(&mut incoming, &mut outgoing) => return Ok(()),
            _ = network.wait_for(|network| *network != Network::Connected) => {}
        }
    }
    let is_over = network.wait_for(|network| *network != Network::Silent);
    is_over.await.map(drop).map_err(io::Error::other)
}
