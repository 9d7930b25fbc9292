//! An HNSW graph of all vectors (`hnsw_rs`) and a full-text index (tantivy), both
//! in memory, and the fusion of both lists by rank.

use async_trait::async_trait;
use hnsw_rs::anndists::dist::DistDot;
use hnsw_rs::hnsw::Hnsw;
use memory_benches::records::Record;
use memory_core::MemoryBatchItem;
use tantivy::collector::TopDocs;
use tantivy::query::QueryParser;
use tantivy::schema::{Field, INDEXED, STORED, Schema, TEXT, Value};
use tantivy::{Index, IndexReader, IndexWriter, TantivyDocument};

use super::peer::{Embedded, EmbeddedCorpus, Peer, fuse, share_found};
use super::{LIMIT, Outcome};

/// pgvector's defaults for building.
const MAX_LINKS: usize = 16;
const EF_CONSTRUCTION: usize = 64;
/// Candidates of each list; also the size of the search's candidate list, unless it is
/// widened.
const CANDIDATES: usize = 100;
/// The share by which it is widened in each step.
const STEP: usize = 4;
/// What tantivy's writer may use before it writes a segment.
const WRITER_BYTES: usize = 64 * 1024 * 1024;

pub(crate) struct HnswAndBm25 {
    graph: Hnsw<'static, f32, DistDot>,
    index: Index,
    reader: IndexReader,
    writer: IndexWriter,
    number: Field,
    content: Field,
    count: usize,
    width: usize,
}

impl HnswAndBm25 {
    pub(crate) fn new(size: usize) -> Outcome<Self> {
        let mut schema = Schema::builder();
        let number = schema.add_u64_field("number", INDEXED | STORED);
        let content = schema.add_text_field("content", TEXT | STORED);
        let index = Index::create_in_ram(schema.build());
        Ok(Self {
            graph: Hnsw::new(MAX_LINKS, size, 16, EF_CONSTRUCTION, DistDot),
            reader: index.reader()?,
            writer: index.writer_with_num_threads(1, WRITER_BYTES)?,
            index,
            number,
            content,
            count: 0,
            width: CANDIDATES,
        })
    }

    /// Measures questions with the smallest candidate list with which the graph finds at
    /// least this share of the nearest memories.
    pub(crate) async fn ask_widened(
        &mut self,
        corpus: &EmbeddedCorpus,
        share: f64,
    ) -> Outcome<Vec<Record>> {
        let mut records = Vec::new();
        while share_found(&records).is_none_or(|found| found < share) && self.width < self.count {
            self.width += self.width / STEP;
            records = corpus.ask(self).await?;
        }
        let record = Record::new(self.subject(), "search_width", self.count as u64);
        records.push(record.with("count", f64::from(u32::try_from(self.width)?)));
        self.width = CANDIDATES;
        Ok(records)
    }

    /// The numbers of the nearest memories.
    fn nearest_by_graph(&self, question: &Embedded<String>, count: usize) -> Vec<usize> {
        let found = self
            .graph
            .search(&shortened(&question.vector), count, self.width);
        found.iter().map(|neighbor| neighbor.d_id).collect()
    }
}

/// A vector slightly shorter than 1: the distance of two equal vectors must not
/// be negative after rounding.
fn shortened(vector: &[f32]) -> Vec<f32> {
    vector.iter().map(|component| component * 0.999).collect()
}

#[async_trait]
impl Peer for HnswAndBm25 {
    fn subject(&self) -> &'static str {
        if self.width == CANDIDATES {
            "HNSW + tantivy"
        } else {
            "HNSW + tantivy, widened"
        }
    }

    async fn insert(&mut self, batch: &[Embedded<MemoryBatchItem>]) -> Outcome {
        let vectors: Vec<Vec<f32>> = batch.iter().map(|m| shortened(&m.vector)).collect();
        let numbered: Vec<(&Vec<f32>, usize)> = vectors.iter().zip(self.count..).collect();
        self.graph.parallel_insert(&numbered);
        for memory in batch {
            let mut document = TantivyDocument::new();
            document.add_u64(self.number, self.count as u64);
            document.add_text(self.content, &memory.value.content);
            self.writer.add_document(document)?;
            self.count += 1;
        }
        self.writer.commit()?;
        Ok(self.reader.reload()?)
    }

    async fn search(&self, question: &Embedded<String>) -> Outcome<Vec<usize>> {
        let similar = self.nearest_by_graph(question, CANDIDATES);
        let searcher = self.reader.searcher();
        let parser = QueryParser::for_index(&self.index, vec![self.content]);
        let query = parser.parse_query(&question.value)?;
        let top = TopDocs::with_limit(CANDIDATES).order_by_score();
        let mut matching = Vec::new();
        for (_, address) in searcher.search(&query, &top)? {
            let document: TantivyDocument = searcher.doc(address)?;
            let number = document.get_first(self.number);
            let number = number.and_then(|number| number.as_u64());
            matching.push(usize::try_from(number.ok_or("a document has no number")?)?);
        }
        let mut best = fuse([similar, matching]);
        best.truncate(LIMIT);
        Ok(best)
    }

    async fn nearest(&self, question: &Embedded<String>) -> Outcome<Vec<usize>> {
        Ok(self.nearest_by_graph(question, LIMIT))
    }

    async fn remove_last(&mut self) -> Outcome<bool> {
        // The graph cannot remove.
        Ok(false)
    }

    fn size_on_disk(&self) -> Outcome<Option<u64>> {
        Ok(None)
    }
}
