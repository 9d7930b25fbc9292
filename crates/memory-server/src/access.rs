//! Checks the token of a request.

use std::future::Future;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use memory::{EntityId, MemoryError, MemoryId, MemorySystem};
use serde::Deserialize;

use crate::conditional_write::{ConditionalWrites, Precondition, refuse_preconditions};
use crate::problem::{Answer, Problem};
use crate::state::ServerState;
use crate::time_limit::{Effect, Progress};
use crate::tokens::{Access, TokenScope, Tokens};

/// The entity of a request that reads, whose token allows to read it.
pub(crate) struct ReadableEntity {
    pub(crate) id: EntityId,
    pub(crate) memory: MemorySystem,
}

/// The entity of a request that writes, whose token allows to change it. The system is only
/// within reach of [`begin`](Self::begin), so that the end of the request's time is answered
/// by what it has begun. It has no preconditions.
pub(crate) struct WritableEntity {
    pub(crate) id: EntityId,
    /// The id of the request's token; empty where the server has none.
    pub(crate) token_id: String,
    memory: MemorySystem,
    progress: Progress,
}

impl WritableEntity {
    /// Begins to write.
    pub(crate) fn begin(&self, effect: Effect) -> &MemorySystem {
        self.progress.begin(effect);
        &self.memory
    }
}

/// The entity of a request that changes one of its memories, if the request's precondition
/// holds, and whose token allows that.
pub(crate) struct ConditionalEntity {
    pub(crate) id: EntityId,
    memory: MemorySystem,
    progress: Progress,
    precondition: Option<Precondition>,
    conditional_writes: Arc<ConditionalWrites>,
}

impl ConditionalEntity {
    /// Performs a change of the memory `id`, if the request's precondition holds.
    pub(crate) async fn write<T, F>(
        &self,
        id: MemoryId,
        write: impl FnOnce(MemorySystem) -> F,
    ) -> Answer<T>
    where
        F: Future<Output = Result<T, MemoryError>>,
    {
        // When it is polled first, and not while it waits for others.
        let write = async {
            self.progress.begin(Effect::Write);
            write(self.memory.clone()).await
        };
        match &self.precondition {
            None => Ok(write.await?),
            Some(precondition) => {
                let writes = &self.conditional_writes;
                writes
                    .run(&self.memory, &self.id, id, precondition, write)
                    .await
            }
        }
    }
}

/// A request for the entities that its token may read: those whose names start with
/// `prefix`.
pub(crate) struct ReadableEntities {
    pub(crate) memory: MemorySystem,
    pub(crate) prefix: String,
}

/// A request for what concerns the whole process, whose token covers every entity: numbers
/// of the process tell something of each of them, and so does the time of an embedding, as
/// vectors are cached by text.
pub(crate) struct ProcessAccess {
    pub(crate) memory: MemorySystem,
}

#[derive(Deserialize)]
struct EntityPath {
    entity: String,
}

/// The token of a request that takes long: the file of tokens may change meanwhile.
#[derive(Clone)]
pub(crate) struct RequestToken {
    /// Nothing where the server has no tokens.
    token: Option<(Arc<Tokens>, String)>,
}

impl RequestToken {
    /// A problem where the token no longer allows this.
    pub(crate) fn check(&self, entity: &EntityId, needed: Access) -> Result<(), Problem> {
        let Some((tokens, token)) = &self.token else {
            return Ok(());
        };
        match tokens.scope_of(token) {
            None => Err(no_longer_accepted()),
            Some((_, scope)) if scope.allows(entity.as_str(), needed) => Ok(()),
            Some(_) => Err(forbidden(
                "the token no longer allows this operation on this entity; send the same request \
                 with one that does",
            )),
        }
    }
}

impl FromRequestParts<ServerState> for RequestToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &ServerState) -> Result<Self, Problem> {
        let Some(tokens) = &server.tokens else {
            return Ok(Self { token: None });
        };
        let token = bearer(&parts.headers).ok_or_else(unauthorized)?;
        let token = Some((Arc::clone(tokens), token.to_owned()));
        Ok(Self { token })
    }
}

