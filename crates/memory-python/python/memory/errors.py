"""Exceptions: one class for each kind of failure, all derived from `MemorySystemError`.

The messages contain ids, counts and limits, never the content of a memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

__all__ = [
    "ArchivedError",
    "ChangedError",
    "ClosedError",
    "ConfigurationError",
    "ConflictError",
    "CorruptError",
    "ForeignDataError",
    "FullError",
    "InvalidInputError",
    "LimitReachedError",
    "MemorySystemError",
    "MissingError",
    "NewerSchemaError",
    "NotFoundError",
    "OutcomeUnknownError",
    "ReadOnlyError",
    "UnavailableError",
    "UnsupportedError",
]


class MemorySystemError(Exception):
    """An operation failed. The kinds that have no class of their own are `other`."""

    kind: str = "other"
    """The name of the kind, such as `not_found`."""
    is_retryable: bool = False
    """Whether the same call may succeed later."""
    operation: str | None = None
    """What was being done, where the error knows it."""
    item: int | None = None
    """Which item of a batch is refused, counted from 0."""
    ids: tuple[UUID, ...] = ()
    """After an unknown outcome of a retain, the ids to repeat it with, in order."""


class InvalidInputError(MemorySystemError, ValueError):
    """The input is outside the limits. Nothing was written."""


class NotFoundError(MemorySystemError, LookupError):
    """This entity has no such memory."""


class ConflictError(MemorySystemError):
    """The id is taken by other content. Nothing was written."""


class ArchivedError(MemorySystemError):
    """The memory is archived under a summary."""


class ChangedError(MemorySystemError):
    """The memory changed since it was read."""


class LimitReachedError(MemorySystemError):
    """The entity has as many memories as its limit allows."""


class UnsupportedError(MemorySystemError):
    """The backend does not offer this."""


class UnavailableError(MemorySystemError):
    """Busy, locked, out of connections or timed out: nothing happened."""


class OutcomeUnknownError(MemorySystemError):
    """The connection broke during a commit: the write may have happened."""


class FullError(MemorySystemError):
    """No space is left on the disk."""


class ReadOnlyError(MemorySystemError):
    """The store is read-only."""


class ForeignDataError(MemorySystemError):
    """The file or database belongs to another program. It was not changed."""


class NewerSchemaError(MemorySystemError):
    """The schema is newer than this version knows. It was not changed."""


class CorruptError(MemorySystemError):
    """What was read back is damaged."""


class MissingError(MemorySystemError):
    """A runtime library, a model or a database is missing."""


class ClosedError(MemorySystemError):
    """The system was closed."""


class ConfigurationError(MemorySystemError, ValueError):
    """The configuration cannot work."""


_CLASSES: dict[str, type[MemorySystemError]] = {
    "invalid_input": InvalidInputError,
    "not_found": NotFoundError,
    "conflict": ConflictError,
    "archived": ArchivedError,
    "changed": ChangedError,
    "limit_reached": LimitReachedError,
    "unsupported": UnsupportedError,
    "unavailable": UnavailableError,
    "outcome_unknown": OutcomeUnknownError,
    "full": FullError,
    "read_only": ReadOnlyError,
    "foreign_data": ForeignDataError,
    "newer_schema": NewerSchemaError,
    "corrupt": CorruptError,
    "missing": MissingError,
    "closed": ClosedError,
    "configuration": ConfigurationError,
}


def _new(
    message: str,
    kind: str,
    is_retryable: bool,
    operation: str | None,
    item: int | None,
    ids: Sequence[UUID],
) -> MemorySystemError:
    """The exception for an error of the native module."""
    error = _CLASSES.get(kind, MemorySystemError)(message)
    error.kind = kind
    error.is_retryable = is_retryable
    error.operation = operation
    error.item = item
    error.ids = tuple(ids)
    return error
