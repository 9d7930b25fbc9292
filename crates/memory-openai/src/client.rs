//! The HTTP client, and the TLS under it.

use std::net::IpAddr;
use std::sync::Arc;

use memory_core::{MemoryError, MemoryResult};
use reqwest::header::HeaderValue;
use reqwest::{Client, Url, redirect};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::options::OpenAiOptions;

/// A client for one endpoint.
pub(crate) fn build(options: &OpenAiOptions, endpoint: &Url) -> MemoryResult<Client> {
    let tls = tls(endpoint).map_err(|error| {
        MemoryError::configuration(format!("TLS cannot be set up on this machine: {error}"))
    })?;
    let mut client = Client::builder()
        .user_agent(concat!("memory-openai/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        .http1_only()
        // Prompt and key go where the base URL points and nowhere else.
        .redirect(redirect::Policy::none())
        // What was sent is sent again by us alone, and counted.
        .retry(reqwest::retry::never())
        .timeout(options.timeout);
    if is_this_machine(endpoint) {
        client = client.no_proxy();
    }
    client.build().map_err(|error| {
        let error = error.without_url();
        MemoryError::configuration(format!("the HTTP client cannot be built: {error}"))
    })
}

/// TLS with a provider that is named, as the process's default is its owner's
/// to choose.
fn tls(endpoint: &Url) -> Result<ClientConfig, rustls::Error> {
    let provider: Arc<CryptoProvider> = rustls::crypto::ring::default_provider().into();
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = if endpoint.scheme() == "https" {
        config.with_platform_verifier()?
    } else {
        // Not asked for, as redirects are not followed: a machine without
        // certificates can still speak HTTP, and trusts nobody.
        config.with_root_certificates(RootCertStore::empty())
    }
    .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn is_this_machine(endpoint: &Url) -> bool {
    let host = endpoint.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The header that carries the key, marked so that no one prints it.
pub(crate) fn authorization(key: &str) -> MemoryResult<HeaderValue> {
    if key.trim().is_empty() {
        return Err(MemoryError::configuration(
            "the API key is blank; leave it out where the endpoint needs none",
        ));
    }
    let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| {
        MemoryError::configuration(
            "the API key holds a character that no header can hold, such as a line break",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_name_and_address() {
        let of = |url: &str| is_this_machine(&Url::parse(url).unwrap());
        for here in [
            "http://localhost:1/",
            "http://127.0.0.1/",
            "http://127.9.9.9/",
            "http://[::1]:8/",
        ] {
            assert!(of(here), "{here}");
        }
        for elsewhere in ["http://10.0.0.1/", "https://localhost.example/"] {
            assert!(!of(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn a_key_that_no_header_can_hold_is_not_quoted() {
        for bad in ["", "  ", "sesame\n", "sesame\0"] {
            let text = authorization(bad).unwrap_err().to_string();
            assert!(!text.contains("sesame"), "{text}");
        }
        let header = authorization("sesame").unwrap();
        assert_eq!(header, "Bearer sesame");
        assert!(!format!("{header:?}").contains("sesame"));
    }
}
