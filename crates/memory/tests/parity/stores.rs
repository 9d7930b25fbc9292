//! The same words, in ten languages, whichever store has them: SQLite and PostgreSQL find
//! the same memories with the same scores, and a recall finds first what a snapshot does,
//! and nearly the same ten.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use memory::store::{EmbeddedMemory, SearchOutcome, SearchRequest, Store};
use memory::{
    AccessCounting, ByteSize, EntityId, MemoryBatchItem, MemoryConfig, MemoryFilter, MemoryId,
    MemoryKind, MemorySystem, RecallPath,
};
use memory_testkit::{HashEmbedder, SeededRng, fixtures};

use crate::sqlite;

/// Memories in each language.
const MEMORIES: usize = 30;

/// A language: the parts of its sentences in their order, what is between them, and
/// questions, which have other forms of the words.
struct Language {
    code: &'static str,
    parts: [&'static [&'static str]; 4],
    separator: &'static str,
    questions: [&'static str; 3],
}

static LANGUAGES: [Language; 10] = [
    Language {
        code: "en",
        parts: [
            &["Tam", "Edda", "the miller", "my sister"],
            &["sold", "mended", "lost"],
            &[
                "the lame horses",
                "a red cart",
                "seven loaves",
                "the choir book",
            ],
            &["at the market", "by the river", "in the chapel"],
        ],
        separator: " ",
        questions: [
            "Who sold a lame horse?",
            "What was lost by the rivers?",
            "Which books are in the chapel?",
        ],
    },
    Language {
        code: "de",
        parts: [
            &["Anna", "der Müller", "meine Schwester", "ein Fremder"],
            &["verkaufte", "reparierte", "verlor"],
            &[
                "die lahmen Pferde",
                "einen roten Wagen",
                "sieben Brote",
                "das Liederbuch",
            ],
            &["auf dem Markt", "am Fluss", "in der Straße"],
        ],
        separator: " ",
        questions: [
            "Wer hat das lahme Pferd auf den Märkten verkauft?",
            "Was hat der Mueller oder der Müller am Fluß repariert?",
            "Welches Brot war in der STRASSE?",
        ],
    },
    Language {
        code: "fr",
        parts: [
            &["Claire", "le meunier", "ma sœur", "un étranger"],
            &["a vendu", "a réparé", "a perdu"],
            &[
                "les chevaux boiteux",
                "une charrette rouge",
                "sept pains",
                "la clé de fer",
            ],
            &["au marché", "près de la rivière", "dans la chapelle"],
        ],
        separator: " ",
        questions: [
            "Qui a vendu un cheval boiteux ?",
            "Où sont les clés de l'etranger ?",
            "Que fait la sœur dans les chapelles ?",
        ],
    },
    Language {
        code: "tr",
        parts: [
            &["Ayşe", "değirmenci", "kız kardeşim", "bir yabancı"],
            &[
                "topal atları",
                "kırmızı arabayı",
                "yedi ekmeği",
                "demir anahtarı",
            ],
            &["pazarda", "İstanbul'da", "kilisede"],
            &["sattı", "onardı", "kaybetti"],
        ],
        separator: " ",
        questions: [
            "Topal atı kim sattı?",
            "Demir anahtarlar nerede?",
            "ISTANBUL'DA ne var?",
        ],
    },
    Language {
        code: "ru",
        parts: [
            &["Анна", "мельник", "моя сестра", "чужой человек"],
            &["купила", "чинил", "потеряла"],
            &[
                "хромых лошадей",
                "красную телегу",
                "семь хлебов",
                "железный ключ",
            ],
            &["на рынке", "у реки", "в часовне"],
        ],
        separator: " ",
        questions: [
            "Кто купил хромую лошадь?",
            "Где железные ключи?",
            "Что потеряли на реке?",
        ],
    },
    Language {
        code: "ar",
        parts: [
            &["سارة", "الطحان", "أختي", "رجل غريب"],
            &["باعت", "أصلح", "فقدت"],
            &["الخيول العرجاء", "عربة حمراء", "سبعة أرغفة", "مفتاح الحديد"],
            &["في السوق", "عند النهر", "في الكنيسة"],
        ],
        separator: " ",
        questions: ["من باع الخيول؟", "أين المفتاح؟", "ماذا في سوقنا والنهر؟"],
    },
    Language {
        code: "zh",
        parts: [
            &["田中", "磨坊主", "我的妹妹", "陌生人"],
            &["卖了", "修了", "丢了"],
            &["跛脚的马", "红色的车", "七块面包", "铁钥匙"],
            &["在上海的市场", "在河边", "在教堂里"],
        ],
        separator: "",
        questions: ["谁卖了马?", "铁钥匙在哪里?", "上海发生了什么?"],
    },
    Language {
        code: "ja",
        parts: [
            &["田中さんが", "粉屋が", "妹が", "見知らぬ人が"],
            &["市場で", "川のそばで", "東京の教会で"],
            &["足の悪い馬を", "赤い車を", "七つのパンを", "鉄の鍵を"],
            &["売った", "直した", "失った"],
        ],
        separator: "",
        questions: ["誰が馬を売る?", "鉄の鍵はどこ?", "東京で何があった?"],
    },
    Language {
        code: "ko",
        parts: [
            &["민수가", "방앗간 주인이", "내 여동생이", "낯선 사람이"],
            &["서울에서", "강가에서", "교회에서"],
            &["절름발이 말을", "빨간 수레를", "빵 일곱 개를", "쇠 열쇠를"],
            &["팔았다", "고쳤다", "잃어버렸다"],
        ],
        separator: " ",
        questions: ["서울 열쇠", "민수의 말은?", "교회의 빨간 수레"],
    },
    Language {
        code: "th",
        parts: [
            &["สมชาย", "คนโม่แป้ง", "น้องสาวของฉัน", "คนแปลกหน้า"],
            &["ขาย", "ซ่อม", "ทำหาย"],
            &["ม้าขาเป๋", "รถสีแดง", "ขนมปังเจ็ดก้อน", "กุญแจเหล็ก"],
            &["ที่ตลาด", "ริมแม่น้ำ", "ในโบสถ์"],
        ],
        separator: "",
        questions: ["ใครขายม้า", "กุญแจเหล็กอยู่ที่ไหน", "รถสีแดงในตลาด"],
    },
];

