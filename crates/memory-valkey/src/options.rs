//! Where the server is, and how its keys are named.

use std::fmt;
use std::path::PathBuf;

use memory_core::{MemoryError, MemoryResult};
use redis::IntoConnectionInfo;
use url::Url;

use crate::cache::ValkeyCache;
use crate::connection::{Connector, Target};
use crate::layout::KeyNames;

/// The namespace where none is named.
const DEFAULT_NAMESPACE: &str = "memory";

/// The longest namespace, in bytes.
const MAX_NAMESPACE_BYTES: usize = 64;

/// The URL schemes, and those of them that need the feature `tls`.
const SCHEMES: [&str; 6] = [
    "valkey",
    "valkeys",
    "redis",
    "rediss",
    "valkey+unix",
    "unix",
];
const TLS_SCHEMES: [&str; 2] = ["valkeys", "rediss"];

/// What a [`ValkeyCache`] connects to, from a URL:
///
/// | URL | server |
/// |---|---|
/// | `valkey://user:password@host:6379/0` | on TCP; user, password, port and database may be left out |
/// | `valkeys://…` | on TCP with TLS (feature `tls`) |
/// | `valkey+unix:///path/to/socket?user=…&pass=…&db=0` | on a Unix socket |
///
/// `redis://`, `rediss://` and `unix://` are the same. Parameters:
///
/// | parameter | meaning | default |
/// |---|---|---|
/// | `namespace` | the beginning of every key; see [`namespace`](Self::namespace) | `memory` |
/// | `cluster` | `true` where the URL names a node of a cluster | `false` |
/// | `cacert` | a PEM file with the certificates to trust, in place of the system's | |
#[derive(Clone)]
pub struct ValkeyOptions {
    url: Url,
    namespace: String,
    cluster: bool,
    root_certificates: Option<PathBuf>,
}

impl ValkeyOptions {
    /// Options of a URL.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for a URL that cannot be parsed, an unknown
    /// scheme or parameter, or a value that is not allowed. It never shows the URL,
    /// which may contain a password.
    pub fn from_url(url: &str) -> MemoryResult<Self> {
        let invalid = |problem: &str| {
            MemoryError::configuration(format!("cannot use the URL of the shared cache: {problem}"))
        };
        let mut url = Url::parse(url).map_err(|error| invalid(&error.to_string()))?;
        if !SCHEMES.contains(&url.scheme()) {
            let (scheme, known) = (url.scheme(), SCHEMES.join(", "));
            return Err(invalid(&format!(
                "unsupported scheme {scheme:?}; it must be one of {known}"
            )));
        }
        let mut options = Self {
            url: url.clone(),
            namespace: DEFAULT_NAMESPACE.to_owned(),
            cluster: false,
            root_certificates: None,
        };
        let mut for_client = Vec::new();
        for (name, value) in url.query_pairs() {
            match &*name {
                "namespace" => options = options.namespace(value)?,
                "cluster" => {
                    options.cluster = value
                        .parse()
                        .map_err(|_| invalid("cluster must be true or false"))?;
                }
                "cacert" => options.root_certificates = Some(PathBuf::from(&*value)),
                "db" | "user" | "pass" if url.host().is_none() => {
                    for_client.push((name.into_owned(), value.into_owned()));
                }
                _ => {
                    return Err(invalid(&format!(
                        "unknown parameter {name:?}; known are namespace, cluster and cacert, \
                         and with a socket db, user and pass"
                    )));
                }
            }
        }
        url.set_query(None);
        if !for_client.is_empty() {
            url.query_pairs_mut().extend_pairs(for_client);
        }
        options.url = url;
        Ok(options)
    }

    /// The beginning of every key: 1 to 64 letters, digits, `_`, `-`, `.` and `:`.
    /// Systems of one namespace share what they cache; give each store its own.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for another text.
    pub fn namespace(mut self, namespace: impl Into<String>) -> MemoryResult<Self> {
        let namespace = namespace.into();
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        if !(1..=MAX_NAMESPACE_BYTES).contains(&namespace.len())
            || !namespace.chars().all(is_allowed)
        {
            return Err(MemoryError::configuration(format!(
                "the namespace of the shared cache cannot be {namespace:?}; it must be 1 to \
                 {MAX_NAMESPACE_BYTES} letters, digits, _, -, . and :"
            )));
        }
        self.namespace = namespace;
        Ok(self)
    }

    /// Whether the URL names a node of a cluster; the client finds the others.
    #[must_use]
    pub const fn cluster(mut self, cluster: bool) -> Self {
        self.cluster = cluster;
        self
    }

