"""A run with one more stage, and what it did to memory: for the tests of backpressure and the soak.

``python -m tests.faults.flow SOURCE OUT OBJECT_STORE_MIB CONFIG [SETTING=VALUE ...]`` prints one JSON object.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from collections import defaultdict
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

from encoders.fault_points import fault_point

MIB = 2**20


class Consumer:
    """A stage that tests hold up."""

    def __call__(self, block: pa.Table) -> pa.Table:
        fault_point("consumer")
        return block


class Residents(threading.Thread):
    """Resident memory of this process and all that it started, sampled every half second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.samples: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self._names: dict[int, str] = {}
        self.stopped = threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self.stopped.wait(0.5):
            for process in (me, *me.children(recursive=True)):
                try:
                    memory = process.memory_info()
                    self._names[process.pid] = _name(process)
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
                # Private memory: pages of the object store are Ray's, and not of all who map them.
                self.samples[process.pid].append((time.monotonic(), (memory.rss - memory.shared) / MIB))

    def report(self) -> list[dict[str, Any]]:
        """Peak MiB of every process, and its MiB per minute over the second half of its life."""
        found = []
        for pid, samples in self.samples.items():
            times, sizes = np.array(samples).T
            late = times >= (times[0] + times[-1]) / 2
            seconds = float(times[-1] - times[0])
            slope = float(np.polyfit(times[late], sizes[late], 1)[0]) * 60 if late.sum() > 10 else 0.0
            about = {"pid": pid, "name": self._names[pid], "driver": pid == os.getpid()}
            found.append(about | {"seconds": seconds, "peak": float(sizes.max()), "slope": slope})
        return found


def _name(process: psutil.Process) -> str:
    """What a process is: Ray's workers tell in their title, and it changes with what they do."""
    line = process.cmdline()
    title = line[0] if line else process.name()
    if title.startswith("ray::"):
        return title.partition(".")[0]
    modules = [word for word in line if "/" in word or "." in word][:2]
    return " ".join([process.name(), *(word.rpartition("/")[2] for word in modules)])


def main() -> None:
    import ray
    from ray._private.internal_api import get_memory_info_reply, get_state_from_address
    from rich.console import Console

    from cluster.pools import ClusterConfig
    from cluster.session import ray_session
    from pipelines.perceive import Step
    from pipelines.progress import Progress
    from pipelines.run import Run
    from pipelines.settings import load_settings
    from tests.faults.openings import PAGES
    from tests.faults.openings.config import OpeningsConfig

    source, out, store, config, *given = sys.argv[1:]

    class SlowRun(Run):
        def _steps(self, context: Any, plan: Any) -> list[Step]:
            return [Step(Consumer, {})]

    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    flags = dict(item.split("=") for item in given)
    settings = load_settings(None, {"cluster.num_cpus": 2, **{k: json.loads(v) for k, v in flags.items()}}, {}).settings
    residents = Residents()
    with ray_session(ClusterConfig(num_cpus=2, object_store_gib=int(store) / 1024)):
        run = SlowRun(settings, [source], out, Progress(Console(file=io.StringIO())), {"ocr": PAGES})
        run.configs = {"ocr": OpeningsConfig.model_validate_json(config)}
        residents.start()
        started = time.monotonic()
        outcome = run.execute()
        seconds = time.monotonic() - started
        residents.stopped.set()
        residents.join()
        store = get_memory_info_reply(get_state_from_address(ray.get_runtime_context().gcs_address)).store_stats
    told = {
        "balanced": outcome.ledger.balanced,
        "done": outcome.ledger.accounts["parts"].terms["done"],
        "seconds": seconds,
        "spilled": int(store.spilled_bytes_total),
        "processes": residents.report(),
    }
    print(json.dumps(told), file=results, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
