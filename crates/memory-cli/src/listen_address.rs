//! The address that a server listens on, as the command line names it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;

/// A host, which may be a name, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    /// A name or an address, without the brackets of IPv6.
    host: String,
    port: u16,
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const ALLOWED: &str = "it must be HOST:PORT, such as 127.0.0.1:7070, localhost:7070 or \
                               [::1]:7070";
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(format!("it has no port; {ALLOWED}"));
        };
        let bracketed = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let host = match bracketed {
            Some(host) => host.to_owned(),
            None if host.contains(':') => {
                return Err(format!("an IPv6 address is in brackets; {ALLOWED}"));
            }
            // Without a host, other machines do not reach it.
            None if host.is_empty() => Ipv4Addr::LOCALHOST.to_string(),
            None => host.to_owned(),
        };
        let port = port
            .parse()
            .map_err(|_| format!("the port must be a number from 0 to 65535; {ALLOWED}"))?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl ListenAddress {
    /// The addresses of the host. Those of IPv4 are first: the default address is one.
    pub(crate) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let mut addresses: Vec<SocketAddr> =
            (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        match addresses.is_empty() {
            true => Err(io::Error::other("the host has no address")),
            false => Ok(addresses),
        }
    }
}

/// The first of these addresses that this machine has, if a server can listen there. It is
/// listened to for a moment, and released again. An address that is taken is final: clients
/// of another one would talk to the process that has the first.
pub(crate) fn find_free(addresses: &[SocketAddr]) -> io::Result<SocketAddr> {
    let mut failure = None;
    for address in addresses {
        match TcpListener::bind(address) {
            Ok(_) => return Ok(*address),
            Err(error) if is_missing(&error) => failure = failure.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Err(failure.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into()))
}

/// Whether this machine does not have an address, or nothing of its family, such as IPv6.
fn is_missing(error: &io::Error) -> bool {
    /// `EAFNOSUPPORT`, for which the standard library has no kind.
    const UNSUPPORTED_FAMILY: i32 = if cfg!(windows) {
        10_047
    } else if cfg!(any(target_os = "linux", target_os = "android")) {
        97
    } else {
        47
    };
    let is_kind = matches!(
        error.kind(),
        ErrorKind::AddrNotAvailable | ErrorKind::Unsupported
    );
    is_kind || error.raw_os_error() == Some(UNSUPPORTED_FAMILY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        for (text, shown) in [
            ("127.0.0.1:7070", "127.0.0.1:7070"),
            ("localhost:0", "localhost:0"),
            ("memory.example.org:443", "memory.example.org:443"),
            ("[::1]:7070", "[::1]:7070"),
            (":7070", "127.0.0.1:7070"),
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
        }
        for (text, reason) in [
            ("", "no port"),
            ("7070", "no port"),
            ("localhost", "no port"),
            ("::1:7070", "brackets"),
            ("localhost:", "number"),
            ("localhost:http", "number"),
            ("localhost:65536", "number"),
            ("[::1]", "brackets"),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(error.contains("localhost:7070"), "{text}: {error}");
        }
    }

    #[test]
    fn names_are_resolved_and_a_free_address_is_found() {
        let local: ListenAddress = "localhost:7070".parse().unwrap();
        let addresses = local.resolve().unwrap();
        assert!(addresses.iter().all(|it| it.ip().is_loopback()));
        // A label has at most 63 characters, so that no resolver is asked for one of these.
        let unknown: ListenAddress = format!("{}.test:1", "n".repeat(64)).parse().unwrap();
        assert!(unknown.resolve().is_err());

        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = taken.local_addr().map(|address| (taken, address));
        let (_listener, address) = taken.unwrap();
        let error = find_free(&[address]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let error = find_free(&[address, free]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "no other one is taken");
        // Of no machine: a block for documentation.
        let missing = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 0));
        assert_eq!(find_free(&[missing, free]).unwrap(), free);
        let error = find_free(&[missing, address]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let error = find_free(&[missing]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        assert!(find_free(&[]).is_err());
    }
}
