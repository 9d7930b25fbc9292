//! Candidates by pairs of adjacent words, see [`PairPostings`].
//!
//! The statement of a search tells which memories contain which words of the query's
//! pairs. The texts to read are chosen here, and two more statements read them and the
//! memories that were found by them: of those that nobody wrote since the search, so that
//! all are of its state.

use std::collections::{BTreeSet, HashSet};

use memory_core::{
    EntityId, Generation, MemoryId, MemoryResult, SearchHit, SearchOutcome, SearchRequest,
};
use memory_text::{PairPostings, TextsWithPairs, WordPair, indexed_pairs};
use sqlx::postgres::{PgRow, PgValue};
use sqlx::{Row, Value, ValueRef};
use uuid::Uuid;

use crate::connections::blocking::{decode_rows, run_blocking};
use crate::connections::connection::Scope;
use crate::connections::database::{Database, ReadTarget};
use crate::error::Failure;
use crate::rows::sql::SqlBuilder;
use crate::rows::{self, MemoryRow};
use crate::search::dense;
use crate::search::lexical::LexicalQuery;
use crate::search::{OPERATION, StatementOutcome};

/// In an entity with fewer memories, the other retrievers find most of them.
const MIN_MEMORIES: u32 = 2_048;

/// Maximum number of bits of a memory. A question that needs more, of some two hundred
/// different words or more, is searched for a part of its pairs.
const MAX_MARKS: usize = 256;

/// Texts that are in memory at a time: some hundred kilobytes of short ones, at most 40 MB.
const TEXTS_AT_ONCE: usize = 1_024;

/// About the most records of a search, up to 56 MB: of more, some are chosen by a hash of
/// their ids. The server cannot have a value of more than 1 GB.
const MAX_RECORDS: u32 = 1_000_000;

/// The column of [`PairWords::column`].
const COLUMN: &str = "with_pair_words";

/// The bytes of a record before its bits: an id, a score, and the number of bits.
const RECORD_HEAD: usize = 16 + 4 + 4;

/// The words of a query that are in its pairs. A memory that contains some has a string of
/// bits: one for each word, and one more where it contains a word twice that is in a pair
/// with itself.
#[derive(Debug)]
pub(crate) struct PairWords {
    /// Of the query's words, by their indices.
    pairs: Vec<(usize, usize)>,
    /// How many words the query has.
    words: usize,
    marks: Vec<Mark>,
}

/// What a bit stands for.
#[derive(Debug)]
struct Mark {
    /// The word's index in the query.
    word: usize,
    /// How often a memory contains it at least.
    count: i32,
    lexeme: String,
}

/// A memory that contains words of a pair, with its score by all words.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scored {
    id: Uuid,
    score: f32,
}

impl PairWords {
    /// Of a query's [pairs](memory_text::QueryTerms::pair_words) and of its words, in order.
    pub(crate) fn new(pairs: &[(u64, u64)], words: &[String]) -> Self {
        let digest = |&(first, second): &(usize, usize)| {
            let words = words.get(first).zip(words.get(second));
            words.map(|(first, second)| WordPair::of(first, second))
        };
        let mut chosen = indexed_pairs(pairs, words);
        // Or the alphabet would decide which of a long question are searched.
        chosen.sort_by_cached_key(digest);
        let mut marks = BTreeSet::new();
        chosen.retain(|&(first, second)| {
            let twice = (first == second).then_some((first, 2));
            let own = BTreeSet::from_iter([(first, 1), (second, 1)].into_iter().chain(twice));
            // A pair of words that others have brought needs none.
            let fits = marks.len() + own.difference(&marks).count() <= MAX_MARKS;
            if fits {
                marks.extend(own);
            }
            fits
        });
        chosen.sort_unstable();
        let mark = |(word, count): (usize, i32)| {
            let lexeme = words.get(word)?.clone();
            Some(Mark {
                word,
                count,
                lexeme,
            })
        };
        Self {
            pairs: chosen,
            words: words.len(),
            marks: marks.into_iter().filter_map(mark).collect(),
        }
    }

