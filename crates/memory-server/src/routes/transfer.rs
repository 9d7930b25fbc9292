//! Moving whole entities: import and export as JSON lines.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use futures_util::stream::{self, Stream};
use memory::{ErrorKind, Memory, MemoryError};
use memory_json::{ExportReader, Line};

use crate::access::{ReadableEntity, RequestToken, WritableEntity};
use crate::etag::EntityTag;
use crate::idempotency::KeyedIds;
use crate::import::{ImportAnswer, import_lines};
use crate::import_slots::ImportSlots;
use crate::problem::{Answer, Problem};
use crate::request::check_media_type;
use crate::schema::{IdempotencyKey, IfNoneMatch, MemoryInput};
use crate::state::ServerState;
use crate::time_limit::{Effect, Repeat};
use crate::tokens::Access;

/// The media type of JSON lines.
const NDJSON: &str = "application/x-ndjson";

/// The media types of an import.
const IMPORT_TYPES: [&str; 4] = [
    NDJSON,
    "application/ndjson",
    "application/jsonl",
    "application/json",
];

/// Export an entity as JSON lines
///
/// One memory per line, live and archived, in the order and with the keys of
/// docs/jsonl.md. The memories are read page by page, as fast as the client reads them; an
/// answer that breaks off, without the end of its transfer encoding, is incomplete.
#[utoipa::path(
    get,
    path = "/v1/entities/{entity}/export",
    tag = "transfer",
    params(("entity" = String, Path, description = "The entity's name"), IfNoneMatch),
    responses(
        (status = 200, description = "Done", body = Line<'static>, content_type = "application/x-ndjson"),
        (status = 304, description = "Unchanged since the given entity tag"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn export(
    entity: ReadableEntity,
    token: RequestToken,
    headers: HeaderMap,
) -> Answer<Response> {
    let tag = EntityTag::read(&entity, &headers).await?;
    if let Some(not_modified) = tag.not_modified()? {
        return Ok(not_modified);
    }
    let owner = entity.id.clone();
    let is_allowed = move || token.check(&owner, Access::Read).is_ok();
    let mut reader = ExportReader::open(&entity.memory, entity.id).await?;
    // Before the answer begins, so that a store that cannot be read is a problem.
    let first = reader.next_page().await?;
    let body = Body::from_stream(pages(reader, first, is_allowed));
    Ok(tag.with(([(header::CONTENT_TYPE, NDJSON)], body)))
}

/// The pages as lines, as long as the client is allowed to read. A page is read when the one
/// before it was sent.
fn pages(
    reader: ExportReader,
    first: Option<Vec<Memory>>,
    is_allowed: impl Fn() -> bool,
) -> impl Stream<Item = Result<Bytes, MemoryError>> {
    let start = (reader, first, is_allowed);
    stream::try_unfold(start, |(mut reader, page, is_allowed)| async move {
        let page = match page {
            Some(page) => Some(page),
            None if is_allowed() => reader.next_page().await?,
            None => {
                let message = "the token is no longer accepted, or allows less";
                return Err(MemoryError::store(ErrorKind::Other, "export", message));
            }
        };
        Ok(page.map(|page| (lines(&page), (reader, None, is_allowed))))
    })
}

fn lines(page: &[Memory]) -> Bytes {
    let mut lines = Vec::new();
    for memory in page {
        // Writing a memory into memory does not fail.
        if serde_json::to_writer(&mut lines, &Line::from(memory)).is_ok() {
            lines.push(b'\n');
        }
    }
    lines.into()
}

/// Import JSON lines
///
/// One memory per line, as in docs/jsonl.md. Lines are read as they arrive and stored in
/// batches of 256: what was stored stays, also where a later line is refused, the
/// connection breaks, or the import fails. Sending the same lines again imports the rest
/// and nothing twice, because a line without `id` gets one that is derived from its
/// values, or from the header `Idempotency-Key` and its number.
///
/// The answer is 200 also where lines were refused; it has the first 1,000 of them.
#[utoipa::path(
    post,
    path = "/v1/entities/{entity}/import",
    tag = "transfer",
    params(("entity" = String, Path, description = "The entity's name"), IdempotencyKey),
    request_body(content = MemoryInput, content_type = "application/x-ndjson"),
    responses((status = 200, description = "Done", body = ImportAnswer), (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn import(
    entity: WritableEntity,
    token: RequestToken,
    State(server): State<ServerState>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Json<ImportAnswer>> {
    check_media_type(&headers, &IMPORT_TYPES)?;
    entity.id.validate()?;
    let keyed = KeyedIds::new(&headers, &entity.id)?;
    let _slot = ImportSlots::begin(&server.imports, &entity.token_id)?;
    let answer = import_lines(
        // A line without an id gets the same one again.
        entity.begin(Effect::Batch(Repeat::StoresNothing)),
        &entity.id,
        keyed,
        &token,
        body,
        &server.import_limits,
    );
    Ok(Json(answer.await?))
}