/// A token that was accepted when its request began. Revocation is not the only cause: no token
/// is accepted while the file is malformed or cannot be read.
fn no_longer_accepted() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "No valid token",
        "the token is no longer accepted; send the same request again with a valid token. If it \
         was not revoked, the server cannot read its token file: see the server's log",
    )
}

/// The entity in the path of a request whose token allows `needed`, and the token's id.
async fn authorize_entity(
    parts: &mut Parts,
    server: &ServerState,
    needed: Access,
) -> Result<(EntityId, String), Problem> {
    // First who asks: without a token nothing else is said.
    let (token_id, scope) = token_scope(parts, server)?;
    let path = Path::<EntityPath>::from_request_parts(parts, server).await;
    let Path(EntityPath { entity }) =
        path.map_err(|_| Problem::invalid_input("the path is not valid UTF-8"))?;
    if !scope.allows(&entity, needed) {
        // The same answer for entities that exist and for those that do not.
        return Err(forbidden(
            "the token does not allow this operation on this entity",
        ));
    }
    server.query_parameters.check(parts)?;
    Ok((entity.into(), token_id))
}

impl FromRequestParts<ServerState> for ReadableEntity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &ServerState) -> Result<Self, Problem> {
        let (id, _) = authorize_entity(parts, server, Access::Read).await?;
        let memory = server.memory.clone();
        Ok(Self { id, memory })
    }
}

impl FromRequestParts<ServerState> for WritableEntity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &ServerState) -> Result<Self, Problem> {
        let (id, token_id) = authorize_entity(parts, server, Access::Write).await?;
        refuse_preconditions(&parts.headers)?;
        Ok(Self {
            id,
            token_id,
            memory: server.memory.clone(),
            progress: progress(parts),
        })
    }
}

impl FromRequestParts<ServerState> for ConditionalEntity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &ServerState) -> Result<Self, Problem> {
        let (id, _) = authorize_entity(parts, server, Access::Write).await?;
        Ok(Self {
            id,
            precondition: Precondition::of(&parts.headers, &server.memory)?,
            memory: server.memory.clone(),
            progress: progress(parts),
            conditional_writes: Arc::clone(&server.conditional_writes),
        })
    }
}

/// What the request's time limit asks when it ends.
fn progress(parts: &Parts) -> Progress {
    let progress = parts.extensions.get::<Progress>();
    progress.cloned().unwrap_or_default()
}

impl FromRequestParts<ServerState> for ReadableEntities {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &ServerState) -> Result<Self, Problem> {
        let (_, scope) = token_scope(parts, server)?;
        server.query_parameters.check(parts)?;
        Ok(Self {
            memory: server.memory.clone(),
            prefix: scope.entities,
        })
    }
}

impl FromRequestParts<ServerState> for ProcessAccess {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &ServerState) -> Result<Self, Problem> {
        let ReadableEntities { memory, prefix } =
            ReadableEntities::from_request_parts(parts, server).await?;
        match prefix.is_empty() {
            true => Ok(Self { memory }),
            false => Err(forbidden(
                "the answer tells something of all entities, and the token covers some of them only; \
                 use a token for all entities, which memory token makes without --entities",
            )),
        }
    }
}

/// Refuses a request without a valid token; passes on what the token allows as an
/// extension of the request.
pub(crate) async fn attach_scope(
    State(server): State<ServerState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let (_, scope) = token_scope(&parts, &server)?;
    parts.extensions.insert(scope);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// The id of a request's token and what it allows; counts the request against the token's
/// rate.
fn token_scope(parts: &Parts, server: &ServerState) -> Result<(String, TokenScope), Problem> {
    let (id, scope) = match &server.tokens {
        None => ("", TokenScope::everything()),
        Some(tokens) => bearer(&parts.headers)
            .and_then(|token| tokens.scope_of(token))
            .ok_or_else(unauthorized)?,
    };
    if let Some(limit) = &server.rate_limit {
        limit.check(id)?;
    }
    Ok((id.to_owned(), scope))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    // Names of schemes have no case (RFC 9110, 11.1).
    let is_bearer = scheme.eq_ignore_ascii_case("Bearer");
    is_bearer.then(|| token.trim())
}

fn unauthorized() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "No valid token",
        "the request has no valid token; send Authorization: Bearer TOKEN",
    )
}

fn forbidden(detail: &str) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        "Not allowed with this token",
        detail,
    )
}
