"""Run the letters encoder over FOLDER/in into FOLDER/out in a process of its own, for tests that end it."""

import os
import sys
from pathlib import Path

from rich.console import Console

from tests.pipelines.letters.run import letters_run

gpus = int(sys.argv[2]) if len(sys.argv) > 2 else 0
outcome = letters_run(Path(sys.argv[1]), Console(), gpus).execute()
sys.stdout.flush()
os._exit(130 if outcome.interrupted else 0 if outcome.ledger.balanced else 1)
