//! The defaults, end to end: SQLite in a file, the real model, moka caches.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use memory::{
    ErrorKind, ListRequest, MaintenanceRequest, ManualClock, MemoryBatchItem, MemoryConfig,
    MemoryFilter, MemoryKind, MemoryPatch, MemorySystem, MemoryTagMode, RecallRequest,
};

/// One folder and one system per test.
async fn open() -> (tempfile::TempDir, MemorySystem) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("agent.db").display());
    let memory = MemorySystem::open(&url).await.unwrap();
    (folder, memory)
}

fn item(content: &str) -> MemoryBatchItem {
    MemoryBatchItem::new("mira", MemoryKind::Experience, content)
}

#[tokio::test]
async fn replicas_are_refused_where_there_is_no_server() {
    let builder = MemorySystem::builder().url("sqlite::memory:");
    let builder = builder.embedder(memory_testkit::HashEmbedder::new());
    let refused = builder.replicas(["postgres://replica/db"]).build().await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
    assert!(refused.to_string().contains("replicas"), "{refused}");
}

/// The form of libpq, with a password before the first colon.
#[tokio::test]
async fn no_part_of_a_text_without_a_scheme_is_in_the_message() {
    let builder = MemorySystem::builder().url("host=db password=hunter2 hostaddr=::1");
    let builder = builder.embedder(memory_testkit::HashEmbedder::new());
    let refused = builder.build().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
    let message = refused.to_string();
    assert!(
        message.contains("has no scheme") && !message.contains("hunter2"),
        "{message}"
    );
}

#[tokio::test]
async fn a_number_out_of_range_is_refused_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.db");
    let builder = || {
        let builder = MemorySystem::builder().url(format!("sqlite://{}", file.display()));
        builder.embedder(memory_testkit::HashEmbedder::new())
    };
    for (builder, named) in [
        (builder().rerank_candidates(0), "rerank_candidates is 0"),
        (builder().rerank_candidates(1_001), "from 1 to 1000"),
        (builder().shared_cache_budget(Duration::ZERO), "budget"),
    ] {
        let refused = builder.build().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
        assert!(refused.to_string().contains(named), "{refused}");
    }
    assert!(!file.exists(), "nothing was opened");
}

#[cfg(feature = "onnx")]
#[tokio::test]
async fn code_turns_off_what_a_file_turned_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("memory.toml");
    let text = "db_replicas = 'postgres://replica/db'\nmodel = 'no-such-model'\n\
                previous_model = 'no-such-model'\n\
                shared_cache = 'valkey://cache.example?namespace='\n";
    std::fs::write(&file, text).unwrap();
    let builder = || {
        let builder = MemorySystem::builder().url("sqlite::memory:");
        builder.settings_file(&file)
    };
    assert!(builder().build().await.is_err());
    let memory = builder()
        .replicas([""; 0])
        .model("default")
        .previous_model("none")
        .shared_cache_url("none");
    memory.build().await.unwrap().close().await.unwrap();
    // The usual predecessor of another model.
    std::fs::write(&file, "previous_model = 'default'\n").unwrap();
    for memory in [builder(), builder().previous_model("default")] {
        memory.build().await.unwrap().close().await.unwrap();
    }
}

/// SQLite has no approximate indexes: a target for them does no harm, and maintaining them
/// is refused by name.
#[tokio::test]
async fn index_maintenance_is_refused_where_there_are_no_indexes() {
    let builder = |recall| {
        let builder = MemorySystem::builder().url("sqlite::memory:");
        let builder = builder.embedder(memory_testkit::HashEmbedder::new());
        builder.ann_target_recall(recall).build()
    };
    for recall in [0.0, 1.5, f64::NAN] {
        let refused = builder(recall).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
        assert!(refused.to_string().contains("target recall"), "{refused}");
    }
    let memory = builder(0.99).await.unwrap();
    let request = MaintenanceRequest::new().dry_run(true);
    let refused = memory.maintain_indexes(&request).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    let message = refused.to_string();
    assert!(
        message.contains("maintain_indexes") && message.contains("sqlite"),
        "{message}"
    );
    let store = memory_testkit::InMemoryStore::new();
    let builder = MemorySystem::builder().store(store).ann_target_recall(0.9);
    let refused = builder.build().await.unwrap_err();
    assert!(
        refused.to_string().contains("set it in its options"),
        "{refused}"
    );
}

