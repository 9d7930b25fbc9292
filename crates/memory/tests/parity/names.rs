//! Names in questions, in the languages of the world: both paths lift what their bearers
//! took part in.

use std::sync::Arc;

use memory::store::Store;
use memory::{ByteSize, MemoryBatchItem, MemoryId, MemoryKind, RecallPath, RecallRequest};

use crate::system;

/// A participant, a question, whether it names them.
const NAMES: [(&str, &str, bool); 22] = [
    ("田中", "田中说了什么", true),
    ("田中", "山本说了什么", false),
    ("タナカ", "たなかさんは何と言った", true),
    ("민수", "민수씨는 뭐라고 했지?", true),
    ("สมชาย", "สมชายพูดอะไร", true),
    ("Анна", "Что сказали Анне?", true),
    ("Анна Петрова", "Где живёт брат Анны Петровой?", true),
    ("Пётр", "Где живёт Петров?", false),
    ("Γιώργος", "Τι είπαν στον Γιώργο;", true),
    ("أحمد", "ماذا قالوا لأحمد؟", true),
    ("דוד", "מה אמרו לדוד?", true),
    ("Ayşe", "Ayşe'nin kedisi nerede?", true),
    ("Liisa", "Mitä Liisalle tapahtui ja missä?", true),
    ("Anna", "Mi van Annának és hol?", true),
    ("Anna", "Wo ist Annas Hund?", true),
    ("José", "what did Jose say?", true),
    ("O'Brien", "Where is O’Brien?", true),
    ("Anna Smith", "anna smith's dog", true),
    ("Anna Smith", "the dog of Smith Anna", false),
    ("Will", "What did Will say?", true),
    ("Will", "What will Tam say?", false),
    ("May", "May I ask what Tam said?", false),
];

async fn both_paths_lift_names(store: Arc<dyn Store>) {
    let (scanned, pushed) = (
        system(&store, ByteSize::mebibytes(256)).await,
        system(&store, ByteSize(0)).await,
    );
    for (name, question, expected) in NAMES {
        let entity = format!("mira-{}", MemoryId::new());
        // Each has a word of the question, as the store looks for words and meaning.
        let items = ["participant", "other"].map(|role| {
            let text = format!("{question} {role}");
            let item = MemoryBatchItem::new(&*entity, MemoryKind::Experience, text);
            if role == "participant" {
                item.with_entity(name, "speaker")
            } else {
                item
            }
        });
        scanned.retain_batch(items).await.unwrap();
        for (system, path) in [
            (&scanned, RecallPath::Snapshot),
            (&pushed, RecallPath::Store),
        ] {
            let request = RecallRequest::from(question);
            let hits = system.recall(&*entity, request).await.unwrap();
            assert_eq!(hits.len(), 2, "{name} {question}");
            for hit in hits {
                assert_eq!(hit.explanation.path, path);
                let is_participant = !hit.memory.entities.is_empty();
                assert_eq!(
                    hit.explanation.mentioned,
                    expected && is_participant,
                    "{name} {question} {path:?}"
                );
            }
        }
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn on_sqlite() {
    both_paths_lift_names(crate::sqlite().await).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn on_postgres() {
    both_paths_lift_names(crate::postgres().await).await;
}
