//! Endpoints that say no, or nothing.

use memory_core::ErrorKind;
use memory_openai::{OpenAi, OpenAiError, Reason};
use tokio::net::TcpSocket;

use crate::server::{Reply, Server};
use crate::{KEY, failure, model, options, source};

#[tokio::test]
async fn a_refused_request_is_not_sent_again() {
    for (status, code, kind, named) in [
        (400, "whatever", ErrorKind::Other, None),
        (401, "invalid_api_key", ErrorKind::Configuration, None),
        (403, "", ErrorKind::Configuration, None),
        (404, "model_not_found", ErrorKind::Configuration, None),
        (409, "", ErrorKind::Other, None),
        (413, "", ErrorKind::InvalidInput, None),
        (422, "", ErrorKind::Other, None),
        (
            400,
            "context_length_exceeded",
            ErrorKind::InvalidInput,
            Some(Reason::ContextLength),
        ),
        (
            400,
            "content_filter",
            ErrorKind::Other,
            Some(Reason::ContentFilter),
        ),
        (
            429,
            "insufficient_quota",
            ErrorKind::Other,
            Some(Reason::Quota),
        ),
    ] {
        let server = Server::start([Reply::error(status, code)]).await;
        let error = failure(&model(&server)).await;
        assert_eq!(error.kind(), kind, "{error}");
        let OpenAiError::Status {
            status: found,
            reason,
            ..
        } = source(&error)
        else {
            panic!("{error:?}");
        };
        assert_eq!((*found, *reason), (status, named), "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert_eq!(server.seen().len(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start([Reply::text("Tam.")]).await;
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{}/chat/completions", elsewhere.base_url());
        let reply = Reply::new(status, "").header("location", to);
        let server = Server::start([reply]).await;
        let error = failure(&model(&server)).await;
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert_eq!(server.seen().len(), 1);
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn the_reason_for_a_failure_is_read_to_a_bound() {
    let endless = Reply::new(400, vec![b' '; 10_000]).endless();
    let mut server = Server::start([endless]).await;
    let error = failure(&model(&server)).await;
    assert!(error.to_string().contains("status 400"), "{error}");
    server.end().await;
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_unavailable() {
    let server = Server::start([]).await;
    // Held, so that no other test gets it.
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap();
    let options = options(&server).base_url(format!("http://{address}/v1?key={KEY}"));
    let error = failure(&OpenAi::new(options).unwrap()).await;
    assert!(
        matches!(source(&error), OpenAiError::Unreachable(_)),
        "{error:?}"
    );
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(text.contains(&address.to_string()), "{text}");
    assert!(text.contains("after 3 requests"), "{text}");
}
