"""Run the letters encoder on a running cluster: python -m tests.hosts.drive SOURCE OUT FOLDER SECONDS [SETTING=VALUE].

It takes so many seconds over a file, and notes in FOLDER what it was called with.
"""

import os
import sys
from pathlib import Path

from rich.console import Console

from pipelines.progress import Progress
from pipelines.run import Run
from pipelines.settings import load_settings
from tests.pipelines.letters import LETTERS
from tests.pipelines.letters.config import LettersConfig

source, out, folder, seconds = sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])
settings = load_settings(None, dict(pair.split("=") for pair in sys.argv[5:]), {}).settings
run = Run(settings, [source], out, Progress(Console(width=200)), {"ocr": LETTERS}, wait=True)
run.configs = {"ocr": LettersConfig(calls=folder / "calls", seconds=seconds)}
outcome = run.execute()
sys.stdout.flush()
os._exit(130 if outcome.interrupted else 0 if outcome.ledger.balanced else 1)
