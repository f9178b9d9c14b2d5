"""For maintainers: fetch and convert variants, and print the ``files`` that lock.toml must hold for them.

python -m encoders.checkpoints.relock ROLE[:VARIANT] ... [--into FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from encoders.checkpoints.home import file_sha256, files_under
from encoders.checkpoints.lock import PACKAGE, Lock, load_lock
from encoders.checkpoints.pull import build, split_name


def files_of(role: str, name: str, lock: Lock, into: Path) -> dict[str, str]:
    """Path -> sha256 of the variant made anew in ``into/role-variant``, whatever the lock says of its files."""
    variant = lock.checkpoints[role].variants[name]
    if variant.shipped:
        return {path: file_sha256(PACKAGE / variant.shipped / path) for path in variant.files}
    base = None
    if variant.base:
        files_of(role, variant.base, lock, into)
        base = into / f"{role}-{variant.base}"
    folder = into / f"{role}-{name}"
    folder.mkdir(parents=True)
    build(f"{role}:{name}", variant, folder, base, lock=lock, downloads=into / "downloads", tell=print)
    return {path: file_sha256(file) for path, file in files_under(folder).items()}


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", metavar="ROLE[:VARIANT]")
    parser.add_argument("--into", type=Path, help="keep the folders here")
    arguments = parser.parse_args()
    lock = load_lock()
    with tempfile.TemporaryDirectory() as scratch:
        for given in arguments.names:
            role, name = split_name(given, lock)
            into = (arguments.into or Path(scratch)) / f"{role}-{name}"
            files = files_of(role, name, lock, into)
            print(f"[checkpoints.{role}.variants.{name}.files]")
            for path, sha256 in files.items():
                print(f'"{path}" = "{sha256}"')


if __name__ == "__main__":
    _main()