/// A z-score says nothing of one memory; the relevance must.
#[tokio::test]
async fn one_memory_alone_has_an_honest_relevance() {
    let (_folder, memory) = open().await;
    memory
        .retain(
            "mira",
            MemoryKind::World,
            "The bank in Harrow lends at four percent.",
        )
        .await
        .unwrap();
    let relevance = async |question: &str| {
        let hits = memory.recall("mira", question).await.unwrap();
        assert_eq!(hits.len(), 1);
        hits[0].relevance
    };
    let asked = relevance("At what rate does the bank in Harrow lend?").await;
    let word_by_word = relevance("The bank in Harrow lends at what percent?").await;
    let unrelated = relevance("Who sings in the choir?").await;
    let in_another_language = relevance("谁在合唱团唱歌？").await;
    assert!(asked > 0.6, "{asked}");
    assert!(word_by_word > 0.8, "{word_by_word}");
    assert!(unrelated < 0.05, "{unrelated}");
    assert!(in_another_language < 0.15, "{in_another_language}");

    let request = RecallRequest::new("Who sings in the choir?").min_relevance(0.1);
    let report = memory.recall_report("mira", request).await.unwrap();
    assert!(report.hits.is_empty());
    assert_eq!(report.below_min_relevance.count, 1);
    assert_eq!(report.below_min_relevance.max_relevance, Some(unrelated));
}

