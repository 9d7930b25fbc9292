//! Construction of the HTTP client and its TLS configuration.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{MemoryError, MemoryResult};
use reqwest::header::HeaderValue;
use reqwest::{Client, Url, redirect};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// Builds the client for one endpoint.
pub(crate) fn build(timeout: Duration, endpoint: &Url) -> MemoryResult<Client> {
    let tls = tls(endpoint).map_err(|error| {
        MemoryError::configuration(format!(
            "cannot set up TLS with the certificates of this platform: {error}"
        ))
    })?;
    let mut client = Client::builder()
        .user_agent(concat!("memory-openai/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        .http1_only()
        // Texts and key are sent to the base URL only.
        .redirect(redirect::Policy::none())
        // Retries are made, and counted, by this crate alone.
        .retry(reqwest::retry::never())
        .timeout(timeout);
    if is_loopback(endpoint) {
        client = client.no_proxy();
    }
    client.build().map_err(|error| {
        let error = error.without_url();
        MemoryError::configuration(format!("cannot build the HTTP client: {error}"))
    })
}

/// The TLS configuration, with an explicit provider: the process-wide default
/// belongs to the application.
fn tls(endpoint: &Url) -> Result<ClientConfig, rustls::Error> {
    let provider: Arc<CryptoProvider> = rustls::crypto::ring::default_provider().into();
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = if endpoint.scheme() == "https" {
        config.with_platform_verifier()?
    } else {
        // Never used, because redirects are not followed. It lets a platform
        // without certificates use plain HTTP.
        config.with_root_certificates(RootCertStore::empty())
    }
    .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn is_loopback(endpoint: &Url) -> bool {
    let host = endpoint.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The authorization header, marked as sensitive so that it is never printed.
pub(crate) fn authorization(key: &str) -> MemoryResult<HeaderValue> {
    if key.trim().is_empty() {
        return Err(MemoryError::configuration(
            "the API key is blank; omit api_key if the endpoint needs none",
        ));
    }
    let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| {
        MemoryError::configuration(
            "the API key contains a character that is not allowed in an HTTP header, such as a \
             line break; allowed are visible ASCII characters and spaces",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_recognized_by_name_and_address() {
        let of = |url: &str| is_loopback(&Url::parse(url).unwrap());
        for local in [
            "http://localhost:1/",
            "http://127.0.0.1/",
            "http://127.9.9.9/",
            "http://[::1]:8/",
        ] {
            assert!(of(local), "{local}");
        }
        for remote in ["http://10.0.0.1/", "https://localhost.example/"] {
            assert!(!of(remote), "{remote}");
        }
    }

    #[test]
    fn an_invalid_key_is_not_quoted() {
        for bad in ["", "  ", "sesame\n", "sesame\0"] {
            let text = authorization(bad).unwrap_err().to_string();
            assert!(!text.contains("sesame"), "{text}");
        }
        let header = authorization("sesame").unwrap();
        assert_eq!(header, "Bearer sesame");
        assert!(!format!("{header:?}").contains("sesame"));
    }
}
