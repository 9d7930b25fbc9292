//! Questions in the languages of the world: both paths find the answer by its words, and
//! give the words the same values.

use std::sync::Arc;

use memory::store::Store;
use memory::{
    ByteSize, MemoryBatchItem, MemoryId, MemoryKind, RecallHit, RecallPath, RecallRequest,
};

use crate::system;

/// A language, a question in it, and memories: the first is the answer, and has the
/// question's words in other forms or other surroundings.
type Conversation = (&'static str, &'static str, [&'static str; 5]);

const CONVERSATIONS: [Conversation; 14] = [
    (
        "English",
        "Who isn't allergic to cats?",
        [
            "Tam doesn't have an allergy to any cat.",
            "Edda sold the lame horse at the market.",
            "The bridge by the mill was repaired in winter.",
            "Joss dreamt of a red cart.",
            "The ferry was late again.",
        ],
    ),
    (
        "German",
        "Wo sind die alten Häuser?",
        [
            "Ein altes Haus und die Mühle stehen am Fluss.",
            "Der Hund schläft in der Küche.",
            "Meine Schwester wohnt in Bremen.",
            "Wir haben gestern das Brot gebacken.",
            "Der Zug war wieder zu spät.",
        ],
    ),
    (
        "French",
        "Où sont les chevaux de mon frère?",
        [
            "Le cheval et les chevaux du frère mangent de l'herbe.",
            "Ma sœur habite à Lyon avec son mari.",
            "Nous avons réparé le pont en hiver.",
            "Le train était en retard.",
            "Elle a perdu sa clé.",
        ],
    ),
    (
        "Spanish",
        "¿Dónde están las canciones de la abuela?",
        [
            "La canción de mi abuela está en el libro verde.",
            "El perro duerme en casa.",
            "Mi hermano no vive en Madrid.",
            "El tren llegó tarde.",
            "Compramos pan en el mercado.",
        ],
    ),
    (
        "Turkish",
        "Kapılar nerede açık?",
        [
            "Evin kapısı ve bir kapı daha açık.",
            "Kardeşim Ankara'da oturuyor.",
            "Tren yine geç geldi.",
            "Dün ekmek pişirdik.",
            "Köpek mutfakta uyuyor.",
        ],
    ),
    (
        "Finnish",
        "Missä koirani on?",
        [
            "Koira on keittiössä ja nukkuu.",
            "Sisareni asuu Turussa.",
            "Juna oli taas myöhässä.",
            "Leivoimme eilen leipää.",
            "Silta korjattiin talvella.",
        ],
    ),
    (
        "Russian",
        "Где мои собаки?",
        [
            "Собака спит на кухне.",
            "Моя сестра живёт в Казани.",
            "Поезд снова опоздал.",
            "Вчера мы пекли хлеб.",
            "Мост починили зимой.",
        ],
    ),
    (
        "Greek",
        "Που είναι ο ΣΚΥΛΟΣ;",
        [
            "Ο σκύλος κοιμάται στην κουζίνα.",
            "Η αδελφή μου μένει στην Πάτρα.",
            "Το τρένο άργησε πάλι.",
            "Χθες ψήσαμε ψωμί.",
            "Η γέφυρα επισκευάστηκε τον χειμώνα.",
        ],
    ),
    (
        "Arabic",
        "أين كتاب محمد؟",
        [
            "الكتاب الذي اشتراه مُحَمَّد على الطاولة",
            "أختي تسكن في القاهرة",
            "تأخر القطار مرة أخرى",
            "خبزنا الخبز أمس",
            "أصلحوا الجسر في الشتاء",
        ],
    ),
    (
        "Hebrew",
        "איפה הכלבים?",
        [
            "כלבים ישנים במטבח",
            "אחותי גרה בחיפה",
            "הרכבת איחרה שוב",
            "אתמול אפינו לחם",
            "הגשר תוקן בחורף",
        ],
    ),
    (
        "Chinese",
        "上海怎么样？",
        [
            "我姐姐搬到了上海。",
            "他在海上看日出。",
            "火车又晚点了。",
            "昨天我们烤了面包。",
            "那座桥是冬天修好的。",
        ],
    ),
    (
        "Japanese",
        "猫は何を食べた？",
        [
            "うちの猫は魚を食べる。",
            "姉は大阪に住んでいます。",
            "電車がまた遅れた。",
            "昨日パンを焼いた。",
            "橋は冬に直された。",
        ],
    ),
    (
        "Korean",
        "서울은 누가 갔어?",
        [
            "민수가 서울에서 친구를 만났어요.",
            "누나는 부산에 살아요.",
            "기차가 또 늦었어요.",
            "어제 빵을 구웠어요.",
            "다리는 겨울에 고쳤어요.",
        ],
    ),
    (
        "Thai",
        "โรงเรียนอยู่ที่ไหน",
        [
            "เขาเดินไปโรงเรียนทุกวัน",
            "พี่สาวของฉันชอบแมว",
            "รถไฟมาสายอีกแล้ว",
            "เมื่อวานเราอบขนมปัง",
            "สะพานซ่อมเสร็จในฤดูหนาว",
        ],
    ),
];

async fn both_paths_find_the_same_words(store: Arc<dyn Store>) {
    let (scanned, pushed) = (
        system(&store, ByteSize::mebibytes(256)).await,
        system(&store, ByteSize(0)).await,
    );
    for (language, question, memories) in CONVERSATIONS {
        let entity = format!("{language}-{}", MemoryId::new());
        let items =
            memories.map(|text| MemoryBatchItem::new(&*entity, MemoryKind::Experience, text));
        scanned.retain_batch(items).await.unwrap();
        let request = RecallRequest::from(question);
        let snapshot = scanned.recall(&*entity, request.clone()).await.unwrap();
        let found = pushed.recall(&*entity, request).await.unwrap();
        assert_eq!(snapshot.len(), memories.len(), "{language}");
        for hit in &snapshot {
            let other = found.iter().find(|it| it.memory.id == hit.memory.id);
            let other = other.unwrap();
            let (a, b) = (&hit.explanation, &other.explanation);
            assert_eq!(
                (a.path, b.path),
                (RecallPath::Snapshot, RecallPath::Store),
                "{language}"
            );
            let differences = [
                a.lexical - b.lexical,
                a.lexical_stats.mean - b.lexical_stats.mean,
                a.lexical_stats.deviation - b.lexical_stats.deviation,
                a.pairs - b.pairs,
                a.pair_stats.mean - b.pair_stats.mean,
            ];
            let are_alike = differences.iter().all(|it| it.abs() < 1e-3);
            assert!(are_alike, "{language}: {hit:#?} {other:#?}");
        }
        // Hashed words know no inflection, so what ranks first does not matter here.
        let lexical = |hit: &&RecallHit| hit.explanation.lexical;
        let best = snapshot
            .iter()
            .max_by(|a, b| lexical(a).total_cmp(&lexical(b)));
        let best = best.unwrap();
        assert_eq!(best.memory.content, memories[0], "{language}");
        assert!(best.explanation.lexical > 0.0, "{language}: by its words");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn on_sqlite() {
    both_paths_find_the_same_words(crate::sqlite().await).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn on_postgres() {
    both_paths_find_the_same_words(crate::postgres().await).await;
}
