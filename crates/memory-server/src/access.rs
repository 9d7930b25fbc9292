//! Checks the token of a request.

use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use memory::{EntityId, MemorySystem};
use serde::Deserialize;

use crate::problem::Problem;
use crate::server::ServerState;
use crate::tokens::{Access, TokenScope};

/// The entity of a request whose token allows to read it or, if `WRITES`, to change it.
pub(crate) struct Entity<const WRITES: bool> {
    pub(crate) id: EntityId,
    pub(crate) memory: MemorySystem,
}

/// The entity of a request that reads.
pub(crate) type Reads = Entity<false>;

/// The entity of a request that writes.
pub(crate) type Writes = Entity<true>;

/// A request for the entities that its token may read: those whose names start with
/// `prefix`.
pub(crate) struct Everyone {
    pub(crate) memory: MemorySystem,
    pub(crate) prefix: String,
}

#[derive(Deserialize)]
struct EntityPath {
    entity: String,
}

impl<const WRITES: bool> FromRequestParts<ServerState> for Entity<WRITES> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &ServerState) -> Result<Self, Problem> {
        // First who asks: without a token nothing else is said.
        let scope = scope(parts, server)?;
        let path = Path::<EntityPath>::from_request_parts(parts, server).await;
        let Path(EntityPath { entity }) =
            path.map_err(|_| Problem::invalid_input("the path is not valid UTF-8"))?;
        let needed = if WRITES { Access::Write } else { Access::Read };
        if !scope.allows(&entity, needed) {
            // The same answer for entities that exist and for those that do not.
            return Err(forbidden());
        }
        Ok(Self {
            id: entity.into(),
            memory: server.memory.clone(),
        })
    }
}

impl FromRequestParts<ServerState> for Everyone {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &ServerState) -> Result<Self, Problem> {
        let scope = scope(parts, server)?;
        Ok(Self {
            memory: server.memory.clone(),
            prefix: scope.entities,
        })
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
    let scope = scope(&parts, &server)?;
    parts.extensions.insert(scope);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// What the token of a request allows; counts the request against the token's rate.
fn scope(parts: &Parts, server: &ServerState) -> Result<TokenScope, Problem> {
    let (id, scope) = match &server.tokens {
        None => ("", TokenScope::everything()),
        Some(tokens) => bearer(&parts.headers)
            .and_then(|token| tokens.scope_of(token))
            .ok_or_else(unauthorized)?,
    };
    if let Some(limit) = &server.rate_limit {
        limit.check(id)?;
    }
    Ok(scope)
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

fn forbidden() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        "Not allowed with this token",
        "the token does not allow this operation on this entity",
    )
}
