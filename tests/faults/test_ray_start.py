"""A Ray of our own whose daemon does not come up, as on a machine that is far too busy."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own: the tests' may have a Ray already.
START = """
import os, signal, threading, time
import psutil
from cluster.pools import ClusterConfig
from cluster.session import ray_session

def daemons():
    return [child for child in psutil.Process().children() if child.name() == "raylet"]

def stop_the_first():
    while not (found := daemons()):
        time.sleep(0.001)
    os.kill(found[0].pid, signal.SIGSTOP)

threading.Thread(target=stop_the_first, daemon=True).start()
with ray_session(ClusterConfig(num_cpus=1, object_store_gib=0.1), lambda line: print(line, flush=True)) as resources:
    import ray
    print(ray.get(ray.remote(lambda: "works").remote()), resources.cpus, len(daemons()))
print(len(daemons()))
"""


@pytest.mark.full  # Ray waits 30 s for its daemon, which no setting shortens
def test_a_daemon_that_does_not_come_up_is_ended_and_started_again() -> None:
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=False)
    expected = ["Ray's daemon did not come up within 30 s: starting it again", "works 1.0 1", "0"]
    assert done.stdout.splitlines() == expected, done.stderr
