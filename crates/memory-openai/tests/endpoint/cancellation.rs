//! A dropped future abandons the request.

use std::time::Duration;

use memory_core::LanguageModel;
use memory_openai::OpenAi;
use tokio::time;

use crate::server::{Reply, Server};
use crate::{PROMPT, model, options};

#[tokio::test]
async fn the_server_sees_that_nobody_waits_any_more() {
    // Before the answer, and in the middle of one.
    let slow = [
        Reply::silence(),
        Reply::text("Tam sold it.").half_then_silence(),
    ];
    for reply in slow {
        let mut server = Server::start([reply]).await;
        let model = model(&server);
        // The model itself lives on: what closes the connection is the drop.
        let call = tokio::spawn({
            let model = model.clone();
            async move { model.complete(PROMPT).await }
        });
        server.arrival().await;
        // Time for the half that comes to come.
        time::sleep(Duration::from_millis(50)).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        server.end().await;
        assert_eq!(server.seen().len(), 1);
        drop(model);
    }
}

#[tokio::test]
async fn a_call_that_waits_to_retry_sends_no_more() {
    let mut server = Server::start([Reply::error(503, ""), Reply::text("Tam.")]).await;
    let wait = Duration::from_millis(400);
    let options = options(&server).first_wait(wait);
    let model = OpenAi::new(options).unwrap();
    let call = tokio::spawn({
        let model = model.clone();
        async move { model.complete(PROMPT).await }
    });
    server.arrival().await;
    // Time for the answer to come; the wait that follows is at least twice this.
    time::sleep(wait / 4).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // Well beyond the moment at which it would have asked again.
    time::sleep(wait * 2).await;
    assert_eq!(server.seen().len(), 1);
    // The next call gets the next line of the script.
    assert_eq!(model.complete(PROMPT).await.unwrap(), "Tam.");
}
