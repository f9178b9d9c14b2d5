"""The Debian packages of `make system` are those that the code asks for."""

from __future__ import annotations

import subprocess
from pathlib import Path

from encoders.ocr.tesseract import DEBIAN_PACKAGES

SCRIPT = Path(__file__).resolve().parents[2] / "cluster" / "system.sh"


def test_system_installs_every_language_that_the_reader_names() -> None:
    listing = SCRIPT.read_text().split("missing=()")[0] + '\nprintf "%s\\n" "${packages[@]}"'
    names = subprocess.run(["bash", "-c", listing], capture_output=True, text=True, check=True).stdout.split()
    assert set(DEBIAN_PACKAGES) <= set(names)


def test_nothing_is_missing_after_setting_up() -> None:
    result = subprocess.run(["bash", str(SCRIPT)], capture_output=True, text=True, check=True)
    assert result.stdout == ""
