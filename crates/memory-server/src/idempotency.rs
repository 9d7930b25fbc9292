//! Idempotency keys: a request that is sent again writes nothing again.

use axum::http::HeaderMap;
use memory::{EntityId, ErrorKind, MemoryError, MemoryId};
use uuid::Uuid;

use crate::problem::Problem;
use crate::time_limit::Repeat;

/// The header by which a client repeats a write safely.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// The namespace of ids that are derived from idempotency keys (UUID version 5). It
/// must never change, because a repeated request would then be another one.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6d6f_7279_5f73_6572_7665_725f_6b65);

/// The ids that a request's idempotency key gives to memories without an id: the same
/// request again writes nothing again, as long as the memories are there with their contents.
pub(crate) struct KeyedIds {
    entity: EntityId,
    key: Option<String>,
}

impl KeyedIds {
    /// Reads the key of a request for `entity`.
    pub(crate) fn new(headers: &HeaderMap, entity: &EntityId) -> Result<Self, Problem> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let first = values.next();
        if values.next().is_some() {
            return Err(Problem::invalid_input(
                "a request has one Idempotency-Key; leave the others out",
            ));
        }
        let key = match first.map(|value| value.to_str()) {
            None => None,
            Some(Ok(key)) if (1..=MAX_KEY_BYTES).contains(&key.len()) => Some(key.to_owned()),
            Some(_) => {
                return Err(Problem::invalid_input(format!(
                    "Idempotency-Key must be 1 to {MAX_KEY_BYTES} visible ASCII characters"
                )));
            }
        };
        let entity = entity.clone();
        Ok(Self { entity, key })
    }

    /// The problem of new memories; where an id of the key belongs to another memory, it says
    /// so, and where sending the same request again would store memories twice.
    pub(crate) fn explain(&self, error: MemoryError, repeat: Repeat) -> Problem {
        let is_unknown = error.kind() == ErrorKind::OutcomeUnknown;
        let is_of_key = match &error {
            MemoryError::Conflict { id, .. } => id.as_uuid().get_version_num() == 5,
            _ => false,
        };
        let problem = Problem::from(error);
        if is_unknown && repeat == Repeat::StoresAgain {
            return problem.retryable(false).with_advice(
                "`ids` has those of this request, one for each memory, in their order: send each \
                 memory again with its `id`, which is stored once; without it, it may be stored \
                 twice",
            );
        }
        match is_of_key && self.key.is_some() {
            true => problem.with_advice(
                "where the id is that of the Idempotency-Key, the key was used before, for another \
                 memory, or for this one and its content was changed since: read that memory \
                 before you send another key, with which this content is stored as a new memory",
            ),
            false => problem,
        }
    }

    /// The id of the memory at this index, or on this line, of the request; `None`
    /// without a key.
    pub(crate) fn id(&self, index: usize) -> Option<MemoryId> {
        let name = format!("{}\0{}\0{index}", self.entity, self.key.as_ref()?);
        Some(Uuid::new_v5(&KEY_NAMESPACE, name.as_bytes()).into())
    }
}
