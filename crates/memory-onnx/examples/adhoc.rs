use memory_core::{EmbedRole, Embedder as _};
use memory_onnx::*;
use std::time::Instant;
fn rss() -> (u64, u64) {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    let f = |k: &str| {
        s.lines()
            .find(|l| l.starts_with(k))
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            / 1024
    };
    (f("VmRSS"), f("VmHWM"))
}
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let a: Vec<usize> = std::env::args()
        .skip(1)
        .map(|x| x.parse().unwrap())
        .collect();
    let texts: Vec<String> =
        serde_json::from_str(&std::fs::read_to_string("/tmp/onnx-try/turns.json").unwrap())
            .unwrap();
    let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
    let o = OnnxOptions::new()
        .batch_tokens(MaxTokens(a[2]))
        .parallelism(Parallelism {
            sessions: a[0],
            threads_each: a[1],
        });
    let t = Instant::now();
    let e = OnnxEmbedder::open(o).await.unwrap();
    let open = t.elapsed();
    e.embed(&refs[..64], EmbedRole::Passage).await.unwrap();
    let t = Instant::now();
    e.embed(&refs, EmbedRole::Passage).await.unwrap();
    let d = t.elapsed();
    let mut l = vec![];
    for n in 0..60 {
        let q = format!(
            "What did the miller say about the flood last spring? now {}",
            n % 10
        );
        let t = Instant::now();
        e.embed(&[&q], EmbedRole::Query).await.unwrap();
        l.push(t.elapsed());
    }
    l.sort();
    let t = Instant::now();
    let hundred = e.embed(&refs[..100], EmbedRole::Passage).await.unwrap();
    let h = t.elapsed();
    println!(
        "{}x{} budget {}: open {:?}, {:.0} texts/s, single p50 {:.2?} p95 {:.2?}, 100 in {:?}, rss {:?} {}",
        a[0],
        a[1],
        a[2],
        open,
        refs.len() as f64 / d.as_secs_f64(),
        l[30],
        l[56],
        h,
        rss(),
        hundred.len()
    );
    if a.len() > 3 {
        // query latency under import
        let mut l = vec![];
        let import = e.embed(&refs, EmbedRole::Passage);
        let mut import = std::pin::pin!(import);
        let mut done = false;
        let mut n = 0;
        while !done {
            n += 1;
            let q = format!("What did the miller say about the flood? {n}");
            let t = Instant::now();
            let qq = [q.as_str()];
            let query = e.embed(&qq, EmbedRole::Query);
            let mut query = std::pin::pin!(query);
            tokio::select! { biased; _ = &mut query => {}, _ = &mut import => { done = true; } }
            l.push(t.elapsed());
            if !done {
                tokio::select! { _ = tokio::time::sleep(std::time::Duration::from_millis(50)) => {}, _ = &mut import => {done = true;} }
            }
        }
        l.sort();
        println!(
            "  under import: {} queries p50 {:?} p95 {:?} max {:?}",
            l.len(),
            l[l.len() / 2],
            l[l.len() * 95 / 100],
            l.last().unwrap()
        );
        let long =
            "The caravan moved on through rain and mud, and nobody spoke of anything but bread. "
                .repeat(120);
        let t = Instant::now();
        let c = e.chunk(&[&long]).await.unwrap();
        println!("  chunk 10k chars: {:?} {} chunks", t.elapsed(), c[0].len());
        let longs: Vec<String> = (0..30).map(|n| format!("{n} {long}")).collect();
        let r: Vec<&str> = longs.iter().map(String::as_str).collect();
        e.embed(&r, EmbedRole::Passage).await.unwrap();
        println!("  rss {:?}", rss());
    }
}
