"""What is on this machine, and whether it is what it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from encoders.checkpoints.lock import Lock, Variant, load_lock
from encoders.checkpoints.pull import SHIPPED_ADVICE, damage, split_name, variant_folder


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """One variant of one default checkpoint."""

    role: str
    variant: str
    default: bool  # the variant that the role takes when none is asked for
    present: bool
    folder: Path
    size: int | None  # bytes on disk, None while absent
    parameters: int
    licence: str
    upstream: str
    carriers: tuple[str, ...]  # name==version of the packages that it comes in; none where Interlace ships it
    conversion: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A file that is not the one in the lock file."""

    path: str
    expected: str
    found: str  # a sha256, or "missing"


@dataclass(frozen=True, slots=True)
class VerifyRow:
    """What `verify` found for one variant: status is ok, absent or damaged."""

    role: str
    variant: str
    status: str
    folder: Path
    damaged: tuple[DamagedFile, ...] = ()
    shipped: bool = False

    @property
    def advice(self) -> str:
        """What the user can do about it; empty when all is well."""
        if self.status == "ok":
            return ""
        if self.shipped:
            return SHIPPED_ADVICE
        return f"mend it with: interlace models pull {self.role}:{self.variant}"


def list_checkpoints(*, home: Path | None = None, lock: Lock | None = None) -> list[CheckpointRow]:
    """Every variant of every default checkpoint, in the order of the lock file; reads names and sizes only."""
    lock = lock or load_lock()
    rows = []
    for role, checkpoint in lock.checkpoints.items():
        for name, variant in checkpoint.variants.items():
            folder = variant_folder(role, name, variant, home)
            origin = checkpoint.variants[variant.base] if variant.base else variant
            carriers = dict.fromkeys(f"{s.carrier}=={lock.carriers[s.carrier].version}" for s in origin.sources)
            present = folder.is_dir()
            rows.append(
                CheckpointRow(
                    role=role,
                    variant=name,
                    default=name == checkpoint.default,
                    present=present,
                    folder=folder,
                    size=_size(folder, variant) if present else None,
                    parameters=checkpoint.parameters,
                    licence=checkpoint.licence,
                    upstream=checkpoint.upstream,
                    carriers=tuple(carriers),
                    conversion=variant.conversion,
                    digest=variant.digest,
                )
            )
    return rows


def verify(
    names: Sequence[str] | None = None, *, home: Path | None = None, lock: Lock | None = None
) -> list[VerifyRow]:
    """Hash every file of the named checkpoints (all, when None) and compare with the lock file."""
    lock = lock or load_lock()
    if names is None:
        chosen = [(role, name) for role, checkpoint in lock.checkpoints.items() for name in checkpoint.variants]
    else:
        chosen = [split_name(name, lock) for name in names]
    rows = []
    for role, name in chosen:
        variant = lock.checkpoints[role].variants[name]
        folder = variant_folder(role, name, variant, home)
        damaged = tuple(DamagedFile(*entry) for entry in damage(folder, variant)) if folder.is_dir() else ()
        status = "damaged" if damaged else "ok" if folder.is_dir() else "absent"
        rows.append(VerifyRow(role, name, status, folder, damaged, shipped=bool(variant.shipped)))
    return rows


def _size(folder: Path, variant: Variant) -> int:
    return sum((folder / path).stat().st_size for path in variant.files if (folder / path).is_file())
