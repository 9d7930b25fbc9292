//! Why a server does not start or ends.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// Why a server does not start or ends.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address is reachable from other machines, and there are no tokens.
    #[error(
        "{0} can be reached from other machines, so the server needs tokens; create some, or bind \
         to 127.0.0.1"
    )]
    TokensRequired(SocketAddr),
    /// An allowed origin is not the origin of a web page.
    #[error(
        "{0:?} is not the origin of a web page; it must be a scheme and a host, and a port unless \
         it is the default one, such as https://app.example"
    )]
    Origin(String),
    /// The server cannot listen on the address.
    #[error(transparent)]
    Io(ListenError),
    /// An MCP client on standard input did not begin as the protocol demands.
    #[error(
        "the MCP client did not begin with a valid initialize request; docs/mcp.md says how agents \
         are configured"
    )]
    Handshake,
}

/// Why a server cannot listen on its address.
#[derive(Debug)]
#[non_exhaustive]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// What the operating system reported.
    pub error: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, error } = self;
        write!(f, "the server cannot listen on {address}: {error}")?;
        f.write_str(match error.kind() {
            io::ErrorKind::AddrInUse => {
                "; another program listens there: end it, or choose another port, where 0 takes a \
                 free one"
            }
            io::ErrorKind::AddrNotAvailable => {
                "; choose an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them"
            }
            io::ErrorKind::PermissionDenied => "; choose a port from 1024 on",
            _ => "",
        })
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The text has that of the error.
        self.error.source()
    }
}
