"""A run of the letters encoder, slow enough to be ended on its way."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import load_settings
from tests.pipelines.letters import LETTERS
from tests.pipelines.letters.config import LettersConfig


def letters_run(folder: Path, console: Console, gpus: int = 0) -> Run:
    """From FOLDER/in into FOLDER/out."""
    cluster = {"cluster.num_cpus": 2, "cluster.num_gpus": gpus, "cluster.object_store_gib": 0.3}
    settings = load_settings(None, cluster, {}).settings
    run = Run(settings, [str(folder / "in")], str(folder / "out"), Progress(console), {"ocr": LETTERS})
    run.configs = {"ocr": LettersConfig(calls=folder / "calls", seconds=0.3)}
    return run
