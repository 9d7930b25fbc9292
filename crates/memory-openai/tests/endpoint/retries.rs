//! What is sent again, how often and when.

use std::time::{Duration, Instant, SystemTime};

use memory_core::{ErrorKind, LanguageModel};
use memory_openai::{OpenAi, OpenAiError};

use crate::server::{Reply, Server};
use crate::{PROMPT, failure, model, options, source};

#[tokio::test]
async fn what_may_pass_is_sent_again() {
    for status in [408, 429, 500, 502, 503, 504, 529] {
        let failed = Reply::error(status, "");
        let server = Server::start([failed, Reply::text("Tam.")]).await;
        let answer = model(&server).complete(PROMPT).await.unwrap();
        assert_eq!(answer, "Tam.");
        let [first, second] = server.seen().try_into().ok().unwrap();
        assert_eq!(first.body, second.body);
        assert_eq!(first.line, second.line);
        assert_eq!(
            first.headers["authorization"],
            second.headers["authorization"]
        );
    }
}

#[tokio::test]
async fn a_broken_connection_is_made_again() {
    let breaks = [Reply::hang_up(), Reply::text("Tam sold it.").half()];
    for broken in breaks {
        let server = Server::start([broken, Reply::text("Tam.")]).await;
        let answer = model(&server).complete(PROMPT).await.unwrap();
        assert_eq!(answer, "Tam.");
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn an_answer_that_always_breaks_off_is_unavailable() {
    let broken = || Reply::text("Tam sold it.").half();
    let server = Server::start([broken(), broken(), broken()]).await;
    let error = failure(&model(&server)).await;
    assert!(
        matches!(source(&error), OpenAiError::Broken(_)),
        "{error:?}"
    );
    assert!(error.is_retryable());
    assert_eq!(server.seen().len(), 3);
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
        assert_eq!(server.seen().len(), requests);
        let told = error.to_string().contains(&format!("{requests} requests"));
        assert_eq!(told, retries > 0, "{error}");
    }
}

#[tokio::test]
async fn a_failure_for_good_ends_the_retries() {
    let server = Server::start([Reply::error(503, ""), Reply::error(401, "")]).await;
    let error = failure(&model(&server)).await;
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn nothing_is_sent_before_the_endpoint_asks_for_it() {
    let busy = Reply::error(429, "rate_limit_exceeded").header("retry-after", "1");
    let server = Server::start([busy, Reply::text("Tam.")]).await;
    let start = Instant::now();
    let answer = model(&server).complete(PROMPT).await.unwrap();
    assert_eq!(answer, "Tam.");
    // A lower bound holds on any machine, however slow.
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn who_is_asked_to_wait_too_long_gives_up_at_once() {
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    for asked in ["3600".to_owned(), httpdate::fmt_http_date(tomorrow)] {
        let busy = Reply::error(503, "").header("retry-after", asked);
        let server = Server::start([busy, Reply::text("Tam.")]).await;
        let model = OpenAi::new(options(&server).longest_wait(Duration::from_secs(9)));
        let error = failure(&model.unwrap()).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let OpenAiError::Status { retry_after, .. } = source(&error) else {
            panic!("{error:?}");
        };
        assert!(retry_after.unwrap() > Duration::from_secs(3_500));
        assert!(error.to_string().contains("asks to wait"), "{error}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_date_that_has_passed_is_no_reason_to_wait() {
    let passed = "Sun, 06 Nov 1994 08:49:37 GMT";
    let busy = Reply::error(503, "").header("retry-after", passed);
    let server = Server::start([busy, Reply::text("Tam.")]).await;
    assert_eq!(model(&server).complete(PROMPT).await.unwrap(), "Tam.");
}