#[tokio::test]
async fn a_memory_is_retained_recalled_altered_and_deleted() {
    let (_folder, memory) = open().await;
    let id = memory
        .retain(
            "mira",
            MemoryKind::Experience,
            "Tam sold me a lame horse at the spring market.",
        )
        .await
        .unwrap();
    let others = [
        "The miller's daughter sings in the choir.",
        "Rain fell for nine days.",
    ];
    memory
        .retain_batch(others.map(item).to_vec())
        .await
        .unwrap();

    let found = memory
        .recall("mira", "Who cheated me over an animal?")
        .await
        .unwrap();
    assert_eq!(found[0].memory.id, id);
    assert!(found[0].similarity > found[1].similarity);

    let patch = MemoryPatch::new().content("Tam gave the money back: the horse was only tired.");
    memory.alter_memory("mira", id, &patch).await.unwrap();
    let found = memory
        .recall("mira", "Did I ever get a refund?")
        .await
        .unwrap();
    assert_eq!(found[0].memory.id, id);
    assert!(
        memory
            .get_memory("mira", id)
            .await
            .unwrap()
            .content
            .contains("gave the money back")
    );

    assert_eq!(
        memory.get_memory("tam", id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    memory.delete_memory("mira", id).await.unwrap();
    assert_eq!(
        memory.get_memory("mira", id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        memory
            .count_memories("mira", &MemoryFilter::new())
            .await
            .unwrap(),
        2
    );
    memory.close().await.unwrap();
    let error = memory
        .count_memories("mira", &MemoryFilter::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_fact_in_the_last_sentence_of_a_long_memory_is_found() {
    let (_folder, memory) = open().await;
    let sentence =
        "The council spoke at length about the price of grain and the state of the road. ";
    let mut long = sentence.repeat(123);
    long.push_str(
        "At the very end Ondrej whispered that the silver key lies below the chapel stairs.",
    );
    assert!(
        (9_500..=10_000).contains(&long.chars().count()),
        "{}",
        long.chars().count()
    );
    let short = (0..30).map(|n| item(&format!("On day {n} the council met about the road.")));
    let id = memory.retain_batch(vec![item(&long)]).await.unwrap()[0];
    memory.retain_batch(short).await.unwrap();
    for ranking in [memory::Ranking::default(), memory::Ranking::weighted_sum()] {
        let request = RecallRequest::new("Where is the silver key hidden?")
            .ranking(ranking)
            .limit(1);
        assert_eq!(
            memory.recall("mira", request).await.unwrap()[0].memory.id,
            id
        );
    }
}

#[tokio::test]
async fn what_was_retained_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("agent.db").display());
    let day = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
    let full = item("The ferry stops at dusk.")
        .with_timestamp(day)
        .with_importance(0.7)
        .with_context("harbour")
        .with_metadata("source", "ferryman")
        .with_entity("ferryman", "speaker")
        .with_tag("ferry");
    let memory = MemorySystem::open(&url).await.unwrap();
    let id = memory.retain_batch(vec![full.clone()]).await.unwrap()[0];
    let before = memory.get_memory("mira", id).await.unwrap();
    memory.close().await.unwrap();

    let memory = MemorySystem::open(&url).await.unwrap();
    assert_eq!(memory.get_memory("mira", id).await.unwrap(), before);
    assert_eq!((before.timestamp, before.importance), (day, 0.7));
    let filter = MemoryFilter::new()
        .tags(["ferry"], MemoryTagMode::AllStrict)
        .involves("ferryman");
    let page = memory
        .list_memories("mira", &ListRequest::new(10).filter(filter))
        .await
        .unwrap();
    assert_eq!(page.memories, [(*before).clone()]);
    assert_eq!(
        memory
            .recall("mira", "until when can I cross?")
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn importance_and_recency_settle_equal_matches_by_the_injected_clock() {
    let now: DateTime<Utc> = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let memory = MemorySystem::builder()
        .url(format!(
            "sqlite://{}",
            folder.path().join("agent.db").display()
        ))
        .clock(Arc::new(ManualClock::new(now)))
        .config(MemoryConfig::low_memory())
        .build()
        .await
        .unwrap();
    let text = "The bell rang at noon.";
    let old = item(text).with_timestamp(now - TimeDelta::days(400));
    let weighty = item(text)
        .with_timestamp(now - TimeDelta::days(1))
        .with_importance(0.9);
    let ids = memory
        .retain_batch(vec![old, weighty, item("Bread is dear.")])
        .await
        .unwrap();
    let found = memory.recall("mira", "bell at noon").await.unwrap();
    let order: Vec<_> = found.iter().map(|recalled| recalled.memory.id).collect();
    assert_eq!(order, [ids[1], ids[0], ids[2]]);
    assert_eq!(found[0].explanation.now, now);
}

#[tokio::test]
async fn a_builder_that_cannot_work_says_why() {
    let neither = MemorySystem::builder().build().await.unwrap_err();
    assert_eq!(neither.kind(), ErrorKind::Configuration);
    let unknown = MemorySystem::open("redis://user:secret@somewhere")
        .await
        .unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Configuration);
    assert!(!unknown.to_string().contains("secret"), "{unknown}");
    let config = MemoryConfig {
        cache_max_capacity: 0,
        ..MemoryConfig::default()
    };
    let error = MemorySystem::builder()
        .url("sqlite::memory:")
        .config(config)
        .build()
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Configuration);
}

/// The model sees nearly the same in such memories, and their words say which is meant.
#[tokio::test]
async fn the_memory_with_the_exact_word_leads_among_few_alike() {
    let (_folder, memory) = open().await;
    let tables: [(&[&str], &str); 5] = [
        (&["上海很大", "海上很大"], "上海"),
        (&["طلب 1024 شحن", "طلب 1042 شحن"], "طلب ١٠٢٤"),
        (&["met on 2026-03-01", "met on 2026-03-10"], "2026.03.01"),
        (&["3 كتب", "4 كتب"], "٣ كتب"),
        (
            &[
                "host fe80:0:0:0:0:0:0:1",
                "host fe80:0:0:0:0:0:0:2",
                "host fe80:0:0:0:0:0:0:3",
                "host fe80:0:0:0:0:0:0:4",
                "host fe80:0:0:0:0:0:0:5",
                "host fe80:0:0:0:0:0:0:6",
                "host fe80:0:0:0:0:0:0:7",
                "host fe80:0:0:0:0:0:0:8",
            ],
            "fe80::1",
        ),
    ];
    for (contents, question) in tables {
        for is_reversed in [false, true] {
            let entity = format!("{question} {is_reversed}");
            let item =
                |content: &&str| MemoryBatchItem::new(entity.as_str(), MemoryKind::World, *content);
            let mut batch: Vec<MemoryBatchItem> = contents.iter().map(item).collect();
            if is_reversed {
                batch.reverse();
            }
            memory.retain_batch(batch).await.unwrap();
            let hits = memory.recall(&entity, question).await.unwrap();
            assert_eq!(hits[0].memory.content, contents[0], "{question}");
        }
    }
}
