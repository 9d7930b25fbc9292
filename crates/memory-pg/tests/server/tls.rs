//! TLS with a self-signed certificate, and builds without TLS.

#[cfg(not(feature = "tls"))]
#[tokio::test(flavor = "multi_thread")]
async fn required_tls_is_refused_without_the_feature() {
    use memory_core::{ErrorKind, MemoryError};
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = format!("postgres://app@localhost/memories?sslmode={mode}");
        let refused = memory_pg::PgStore::connect(&url).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Configuration);
        assert!(matches!(refused, MemoryError::Configuration { .. }));
        assert!(refused.to_string().contains("feature tls"), "{refused}");
    }
}

#[cfg(feature = "tls")]
mod with_tls {
    use std::path::PathBuf;

    use memory_core::{ErrorKind, MemoryId, MemoryResult, Store};
    use memory_pg::{PgOptions, PgStore};
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use crate::memories;
    use crate::support::pgbouncer::with_pgbouncer_on_tcp;

    /// Certificates in files that a client reads.
    struct Files(PathBuf);

    impl Files {
        fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("memory-tls-{}", MemoryId::new()));
            std::fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn write(&self, name: &str, pem: &str) -> String {
            let path = self.0.join(name);
            std::fs::write(&path, pem).unwrap();
            path.to_str().unwrap().to_owned()
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A self-signed certificate for localhost, and its key.
    fn certificate() -> (String, String) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    async fn open(url: &str) -> MemoryResult<PgStore> {
        let wait = std::time::Duration::from_secs(10);
        let options = PgOptions::new().max_connections(1).acquire_timeout(wait);
        options.connect(url).await
    }

    /// The server accepts connections with TLS alone, so that one that opens is
    /// encrypted.
    #[tokio::test(flavor = "multi_thread")]
    async fn certificates_are_checked_as_the_mode_says() {
        let (pem, key) = certificate();
        let tls = Some((pem.clone(), key));
        with_pgbouncer_on_tcp(tls, |url, _| async move {
            let files = Files::new();
            let right = files.write("right.pem", &pem);
            let wrong = files.write("wrong.pem", &certificate().0);
            let by_address = url.replace("localhost", "127.0.0.1");
            for (address, parameters) in [
                (&url, format!("&sslmode=verify-full&sslrootcert={right}")),
                (
                    &by_address,
                    format!("&sslmode=verify-ca&sslrootcert={right}"),
                ),
                (&by_address, "&sslmode=require".to_owned()),
                (&url, "&sslmode=prefer".to_owned()),
                (&url, String::new()),
            ] {
                let store = open(&format!("{address}{parameters}")).await.unwrap();
                store.insert(&memories("mira", 2)).await.unwrap();
                store.close().await.unwrap();
            }
            for (address, parameters) in [
                (&url, format!("&sslmode=verify-full&sslrootcert={wrong}")),
                (&url, format!("&sslmode=verify-ca&sslrootcert={wrong}")),
                (&url, "&sslmode=verify-full".to_owned()),
                // The certificate is for another name.
                (
                    &by_address,
                    format!("&sslmode=verify-full&sslrootcert={right}"),
                ),
            ] {
                let refused = open(&format!("{address}{parameters}")).await.unwrap_err();
                let kind = refused.kind();
                assert_eq!(kind, ErrorKind::Configuration, "{parameters}: {refused}");
                let message = refused.to_string();
                assert!(message.contains("cannot connect to"), "{message}");
                assert!(message.contains("certificate"), "{message}");
            }
            open(&format!("{url}&sslmode=disable")).await.unwrap_err();
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn server_without_tls_is_refused_where_it_is_required() {
        with_pgbouncer_on_tcp(None, |url, _| async move {
            for mode in ["require", "verify-full"] {
                let refused = open(&format!("{url}&sslmode={mode}")).await.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
                assert!(refused.to_string().contains("TLS"), "{refused}");
            }
            // By default TLS is used where the server offers it.
            open(&url).await.unwrap().close().await.unwrap();
        })
        .await;
    }
}
