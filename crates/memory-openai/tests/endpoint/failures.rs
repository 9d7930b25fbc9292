//! Failures of the endpoint or the connection: rejections, retries, timeouts,
//! cancellation.

use std::time::{Duration, Instant, SystemTime};

use memory_core::{ErrorKind, LanguageModel};
use memory_openai::{OpenAi, OpenAiError, RejectionReason};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time;

use crate::server::{Reply, Server, in_time};
use crate::{KEY, PROMPT, failure, model, options, source};

/// A timeout long enough for a busy machine to respond to a request that gets a
/// response.
const TIMEOUT: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_rejected_request_is_not_retried() {
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
            Some(RejectionReason::ContextLength),
        ),
        (
            400,
            "content_filter",
            ErrorKind::Other,
            Some(RejectionReason::ContentFilter),
        ),
        (
            429,
            "insufficient_quota",
            ErrorKind::Other,
            Some(RejectionReason::Quota),
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
        assert_eq!(server.received().len(), 1, "{error}");
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
        assert_eq!(server.received().len(), 1);
    }
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn an_error_body_is_read_up_to_a_limit() {
    let endless = Reply::new(400, vec![b' '; 10_000]).endless();
    let mut server = Server::start([endless]).await;
    let error = failure(&model(&server)).await;
    assert!(error.to_string().contains("status 400"), "{error}");
    server.end().await;
}

#[tokio::test]
async fn a_closed_port_is_unavailable_and_the_error_names_host_and_cause() {
    let server = Server::start([]).await;
    // Kept bound, so that no other test gets the port.
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
    assert!(text.contains("refused"), "{text}");
    assert!(text.contains("after 3 requests"), "{text}");
}

#[tokio::test]
async fn temporary_failures_are_retried() {
    for status in [408, 429, 500, 502, 503, 504, 529] {
        let failed = Reply::error(status, "");
        let server = Server::start([failed, Reply::text("Tam.")]).await;
        let answer = model(&server).complete(PROMPT).await.unwrap();
        assert_eq!(answer, "Tam.");
        let [first, second] = server.received().try_into().ok().unwrap();
        assert_eq!(first.body, second.body);
        assert_eq!(first.line, second.line);
        assert_eq!(
            first.headers["authorization"],
            second.headers["authorization"]
        );
    }
}

#[tokio::test]
async fn a_lost_connection_is_retried() {
    let failures = [Reply::hang_up(), Reply::text("Tam sold it.").half()];
    for failed in failures {
        let server = Server::start([failed, Reply::text("Tam.")]).await;
        let answer = model(&server).complete(PROMPT).await.unwrap();
        assert_eq!(answer, "Tam.");
        assert_eq!(server.received().len(), 2);
    }
}

#[tokio::test]
async fn a_connection_that_is_always_lost_is_unavailable() {
    let lost = || Reply::text("Tam sold it.").half();
    let server = Server::start([lost(), lost(), lost()]).await;
    let error = failure(&model(&server)).await;
    assert!(
        matches!(source(&error), OpenAiError::ConnectionLost(_)),
        "{error:?}"
    );
    assert!(error.is_retryable());
    assert_eq!(server.received().len(), 3);
}

#[tokio::test]
async fn retries_are_counted() {
    for retries in [0, 1, 4] {
        let replies = (0..9).map(|_| Reply::error(503, ""));
        let server = Server::start(replies).await;
        let model = OpenAi::new(options(&server).retries(retries)).unwrap();
        let error = failure(&model).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.is_retryable());
        let requests = retries as usize + 1;
        assert_eq!(server.received().len(), requests);
        let is_counted = error.to_string().contains(&format!("{requests} requests"));
        assert_eq!(is_counted, retries > 0, "{error}");
    }
}