    /// Trusts the certificates of this PEM file in place of the system's.
    #[must_use]
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.root_certificates = Some(path.into());
        self
    }

    /// Makes a cache. Nothing is contacted before the first call.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] where the client refuses the URL, the file with
    /// certificates cannot be read, or TLS is asked for without the feature `tls`.
    pub fn open(self) -> MemoryResult<ValkeyCache> {
        let uses_tls = TLS_SCHEMES.contains(&self.url.scheme());
        if self.root_certificates.is_some() && !uses_tls {
            return Err(MemoryError::configuration(
                "certificates for the shared cache need a URL with TLS: valkeys://…",
            ));
        }
        let names = KeyNames::new(&self.namespace);
        let target = self.target(uses_tls)?;
        Ok(ValkeyCache::new(Connector::new(target), names))
    }

    #[cfg(not(feature = "tls"))]
    fn target(self, uses_tls: bool) -> MemoryResult<Target> {
        if uses_tls {
            return Err(MemoryError::configuration(
                "this build connects to the shared cache without TLS; build it with the feature tls",
            ));
        }
        let info = self.url.into_connection_info().map_err(refused)?;
        if self.cluster {
            let client = Target::cluster(info).build().map_err(refused)?;
            return Ok(Target::Cluster(Box::new(client)));
        }
        redis::Client::open(info)
            .map(|client| Target::Server(Box::new(client)))
            .map_err(refused)
    }

    #[cfg(feature = "tls")]
    fn target(self, uses_tls: bool) -> MemoryResult<Target> {
        use redis::TlsCertificates;
        if uses_tls && rustls::crypto::CryptoProvider::get_default().is_none() {
            // The client takes the process's; another one that is first is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let root_cert = match &self.root_certificates {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                MemoryError::configuration(format!(
                    "cannot read the certificates for the shared cache, {}: {error}",
                    path.display()
                ))
            })?),
        };
        let certificates = root_cert.map(|pem| TlsCertificates {
            client_tls: None,
            root_cert: Some(pem),
        });
        let info = self.url.into_connection_info().map_err(refused)?;
        if self.cluster {
            let builder = Target::cluster(info);
            let builder = match certificates {
                Some(certificates) => builder.certs(certificates),
                None => builder,
            };
            return match builder.build() {
                Ok(client) => Ok(Target::Cluster(Box::new(client))),
                Err(error) => Err(refused(error)),
            };
        }
        let client = match certificates {
            Some(certificates) => redis::Client::build_with_tls(info, certificates),
            None => redis::Client::open(info),
        };
        client
            .map(|client| Target::Server(Box::new(client)))
            .map_err(refused)
    }
}

/// The error for what the client refuses. Its text names no part of the URL but the
/// kind of problem.
#[expect(
    clippy::needless_pass_by_value,
    reason = "an argument of map_err takes the error by value"
)]
fn refused(error: redis::RedisError) -> MemoryError {
    MemoryError::configuration(format!("cannot use the URL of the shared cache: {error}"))
}

/// Shows no part of the URL but its scheme: it may contain a password.
impl fmt::Debug for ValkeyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValkeyOptions")
            .field("scheme", &self.url.scheme())
            .field("namespace", &self.namespace)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_every_kind_are_accepted() {
        for url in [
            "valkey://localhost",
            "redis://app:secret@10.0.0.1:7000/2",
            "valkey://[::1]:6379?namespace=game.1&cluster=true",
            "valkey+unix:///run/valkey.sock?user=app&pass=secret&namespace=game",
        ] {
            let opened = ValkeyOptions::from_url(url).and_then(ValkeyOptions::open);
            assert!(opened.is_ok(), "{url}: {opened:?}");
        }
    }

    #[test]
    fn other_urls_are_refused_and_no_password_is_shown() {
        for (url, named) in [
            (
                "http://app:hunter2@localhost",
                "unsupported scheme \"http\"",
            ),
            ("app:hunter2@localhost", "unsupported scheme"),
            ("valkey://app:hunter2@localhost?tls=1", "parameter \"tls\""),
            (
                "valkey://app:hunter2@localhost?cluster=yes",
                "true or false",
            ),
            ("valkey://app:hunter2@localhost?namespace={x}", "letters"),
            ("valkey://app:hunter2@localhost?namespace=", "letters"),
            ("valkey://app:hunter2@localhost/x", "database number"),
            ("valkey://app:hunter2@localhost?cacert=/x", "valkeys"),
            ("valkeys://app:hunter2@localhost?cacert=/no/x", "no/x"),
        ] {
            let opened = ValkeyOptions::from_url(url).and_then(ValkeyOptions::open);
            let text = opened.unwrap_err().to_string();
            let named = if cfg!(feature = "tls") || !url.starts_with("valkeys") {
                named
            } else {
                "feature tls"
            };
            assert!(text.to_lowercase().contains(named), "{url}: {text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        let options = ValkeyOptions::from_url("valkey://app:hunter2@localhost").unwrap();
        let shown = format!("{options:?} {:?}", options.clone().open().unwrap());
        assert!(
            !shown.contains("hunter2") && !shown.contains("app"),
            "{shown}"
        );
    }
}