    /// A query for `lexeme, once, twice`: the bits of a memory that contains a word once,
    /// and more often.
    pub(crate) fn bits(&self, sql: &mut SqlBuilder) -> String {
        let lexemes: Vec<&str> = self.marks.iter().map(|mark| &*mark.lexeme).collect();
        let lexemes = sql.value(lexemes, "text[]");
        let counts: Vec<i32> = self.marks.iter().map(|mark| mark.count).collect();
        let counts = sql.value(counts, "integer[]");
        format!(
            "SELECT b.lexeme, bit_or(b.bits) FILTER (WHERE b.count = 1) AS once, \
               bit_or(b.bits) AS twice \
             FROM (SELECT u.lexeme, u.count, set_bit(repeat('0', cardinality({lexemes}))::varbit, \
                 (u.number - 1)::integer, 1) AS bits \
               FROM unnest({lexemes}, {counts}) WITH ORDINALITY AS u(lexeme, count, number)) b \
             GROUP BY b.lexeme"
        )
    }

    /// `, …` with a column [`COLUMN`] of a search's first row, which has a record of each
    /// memory that may contain a pair: its id, its score, and its bits; of not many more than
    /// [`MAX_RECORDS`]. `ls` has how many memories the entity has. `NULL` where the query has
    /// no pair.
    pub(crate) fn column(&self) -> String {
        self.column_of(MAX_RECORDS)
    }

    fn column_of(&self, max_records: u32) -> String {
        if self.pairs.is_empty() {
            return format!(", NULL::bytea AS {COLUMN}");
        }
        format!(
            ", CASE WHEN ls.memories >= {MIN_MEMORIES} AND row_number() OVER () = 1 THEN \
             (SELECT string_agg(uuid_send(l.memory_id) || float4send(l.score) \
                || bit_send(l.words), ''::bytea) \
              FROM lexical l WHERE bit_count(l.words) > 1 \
              AND (uuid_hash(l.memory_id)::bigint & 4294967295) \
                * (SELECT count(*) FROM lexical n WHERE bit_count(n.words) > 1) \
                < {max_records} * 4294967296) END AS {COLUMN}"
        )
    }

    /// The memories whose texts are to be read.
    fn select(&self, records: &[u8]) -> Vec<Scored> {
        let size = RECORD_HEAD + self.marks.len().div_ceil(8);
        // In the order of ids, which do not depend on the plan of a statement.
        let mut records: Vec<&[u8]> = records.chunks_exact(size).collect();
        records.sort_unstable();
        let mut postings = PairPostings::new(self.pairs.clone(), self.words);
        for (number, record) in (0u32..).zip(&records) {
            let bits = record.get(RECORD_HEAD..).unwrap_or_default();
            let is_set = |mark: usize| {
                let byte = bits.get(mark / 8).copied().unwrap_or(0);
                byte & (0x80 >> (mark % 8)) != 0
            };
            let mut marks = self.marks.iter().enumerate().peekable();
            while let Some((index, mark)) = marks.next() {
                let twice = marks.next_if(|(_, next)| next.word == mark.word);
                if twice.is_some_and(|(index, _)| is_set(index)) {
                    postings.add(mark.word, number, 2);
                } else if is_set(index) {
                    postings.add(mark.word, number, 1);
                }
            }
        }
        let selected = postings.select().into_iter();
        let record = |number: u32| records.get(usize::try_from(number).ok()?);
        selected
            .filter_map(|number| Scored::decode(record(number)?))
            .collect()
    }
}

/// The records of the first row of a search: as the server sent them, since there may be
/// megabytes of them.
#[derive(Default)]
pub(crate) struct PairRecords(Option<PgValue>);

impl PairRecords {
    pub(crate) fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        let value = row.try_get_raw(COLUMN)?;
        Ok(Self((!value.is_null()).then(|| ValueRef::to_owned(&value))))
    }

    fn bytes(&self) -> Result<&[u8], sqlx::Error> {
        self.0.as_ref().map_or(Ok(&[]), Value::try_decode)
    }
}

