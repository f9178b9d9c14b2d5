"""Run the letters encoder over FOLDER/in into FOLDER/out in a process of its own, for tests that end it."""

import os
import sys
from pathlib import Path

from rich.console import Console

from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import load_settings
from tests.pipelines.letters import LETTERS
from tests.pipelines.letters.config import LettersConfig

folder, gpus = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
cluster = {"cluster.num_cpus": 2, "cluster.num_gpus": gpus, "cluster.object_store_gib": 0.3}
settings = load_settings(None, cluster, {}).settings
run = Run(settings, [str(folder / "in")], str(folder / "out"), Progress(Console()), {"ocr": LETTERS})
run.configs = {"ocr": LettersConfig(calls=folder / "calls", seconds=0.3)}
outcome = run.execute()
sys.stdout.flush()
os._exit(130 if outcome.interrupted else 0 if outcome.ledger.balanced else 1)
