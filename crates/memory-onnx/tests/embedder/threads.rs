//! Concurrent, cancelled and waiting calls.

use std::pin::pin;
use std::time::Duration;

use memory_core::{EmbedRole, Embedder as _};
use tokio::task::JoinSet;

use super::{difference, opened, refs, shared, small, turns};

/// A time limit far longer than anything here takes.
const TIME_LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_tasks_get_their_own_vectors() {
    let embedder = shared().await;
    let texts = turns(64);
    let expected = embedder
        .embed(&refs(&texts), EmbedRole::Passage)
        .await
        .unwrap();
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let (embedder, texts) = (embedder.clone(), texts.clone());
        tasks.spawn(async move {
            let mut got = Vec::new();
            for n in 0..12 {
                let at = (task * 7 + n * 5) % texts.len();
                let upto = (at + 1 + n % 4).min(texts.len());
                let vectors = embedder
                    .embed(&refs(&texts[at..upto]), EmbedRole::Passage)
                    .await;
                got.extend((at..upto).zip(vectors.unwrap()));
            }
            got
        });
    }
    for (index, vector) in tasks.join_all().await.into_iter().flatten() {
        assert!(difference(&vector, &expected[index]) <= 1e-4);
    }
}

#[tokio::test]
async fn the_runtime_thread_is_not_blocked_by_embedding_and_chunking() {
    let embedder = shared().await;
    let text = "The caravan moved on through rain and mud. ".repeat(200);
    let texts = vec![text.as_str(); 4];
    let mut work = pin!(async {
        embedder.chunk(&texts).await.unwrap();
        embedder
            .embed(&refs(&turns(200)), EmbedRole::Passage)
            .await
            .unwrap();
    });
    // If the work ran on this thread, the other branch would not be polled.
    let mut polls = 0u64;
    loop {
        tokio::select! {
            biased;
            () = &mut work => break,
            () = tokio::task::yield_now() => polls += 1,
        }
    }
    assert!(polls > 1_000, "the other branch was polled {polls} times");
}

#[tokio::test]
async fn a_query_does_not_wait_for_an_import() {
    let embedder = opened(small()).await;
    let texts = turns(700);
    let texts = refs(&texts);
    let mut import = pin!(embedder.embed(&texts, EmbedRole::Passage));
    let mut queries = pin!(async {
        for query in [
            "Who owns the mill?",
            "Where is the horse?",
            "When was the flood?",
        ] {
            embedder.embed(&[query], EmbedRole::Query).await.unwrap();
        }
    });
    tokio::select! {
        biased;
        _ = &mut import => panic!("the import was done before three queries"),
        () = &mut queries => {}
    }
    assert_eq!(import.await.unwrap().len(), texts.len());
}

#[tokio::test]
async fn a_dropped_call_does_not_affect_others() {
    let embedder = opened(small()).await;
    let texts = turns(600);
    let texts = refs(&texts);
    let text = "The caravan moved on through rain and mud. ".repeat(200);
    let long = [text.as_str(); 8];
    // Dropped before the start, and at several later points.
    let dropped = async {
        for step in 0..4 {
            let embedding = embedder.embed(&texts, EmbedRole::Passage);
            let chunking = embedder.chunk(&long);
            let both = async { tokio::join!(embedding, chunking) };
            let _ = tokio::time::timeout(Duration::from_millis(7 * step), both).await;
        }
    };
    let kept = async { tokio::join!(embedder.embed(&texts[..40], EmbedRole::Passage), dropped) };
    let (vectors, ()) = tokio::time::timeout(TIME_LIMIT, kept)
        .await
        .expect("the calls do not end");
    let alone = shared()
        .await
        .embed(&[texts[17]], EmbedRole::Passage)
        .await
        .unwrap();
    assert!(difference(&vectors.unwrap()[17], &alone[0]) <= 1e-4);
}

#[tokio::test]
async fn a_limited_queue_delays_callers_and_rejects_none() {
    let embedder = opened(small().queue_depth(1)).await;
    let texts = turns(30);
    let calls = texts
        .iter()
        .map(|text| async { embedder.embed(&[text], EmbedRole::Passage).await.unwrap() });
    let calls: Vec<_> = calls.map(Box::pin).collect();
    let together = tokio::time::timeout(TIME_LIMIT, futures(calls)).await;
    assert_eq!(together.expect("the calls do not end").len(), texts.len());
}

/// Polls all futures together, on this task.
async fn futures<F: Future + Unpin>(mut pending: Vec<F>) -> Vec<F::Output> {
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        let mut index = 0;
        while index < pending.len() {
            match std::pin::Pin::new(&mut pending[index]).poll(context) {
                std::task::Poll::Ready(output) => {
                    done.push(output);
                    drop(pending.swap_remove(index));
                }
                std::task::Poll::Pending => index += 1,
            }
        }
        if pending.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done
}