impl Scored {
    fn decode(record: &[u8]) -> Option<Self> {
        let (id, rest) = record.split_first_chunk()?;
        let (score, _) = rest.split_first_chunk()?;
        Some(Self {
            id: Uuid::from_bytes(*id),
            score: f32::from_be_bytes(*score),
        })
    }
}

/// Adds candidates by pairs to what a search found.
pub(crate) async fn add_candidates(
    database: &Database,
    entity: &EntityId,
    request: &SearchRequest,
    query: LexicalQuery,
    found: StatementOutcome,
) -> MemoryResult<SearchOutcome> {
    let StatementOutcome {
        mut outcome,
        with_pair_words,
    } = found;
    let failed = |error: sqlx::Error| Failure::from(error).into_error(OPERATION);
    let bytes = with_pair_words.bytes().map_err(failed)?.len();
    if bytes == 0 {
        return Ok(outcome);
    }
    let known: HashSet<MemoryId> = outcome.candidates.iter().map(|hit| hit.memory.id).collect();
    let LexicalQuery {
        terms, pair_words, ..
    } = query;
    let select = move || {
        let selected = pair_words.select(with_pair_words.bytes()?).into_iter();
        let unknown = selected.filter(|it| !known.contains(&MemoryId::from(it.id)));
        Ok(unknown.collect::<Vec<Scored>>())
    };
    let scored = run_blocking(OPERATION, bytes <= 4_096, select).await?;
    let scored = scored.map_err(failed)?;
    if scored.is_empty() {
        return Ok(outcome);
    }
    let reader = Reader {
        database,
        entity,
        generation: outcome.generation,
    };
    let mut with_pairs = TextsWithPairs::new(terms);
    for some in scored.chunks(TEXTS_AT_ONCE) {
        let texts = reader.texts(some).await?;
        let read = move || {
            for row in &texts {
                with_pairs.read(row.try_get("memory_id")?, row.try_get("content")?);
            }
            Ok(with_pairs)
        };
        // A single text may be long.
        let read = run_blocking(OPERATION, false, read).await?;
        with_pairs = read.map_err(failed)?;
    }
    let rarest = with_pairs.rarest(request.limit).into_iter();
    let mut rarest: HashSet<Uuid> = rarest.collect();
    // One of the sample that contains a rare pair must not stand for others.
    for hit in &outcome.sample {
        if rarest.remove(hit.memory.id.as_uuid()) {
            outcome.candidates.push(hit.clone());
        }
    }
    let wanted = scored.into_iter().filter(|it| rarest.contains(&it.id));
    let hits = reader.hits(wanted.collect(), request).await?;
    outcome.candidates.extend(hits);
    Ok(outcome)
}

/// Reads memories as of the generation of a search.
struct Reader<'a> {
    database: &'a Database,
    entity: &'a EntityId,
    generation: Generation,
}

impl Reader<'_> {
    /// Rows with the texts.
    async fn texts(&self, wanted: &[Scored]) -> MemoryResult<Vec<PgRow>> {
        let mut sql = SqlBuilder::new();
        push_texts_statement(
            &mut sql,
            self.entity,
            self.generation,
            wanted.iter().map(|it| it.id),
        );
        self.read(sql).await
    }

    async fn hits(
        &self,
        wanted: Vec<Scored>,
        request: &SearchRequest,
    ) -> MemoryResult<Vec<SearchHit>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = SqlBuilder::new();
        push_hits_statement(&mut sql, self.entity, self.generation, &wanted, request);
        let entity = self.entity.clone();
        let decode = move |rows: &[PgRow]| {
            let hit = |row: &PgRow| {
                let memory = MemoryRow(row).memory(&entity)?;
                let memory = memory.ok_or(sqlx::Error::RowNotFound)?;
                let chunks: Option<i32> = row.try_get("chunks")?;
                Ok(SearchHit::new(memory)
                    .similarity(row.try_get("similarity")?)
                    .chunks(chunks.map(i32::cast_unsigned))
                    .lexical(row.try_get("score")?))
            };
            rows.iter().map(hit).collect()
        };
        decode_rows(OPERATION, self.read(sql).await?, decode).await
    }

    /// Runs a statement on a server that has what the search saw.
    async fn read(&self, sql: SqlBuilder) -> MemoryResult<Vec<PgRow>> {
        let entities = [self.entity];
        let target = ReadTarget {
            min_generation: self.generation,
            ..ReadTarget::new(Scope::Entities(&entities))
        };
        self.database.read_rows(OPERATION, target, sql).await
    }
}