/// Different sentences in a language.
fn sentences(language: &Language) -> Vec<String> {
    let sizes = language.parts.map(<[&str]>::len);
    let combinations: usize = sizes.iter().product();
    // A step without a common factor reaches each combination once.
    let sentence = |number: usize| {
        let mut rest = number * 37 % combinations;
        let parts = language.parts.map(|part| {
            let chosen = part[rest % part.len()];
            rest /= part.len();
            chosen
        });
        parts.join(language.separator)
    };
    (0..MEMORIES).map(sentence).collect()
}

async fn search(store: &dyn Store, entity: &EntityId, question: &str) -> SearchOutcome {
    let request = SearchRequest {
        filter: MemoryFilter::new(),
        limit: MEMORIES,
        dense: None,
        lexical: Some(question.to_owned()),
        sample: 0,
    };
    store.search(entity, &request).await.unwrap()
}

fn scores(outcome: &SearchOutcome) -> BTreeMap<&str, f32> {
    let hits = outcome.candidates.iter();
    hits.map(|hit| (&*hit.memory.content, hit.lexical.unwrap()))
        .collect()
}

#[tokio::test]
async fn sqlite_and_postgres_find_the_same_words_with_the_same_scores() {
    let stores = [sqlite().await, postgres().await];
    for language in &LANGUAGES {
        let entity = EntityId::from(format!("{}-{}", language.code, MemoryId::new()));
        let mut rng = SeededRng::new(5);
        let batch: Vec<EmbeddedMemory> = sentences(language)
            .into_iter()
            .map(|content| fixtures::plain(&entity, content, &mut rng))
            .collect();
        for store in &stores {
            store.insert(&batch).await.unwrap();
        }
        for question in language.questions {
            let [embedded, server] = &stores;
            let expected = search(&**embedded, &entity, question).await;
            let got = search(&**server, &entity, question).await;
            let (expected_scores, got_scores) = (scores(&expected), scores(&got));
            assert!(!expected_scores.is_empty(), "{question}");
            assert!(
                expected_scores.keys().eq(got_scores.keys()),
                "{question}: {expected_scores:#?} {got_scores:#?}"
            );
            for (content, expected) in &expected_scores {
                let difference = (expected - got_scores[content]).abs();
                assert!(difference < 1e-5, "{question}: {content}, {difference}");
            }
            let (expected_terms, got_terms) = (expected.terms.unwrap(), got.terms.unwrap());
            assert_eq!(expected_terms.memories, got_terms.memories);
            let mean = expected_terms.mean_length.unwrap();
            let difference = (mean - got_terms.mean_length.unwrap()).abs();
            assert!(difference < 1e-9, "{question}: {difference}");
            let mut counts = expected_terms.counts;
            counts.retain(|_, count| *count > 0);
            assert_eq!(counts, got_terms.counts, "{question}");
        }
    }
}

