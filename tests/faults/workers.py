"""A driver in a process of its own that runs what it is told, one run after another over one Ray.

``python -m tests.faults.workers``: one JSON object a line on stdin (source, out, settings, config), one on stdout.
Ray starts here, so that its workers know of the fault points of the test; it starts once, because that takes longest.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from encoders.fault_points import VARIABLE
from tests.faults.arming import Faults

CPUS = 4


class Driver:
    """The test's side. `begin` a run, do harm, and ask for its `result`."""

    def __init__(self, faults: Faults, **environment: str) -> None:
        self.faults = faults
        variables = {**os.environ, VARIABLE: str(faults.folder), **environment}
        variables.pop("RAY_ADDRESS", None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=variables,
            text=True,
        )

    def begin(
        self,
        source: Path | str,
        out: Path | str,
        settings: dict[str, Any] | None = None,
        *,
        real: bool = False,
        **config: Any,
    ) -> None:
        """Run with two pools that open everything and read nothing, configured so; or with the real encoders."""
        assert self._process.stdin is not None
        task = {"source": str(source), "out": str(out), "settings": settings or {}, "real": real, "config": config}
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """ledger, categories, notes and seconds of the run."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the driver ended"
        return json.loads(line)  # type: ignore[no-any-return]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def main() -> None:
    from cluster.pools import ClusterConfig
    from cluster.session import ray_session

    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray tells of dead workers on stdout
    with ray_session(ClusterConfig(num_cpus=CPUS, object_store_gib=0.3)):
        for line in sys.stdin:
            print(json.dumps(_run(**json.loads(line))), file=results, flush=True)
    os._exit(0)  # see pipelines.cli.main


def _run(source: str, out: str, settings: dict[str, Any], real: bool, config: dict[str, Any]) -> dict[str, Any]:
    from pipelines.progress import Progress
    from pipelines.run import Run
    from pipelines.settings import load_settings
    from tests.faults.openings import PAGES, SOUNDS
    from tests.faults.openings.config import OpeningsConfig

    fixed: dict[str, Any] = {"cluster.num_cpus": CPUS}
    if not real:  # batches of a second or so, so that there are several for every actor
        fixed |= {"cluster.batch_seconds": 2, "cluster.actors.ocr": 2, "cluster.actors.speech_to_text": 2}
    loaded = load_settings(None, {**fixed, **settings}, {}).settings
    told = io.StringIO()
    entries = None if real else {"ocr": PAGES, "speech_to_text": SOUNDS}
    run = Run(loaded, [source], out, Progress(Console(file=told, width=400)), entries)
    if not real:
        run.configs = {task: OpeningsConfig(**config) for task in run.configs}
    outcome = run.execute()
    return {
        "balanced": outcome.ledger.balanced,
        "categories": dict(outcome.ledger.categories),
        "notes": told.getvalue(),
        "seconds": outcome.seconds,
    }


if __name__ == "__main__":
    main()