/// The texts of memories that were live at a generation and not written since.
fn push_texts_statement(
    sql: &mut SqlBuilder,
    entity: &EntityId,
    generation: Generation,
    ids: impl Iterator<Item = Uuid>,
) {
    let entity_param = sql.value(entity.as_str(), "text");
    let generation = sql.value(rows::signed(generation.0), "bigint");
    let ids = sql.value(ids.collect::<Vec<Uuid>>(), "uuid[]");
    sql.push(format!(
        "SELECT t.memory_id, t.content FROM unnest({ids}) AS u(memory_id) CROSS JOIN LATERAL (\
           SELECT m.memory_id, m.content, m.version, m.archived_by FROM memory m \
           WHERE m.entity_id = {entity_param} AND m.memory_id = u.memory_id OFFSET 0) t \
         WHERE t.version <= {generation} AND t.archived_by IS NULL"
    ));
}

/// As [`push_texts_statement`], with everything that a hit has.
fn push_hits_statement(
    sql: &mut SqlBuilder,
    entity: &EntityId,
    generation: Generation,
    wanted: &[Scored],
    request: &SearchRequest,
) {
    let entity_param = sql.value(entity.as_str(), "text");
    let generation = sql.value(rows::signed(generation.0), "bigint");
    let ids: Vec<Uuid> = wanted.iter().map(|it| it.id).collect();
    let ids = sql.value(ids, "uuid[]");
    let scores: Vec<f32> = wanted.iter().map(|it| it.score).collect();
    let scores = sql.value(scores, "real[]");
    sql.push(format!(
        "WITH wanted AS MATERIALIZED (SELECT u.memory_id, u.score \
           FROM unnest({ids}, {scores}) AS u(memory_id, score)), "
    ));
    match &request.dense {
        Some(query) => dense::push_retriever_of(sql, &entity_param, query, "wanted"),
        None => dense::push_nothing(sql),
    }
    sql.push(format!(
        " SELECT {}, d.similarity, d.chunks, w.score FROM wanted w \
         CROSS JOIN LATERAL ({}) m LEFT JOIN dense d ON d.memory_id = w.memory_id \
         WHERE m.version <= {generation} AND m.archived_by IS NULL",
        MemoryRow::COLUMNS_BY_ID,
        MemoryRow::by_id(&entity_param, "w.memory_id"),
    ));
}

#[cfg(test)]
mod tests {
    use memory_text::QueryTerms;
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::search::query_plan_tests::support::{self, connect};

    fn pair_words(text: &str) -> PairWords {
        let terms = QueryTerms::new(text, None, false);
        let mut words = terms.stems().to_vec();
        words.sort_unstable();
        PairWords::new(terms.pair_words(), &words)
    }

    /// As the server sends it.
    fn record(id: u128, bits: &[u8]) -> Vec<u8> {
        let id = id.to_be_bytes();
        let score = 1.5f32.to_be_bytes();
        [&id[..], &score, &[0; 4], bits].concat()
    }

    #[test]
    fn a_bit_stands_for_a_word_and_one_for_a_word_that_follows_itself() {
        let words = pair_words("old mill of the old old river");
        let marks: Vec<(&str, i32)> = words
            .marks
            .iter()
            .map(|mark| (&*mark.lexeme, mark.count))
            .collect();
        assert_eq!(marks, [("mill", 1), ("old", 1), ("old", 2), ("river", 1)]);
        assert!(pair_words("mill").marks.is_empty());
        assert!(pair_words("mill").column().contains("NULL"));
    }