#[tokio::test]
async fn recall_ranks_alike_from_a_snapshot_sqlite_and_postgres() {
    let entity = format!("mira-{}", MemoryId::new());
    let embedded = sqlite().await;
    let snapshot = uncounting_system(&embedded, ByteSize::mebibytes(256)).await;
    let pushed = uncounting_system(&embedded, ByteSize(0)).await;
    let server = uncounting_system(&postgres().await, ByteSize(0)).await;
    for system in [&snapshot, &server] {
        system.retain_batch(items(&entity)).await.unwrap();
    }
    crate::load_snapshot(&snapshot, &entity).await;
    let (mut alike, mut asked) = (0, 0);
    for question in LANGUAGES.iter().flat_map(|language| language.questions) {
        let expected = recall(&snapshot, &entity, question, RecallPath::Snapshot).await;
        assert_eq!(expected.len(), 10, "{question}");
        for (name, system) in [("SQLite", &pushed), ("PostgreSQL", &server)] {
            let got = recall(system, &entity, question, RecallPath::Store).await;
            assert_eq!(got[0], expected[0], "{name}: {question}");
            alike += got.iter().filter(|it| expected.contains(it)).count();
            asked += expected.len();
        }
    }
    // A snapshot has other roundings, which decide between scores that are nearly equal.
    println!("{alike} of {asked} alike");
    assert!(alike * 100 >= asked * 98, "{alike} of {asked} alike");
}

/// Without access counts: those of one system's recalls would change what the next one
/// ranks.
async fn uncounting_system(
    store: &Arc<dyn Store>,
    entity_cache_max_bytes: ByteSize,
) -> MemorySystem {
    let config = MemoryConfig {
        entity_cache_max_bytes,
        access_counting: AccessCounting::Off,
        ..MemoryConfig::default()
    };
    MemorySystem::builder()
        .store(Arc::clone(store))
        .embedder(Arc::new(HashEmbedder::new()))
        .config(config)
        .build()
        .await
        .unwrap()
}

/// All sentences in all languages, none of them at the time or with the importance of
/// another.
fn items(entity: &str) -> Vec<MemoryBatchItem> {
    let mut rng = SeededRng::new(9);
    let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let contents = LANGUAGES.iter().flat_map(sentences);
    contents
        .zip(0..)
        .map(|(content, number)| {
            MemoryBatchItem::new(entity, MemoryKind::Experience, content)
                .with_timestamp(start + TimeDelta::hours(number))
                .with_importance(rng.unit())
        })
        .collect()
}

/// The contents found, best first.
async fn recall(
    system: &MemorySystem,
    entity: &str,
    question: &str,
    path: RecallPath,
) -> Vec<String> {
    let hits = system.recall(entity, question).await.unwrap();
    assert!(hits.iter().all(|hit| hit.explanation.path == path));
    hits.iter().map(|hit| hit.memory.content.clone()).collect()
}

/// In single precision, in which the other store has its vectors.
async fn postgres() -> Arc<dyn Store> {
    let options = memory::postgres::PgOptions::new();
    let options = options.precision(memory::postgres::Precision::Single);
    Arc::new(options.connect(&crate::postgres_url()).await.unwrap())
}
