//! Endpoints that take their time.

use std::time::Duration;

use memory_core::{ErrorKind, LanguageModel};
use memory_openai::{OpenAi, OpenAiError};
use tokio::net::TcpListener;

use crate::server::{Reply, Server, in_time};
use crate::{PROMPT, failure, options, source};

/// Long enough for a busy machine to answer where an answer comes.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test]
async fn silence_ends_with_the_time_out() {
    // Before the answer, and in the middle of one.
    let slow = [
        Reply::silence(),
        Reply::text("Tam sold it.").half_then_silence(),
    ];
    for reply in slow {
        let mut server = Server::start([reply]).await;
        let model = OpenAi::new(options(&server).timeout(SOON)).unwrap();
        let error = in_time(failure(&model)).await;
        assert!(matches!(source(&error), OpenAiError::TimedOut), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        // The request is given up at the other end as well, and not repeated.
        server.end().await;
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_failure_that_never_ends_is_told_in_time() {
    let slow = Reply::error(400, "context_length_exceeded").half_then_silence();
    let server = Server::start([slow]).await;
    let model = OpenAi::new(options(&server).timeout(SOON)).unwrap();
    let error = in_time(failure(&model)).await;
    assert!(error.to_string().contains("status 400"), "{error}");
}

#[tokio::test]
async fn each_request_has_the_whole_time() {
    // Nobody takes this one's connections: they stand in the system's queue.
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start([Reply::error(503, ""), Reply::silence()]).await;
    let model = OpenAi::new(options(&server).timeout(SOON)).unwrap();
    let error = in_time(failure(&model)).await;
    assert!(matches!(source(&error), OpenAiError::TimedOut), "{error:?}");
    assert_eq!(server.seen().len(), 2);

    let url = format!("http://{}/v1", deaf.local_addr().unwrap());
    let model = OpenAi::new(options(&server).timeout(SOON).base_url(url)).unwrap();
    let error = in_time(failure(&model)).await;
    assert!(matches!(source(&error), OpenAiError::TimedOut), "{error:?}");
}

#[tokio::test]
async fn a_time_out_leaves_the_model_usable() {
    let server = Server::start([Reply::silence(), Reply::text("Tam.")]).await;
    let model = OpenAi::new(options(&server).timeout(SOON)).unwrap();
    in_time(failure(&model)).await;
    assert_eq!(model.complete(PROMPT).await.unwrap(), "Tam.");
}
