//! Databases with lexemes that the server made, before migration 0006.

use std::future::Future;
use std::time::{Duration, Instant};

use memory_core::{EntityId, Language, MemoryFilter, MemoryPatch, SearchRequest, Store};
use memory_pg::{PgOptions, PgStore};
use memory_testkit::{SeededRng, fixtures};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::{connect, run, with_database};

const MIGRATIONS: [&str; 5] = [
    include_str!("../../migrations/0001_memory.sql"),
    include_str!("../../migrations/0002_archive.sql"),
    include_str!("../../migrations/0003_approximate.sql"),
    include_str!("../../migrations/0004_tombstones.sql"),
    include_str!("../../migrations/0005_episodes.sql"),
];

/// Memories of each kind of content.
const SIZE: usize = 900;

/// Rows as the program before migration 0006 wrote them.
const OLD_ROWS: &str = r"
    INSERT INTO memory (entity_id, memory_id, kind, content, timestamp, importance, decay_rate,
            metadata, related, tags, version, word_count)
        SELECT c.entity_id, gen_random_uuid(), 'world', c.content, now(), 0.5, 0.1, '{}', '{}',
            '{}', 1, cardinality(regexp_split_to_array(c.content, '\W+'))
        FROM (SELECT 'mira' AS entity_id, CASE n % 3
                WHEN 0 THEN 'the lanterns burn and burn ' || n
                WHEN 1 THEN '我住在上海 ' || n
                ELSE 'a naïve saddle by the Straße ' || n END AS content
            FROM generate_series(1, 2700) n
            UNION ALL SELECT 'tam', 'a lantern of Tam ' || n FROM generate_series(1, 5) n) c;
    INSERT INTO entity (entity_id, generation, memory_count, word_count)
        SELECT m.entity_id, 1, count(*), sum(m.word_count) FROM memory m GROUP BY m.entity_id;";

const LEFT: &str = "SELECT count(*) FROM memory WHERE analysis < 7";

async fn old_database(url: &str) -> PgConnection {
    let mut connection = connect(url).await;
    for migration in MIGRATIONS {
        run(&mut connection, migration).await;
    }
    run(&mut connection, OLD_ROWS).await;
    connection
}

async fn count(connection: &mut PgConnection, query: &str) -> usize {
    let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(query.to_owned()));
    let count = query.fetch_one(connection).await.unwrap();
    usize::try_from(count).unwrap()
}

/// How many memories a word finds.
async fn found(store: &PgStore, entity: &str, word: &str) -> usize {
    let mut request = SearchRequest::new(MemoryFilter::new(), 1_000);
    request.lexical = Some(word.to_owned());
    let entity = EntityId::from(entity);
    let outcome = store.search(&entity, &request).await.unwrap();
    outcome.candidates.len()
}