#[tokio::test]
async fn a_permanent_failure_ends_the_retries() {
    let server = Server::start([Reply::error(503, ""), Reply::error(401, "")]).await;
    let error = failure(&model(&server)).await;
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_retry_waits_as_long_as_the_endpoint_asks() {
    let busy = Reply::error(429, "rate_limit_exceeded").header("retry-after", "1");
    let server = Server::start([busy, Reply::text("Tam.")]).await;
    let start = Instant::now();
    let answer = model(&server).complete(PROMPT).await.unwrap();
    assert_eq!(answer, "Tam.");
    // This holds on any machine, however slow.
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_call_that_is_asked_to_wait_too_long_fails_immediately() {
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    for asked in ["3600".to_owned(), httpdate::fmt_http_date(tomorrow)] {
        let busy = Reply::error(503, "").header("retry-after", asked);
        let server = Server::start([busy, Reply::text("Tam.")]).await;
        let model = OpenAi::new(options(&server).max_backoff(Duration::from_secs(9)));
        let error = failure(&model.unwrap()).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let OpenAiError::Status { retry_after, .. } = source(&error) else {
            panic!("{error:?}");
        };
        assert!(retry_after.unwrap() > Duration::from_secs(3_500));
        assert!(error.to_string().contains("asks to wait"), "{error}");
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn a_date_in_the_past_does_not_delay_the_retry() {
    let passed = "Sun, 06 Nov 1994 08:49:37 GMT";
    let busy = Reply::error(503, "").header("retry-after", passed);
    let server = Server::start([busy, Reply::text("Tam.")]).await;
    assert_eq!(model(&server).complete(PROMPT).await.unwrap(), "Tam.");
}

#[tokio::test]
async fn a_missing_response_ends_with_the_timeout() {
    // Before the response, and in the middle of one.
    let slow = [
        Reply::silence(),
        Reply::text("Tam sold it.").half_then_silence(),
    ];
    for reply in slow {
        let mut server = Server::start([reply]).await;
        let model = OpenAi::new(options(&server).timeout(TIMEOUT)).unwrap();
        let error = in_time(failure(&model)).await;
        assert!(
            matches!(source(&error), OpenAiError::TimedOut { .. }),
            "{error:?}"
        );
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        // The server sees the end of the request, and no second one.
        server.end().await;
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn an_error_body_that_never_ends_does_not_delay_the_error() {
    let slow = Reply::error(400, "context_length_exceeded").half_then_silence();
    let server = Server::start([slow]).await;
    let model = OpenAi::new(options(&server).timeout(TIMEOUT)).unwrap();
    let error = in_time(failure(&model)).await;
    assert!(error.to_string().contains("status 400"), "{error}");
}

#[tokio::test]
async fn each_request_has_the_whole_timeout() {
    // It accepts no connections: they stay in the system's backlog.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start([Reply::error(503, ""), Reply::silence()]).await;
    let model = OpenAi::new(options(&server).timeout(TIMEOUT)).unwrap();
    let error = in_time(failure(&model)).await;
    assert!(
        matches!(source(&error), OpenAiError::TimedOut { .. }),
        "{error:?}"
    );
    assert_eq!(server.received().len(), 2);

    let url = format!("http://{}/v1", silent.local_addr().unwrap());
    let model = OpenAi::new(options(&server).timeout(TIMEOUT).base_url(url)).unwrap();
    let error = in_time(failure(&model)).await;
    assert!(
        matches!(source(&error), OpenAiError::TimedOut { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn after_a_timeout_the_model_is_usable() {
    let server = Server::start([Reply::silence(), Reply::text("Tam.")]).await;
    let model = OpenAi::new(options(&server).timeout(TIMEOUT)).unwrap();
    in_time(failure(&model)).await;
    assert_eq!(model.complete(PROMPT).await.unwrap(), "Tam.");
}

#[tokio::test]
async fn dropping_the_future_closes_the_connection() {
    // Before the response, and in the middle of one.
    let slow = [
        Reply::silence(),
        Reply::text("Tam sold it.").half_then_silence(),
    ];
    for reply in slow {
        let mut server = Server::start([reply]).await;
        let model = model(&server);
        // The model itself stays alive: dropping the future closes the connection.
        let call = tokio::spawn({
            let model = model.clone();
            async move { model.complete(PROMPT).await }
        });
        server.arrival().await;
        // Time for the first half to arrive.
        time::sleep(Duration::from_millis(50)).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        server.end().await;
        assert_eq!(server.received().len(), 1);
        drop(model);
    }
}

#[tokio::test]
async fn a_cancelled_call_does_not_retry() {
    let mut server = Server::start([Reply::error(503, ""), Reply::text("Tam.")]).await;
    let wait = Duration::from_millis(400);
    let options = options(&server).initial_backoff(wait);
    let model = OpenAi::new(options).unwrap();
    let call = tokio::spawn({
        let model = model.clone();
        async move { model.complete(PROMPT).await }
    });
    server.arrival().await;
    // Time for the response to arrive; the delay that follows is at least twice this.
    time::sleep(wait / 4).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // Well after the moment of the retry.
    time::sleep(wait * 2).await;
    assert_eq!(server.received().len(), 1);
    // The next call gets the next response of the script.
    assert_eq!(model.complete(PROMPT).await.unwrap(), "Tam.");
}
