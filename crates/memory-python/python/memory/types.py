"""Types of arguments, for annotations."""

from typing import Literal, Union
from uuid import UUID

__all__ = ["AnyId", "Links", "MemoryKind", "Precision", "RankingName", "Scope", "TagMode"]

AnyId = Union[UUID, str]
"""The id of a memory, or its text."""
Links = Union[dict[UUID, str], dict[str, str], dict[AnyId, str]]
"""Links to other memories, from their ids to the relations."""
MemoryKind = Literal["world", "experience", "opinion", "observation"]
"""What a memory is about, which decides how fast its importance decays."""
TagMode = Literal["any", "all", "any-strict", "all-strict"]
"""How tags are compared; the strict modes match no memory without tags."""
RankingName = Literal["default", "weighted_sum"]
"""How hits are ordered."""
Precision = Literal["full", "int8"]
"""The precision of the model."""
Scope = Union[Literal["live", "archived"], AnyId]
"""What is listed: live or archived memories, or the sources of this summary."""