/// Repeats a check until nothing is left to convert.
async fn until_converted<Check>(connection: &mut PgConnection, check: impl Fn() -> Check)
where
    Check: Future<Output = ()>,
{
    let start = Instant::now();
    while count(connection, LEFT).await > 0 {
        check().await;
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "it is not converted"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The words of every entity are those of its live memories, and all lexemes are those
/// that an insert of the same content makes.
async fn assert_as_inserted(connection: &mut PgConnection) {
    let wrong_counts = "SELECT count(*) FROM entity e WHERE e.word_count <> \
         (SELECT coalesce(sum(m.word_count), 0) FROM memory m \
          WHERE m.entity_id = e.entity_id AND m.archived_by IS NULL)";
    assert_eq!(count(connection, wrong_counts).await, 0);
    let pairs = "FROM memory a JOIN memory b ON b.entity_id = 'new' AND b.content = a.content \
         WHERE a.entity_id <> 'new'";
    let compared = count(connection, &format!("SELECT count(*) {pairs}")).await;
    assert_eq!(compared, 6);
    let different = format!(
        "SELECT count(*) {pairs} AND (a.lexemes, a.word_count, a.analysis) \
         IS DISTINCT FROM (b.lexemes, b.word_count, b.analysis)"
    );
    assert_eq!(count(connection, &different).await, 0);
}

async fn insert(store: &PgStore, entity: &str, contents: &[&str]) {
    let (entity, mut rng) = (EntityId::from(entity), SeededRng::new(7));
    let memory = |content: &&str| fixtures::plain(&entity, *content, &mut rng);
    let batch: Vec<_> = contents.iter().map(memory).collect();
    store.insert(&batch).await.unwrap();
}

/// A process is killed in the middle of it, and two others go on, while there are reads
/// and writes.
#[tokio::test(flavor = "multi_thread")]
async fn older_lexemes_are_converted_while_reads_go_on() {
    with_database(|url| async move {
        let mut connection = old_database(&url).await;
        let killed = url.clone();
        let kill = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let mut connection = connect(&killed).await;
                let _store = PgStore::connect(&killed).await.unwrap();
                let all = count(&mut connection, "SELECT count(*) FROM memory").await;
                while count(&mut connection, LEFT).await == all {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
            // Tasks end where they are, and connections with them.
            runtime.shutdown_background();
        });
        kill.await.unwrap();
        let left = count(&mut connection, LEFT).await;
        assert!(0 < left && left < 3 * SIZE, "{left} are left");

        let store = PgStore::connect(&url).await.unwrap();
        let other = PgStore::connect(&url).await.unwrap();
        let mira = EntityId::from("mira");
        insert(&store, "mira", &["a lantern of now"]).await;
        until_converted(&mut connection, || async {
            assert_eq!(found(&store, "mira", "lantern").await, SIZE + 1);
            assert_eq!(found(&store, "mira", "naïve").await, SIZE);
            // All of them when they are converted.
            assert!(found(&other, "mira", "上海").await <= SIZE);
            assert_eq!(found(&other, "tam", "lanterns").await, 5);
        })
        .await;
        for (word, expected) in [
            ("lantern", SIZE + 1),
            ("naive", SIZE),
            ("strasse", SIZE),
            ("上海", SIZE),
            ("海上", 0),
        ] {
            assert_eq!(found(&store, "mira", word).await, expected, "{word}");
        }
        let contents = [
            "the lanterns burn and burn 3",
            "我住在上海 1",
            "a naïve saddle by the Straße 2",
            "the lanterns burn and burn 2700",
            "a lantern of Tam 1",
            "a lantern of Tam 5",
        ];
        insert(&store, "new", &contents).await;
        assert_as_inserted(&mut connection).await;
        let stats = store.entity_stats(&mira).await.unwrap();
        assert_eq!(stats.generation.0, 2, "converting is no change");
        for store in [store, other] {
            store.close().await.unwrap();
        }
    })
    .await;
}

/// A row without lexemes: an older program that is still running inserts such, and
/// those of a distributed table lose them.
#[tokio::test(flavor = "multi_thread")]
async fn memories_without_lexemes_are_found_and_can_be_changed() {
    with_database(|url| async move {
        let store = PgStore::connect(&url).await.unwrap();
        insert(&store, "mira", &["a lantern", "a saddle"]).await;
        let mut connection = connect(&url).await;
        run(
            &mut connection,
            "UPDATE memory SET lexemes = NULL, analysis = 0, word_count = 3",
        )
        .await;
        run(&mut connection, "UPDATE entity SET word_count = 6").await;
        assert_eq!(found(&store, "mira", "lanterns").await, 1);
        let mira = EntityId::from("mira");
        let mut request = SearchRequest::new(MemoryFilter::new(), 10);
        request.lexical = Some("saddle".to_owned());
        let outcome = store.search(&mira, &request).await.unwrap();
        let terms = outcome.terms.unwrap();
        assert_eq!((terms.memories, terms.mean_length), (2, None));
        let id = outcome.candidates[0].memory.id;
        let patch = MemoryPatch::new().content("two candles");
        let embedding = fixtures::embedding(1, &mut SeededRng::new(1));
        store
            .update(&mira, &id, &patch, Some(&embedding))
            .await
            .unwrap();
        assert_eq!(found(&store, "mira", "saddle").await, 0);
        assert_eq!(found(&store, "mira", "candle").await, 1);
        assert_eq!(count(&mut connection, LEFT).await, 1);

        let other = PgStore::connect(&url).await.unwrap();
        until_converted(&mut connection, || async {
            assert_eq!(found(&other, "mira", "lanterns").await, 1);
        })
        .await;
        let contents = ["a lantern", "two candles", "1", "2", "3", "4"];
        insert(&store, "new", &contents).await;
        insert(&store, "tam", &contents[2..]).await;
        assert_as_inserted(&mut connection).await;
    })
    .await;
}

/// Version 4 took "won" for a part of "won't".
#[tokio::test(flavor = "multi_thread")]
async fn memories_of_the_version_before_are_found_until_they_are_converted_and_after() {
    with_database(|url| async move {
        let store = PgStore::connect(&url).await.unwrap();
        let contents = ["Tam won the race", "I won't race"];
        insert(&store, "mira", &contents).await;
        let mut connection = connect(&url).await;
        let as_before = "UPDATE memory SET lexemes = ts_delete(lexemes, 'won'), analysis = 4, \
             word_count = CASE WHEN content LIKE '% won %' THEN 2 ELSE word_count END";
        run(&mut connection, as_before).await;
        run(&mut connection, "UPDATE entity SET word_count = 4").await;
        assert_eq!(count(&mut connection, LEFT).await, 2);
        assert_eq!(found(&store, "mira", "who won the race?").await, 2);
        assert_eq!(found(&store, "mira", "who won?").await, 0);

        let other = PgStore::connect(&url).await.unwrap();
        until_converted(&mut connection, || async {
            assert_eq!(found(&other, "mira", "races").await, 2);
        })
        .await;
        assert_eq!(found(&store, "mira", "who won?").await, 1);
        // As docs/languages.md says of a language that is set later.
        insert(&store, "tam", &["Katzen füttern"]).await;
        let options = || PgOptions::new().language(Some(Language::German));
        let german = options().connect(&url).await.unwrap();
        assert_eq!(found(&german, "tam", "Katze").await, 0);
        let mark = "UPDATE memory SET analysis = 4 WHERE entity_id = 'tam'";
        run(&mut connection, mark).await;
        let german = options().connect(&url).await.unwrap();
        until_converted(&mut connection, || async {
            assert_eq!(found(&german, "tam", "Katzen").await, 1);
        })
        .await;
        assert_eq!(found(&german, "tam", "Katze").await, 1);

        insert(&store, "new", &contents).await;
        let different = "SELECT count(*) FROM memory a JOIN memory b USING (content) \
             WHERE (a.lexemes, a.word_count, a.analysis) \
             IS DISTINCT FROM (b.lexemes, b.word_count, b.analysis)";
        assert_eq!(count(&mut connection, different).await, 0);
    })
    .await;
}

/// Of the longest query, each of whose words is another.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_terms_are_searched_for() {
    with_database(|url| async move {
        let store = PgStore::connect(&url).await.unwrap();
        insert(&store, "mira", &["我住在上海", "a lantern"]).await;
        let ideographs = ('\u{4e00}'..).take(9_995).collect::<String>();
        let query = format!("{ideographs} 上海");
        assert_eq!(found(&store, "mira", &query).await, 1);
    })
    .await;
}
