"""The demo archive, read once for all tests that look at its tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from pipelines.outcome import Outcome
from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import load_settings

ARCHIVE = Path(__file__).resolve().parents[2] / "examples" / "archive"
QUESTION = "What is the title or subject of this?"


@pytest.fixture(scope="session")
def demo(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, str]:
    """How the run over examples/archive ended, and its OUT."""
    out = str(tmp_path_factory.mktemp("demo") / "lake")
    settings = load_settings(None, {"run.prompt": QUESTION, "decoder.max_new_tokens": 24}, {}).settings
    progress = Progress(Console(file=(tmp_path_factory.mktemp("log") / "progress").open("w"), width=200))
    return Run(settings, [str(ARCHIVE)], out, progress).execute(), out
