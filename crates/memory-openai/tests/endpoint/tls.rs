//! An endpoint that has to prove who it is.

use memory_core::ErrorKind;
use memory_openai::{OpenAi, OpenAiError};

use crate::server::{Reply, Server};
use crate::{failure, options, source};

#[tokio::test]
async fn nothing_is_said_to_an_endpoint_that_does_not_speak_tls() {
    let server = Server::start([Reply::text("Tam.")]).await;
    let options = options(&server).base_url(format!("https://{}/v1", server.address()));
    // A machine without any certificate is told so before the first call.
    match OpenAi::new(options) {
        Ok(model) => {
            let error = failure(&model).await;
            let reason = source(&error);
            assert!(matches!(reason, OpenAiError::Unreachable(_)), "{error:?}");
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains("TLS"), "{error}");
        }
    }
    assert!(server.seen().is_empty());
}