    #[test]
    fn pairs_of_a_long_question_are_of_the_whole_alphabet() {
        let syllable =
            |digit: usize| ["bo", "co", "do", "fo", "go", "ko", "lo", "mo", "no", "po"][digit % 10];
        let word = |n: usize| [n / 100, n / 10, n].map(syllable).concat();
        let all: Vec<String> = (0..1_000).map(word).collect();
        // Each is followed by its neighbor in the alphabet, and by one that is far from it.
        let far = (0..1_000).flat_map(|index| [index, index * 7 % 1_000]);
        let text: Vec<&str> = (0..1_000).chain(far).map(|index| &*all[index]).collect();
        let terms = QueryTerms::new(&text.join(" "), None, false);
        let mut words = terms.stems().to_vec();
        words.sort_unstable();
        assert_eq!(words.len(), all.len());
        let chosen = PairWords::new(terms.pair_words(), &words);
        let marks = chosen.marks.len();
        assert!(marks > MAX_MARKS - 2 && marks <= MAX_MARKS, "{marks}");
        for quarter in 0..4 {
            let is_within = |word: usize| word / 250 == quarter;
            let within = chosen.pairs.iter().filter(|pair| is_within(pair.0)).count();
            let part = chosen.pairs.len() / 8;
            assert!(within > part, "{within} begin in quarter {quarter}");
        }
        let marked: HashSet<usize> = chosen.marks.iter().map(|mark| mark.word).collect();
        let mut possible = indexed_pairs(terms.pair_words(), &words);
        possible.retain(|(first, second)| marked.contains(first) && marked.contains(second));
        // Also of a word with itself, whose second bit may not fit any more.
        possible.retain(|pair| pair.0 != pair.1 || chosen.pairs.contains(pair));
        assert_eq!(chosen.pairs, possible);
    }

    #[test]
    fn memories_with_both_words_of_a_pair_are_selected_in_the_order_of_ids() {
        let words = pair_words("old mill of the old old river");
        let records = [
            record(9, &[0b1100_0000]), // mill, old
            record(8, &[0b1001_0000]), // mill, river: no pair
            record(3, &[0b0110_0000]), // old twice
            record(5, &[0b0101_0000]), // old, river
        ];
        let selected = words.select(&records.concat());
        let ids: Vec<u128> = selected.iter().map(|it| it.id.as_u128()).collect();
        assert_eq!(ids, [3, 5, 9]);
        assert!(
            selected
                .iter()
                .all(|it| it.score.to_bits() == 1.5f32.to_bits())
        );
        assert_eq!(words.select(&[]), []);
    }

    /// Or the server could not put them into one value.
    #[tokio::test]
    async fn records_of_a_search_are_limited() {
        let words = pair_words("old mill");
        let mut server = connect(&support::server()).await;
        let mut chosen = async |max_records| {
            let text = format!(
                "WITH lexical AS (SELECT md5(n::text)::uuid AS memory_id, n::real AS score, \
                   CASE n % 2 WHEN 0 THEN B'11' ELSE B'10' END::varbit AS words \
                   FROM generate_series(1, 10000) n) \
                 SELECT ls.memories{} FROM (SELECT 10000 AS memories) ls",
                words.column_of(max_records)
            );
            let row = sqlx::query(AssertSqlSafe(text)).fetch_one(&mut server);
            let records = PairRecords::of(&row.await.unwrap()).unwrap();
            let records = records.bytes().unwrap().chunks_exact(RECORD_HEAD + 1);
            records.map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        let all = chosen(MAX_RECORDS).await;
        assert_eq!(all.len(), 5_000);
        assert_eq!(chosen(5_000).await, all);
        let some = chosen(1_000).await;
        assert!((900..1_100).contains(&some.len()), "{}", some.len());
        assert_eq!(chosen(1_000).await, some);
        assert!(some.iter().all(|record| all.contains(record)));
    }
}
