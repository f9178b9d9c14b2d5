"""How long the node of this process has been part of its cluster."""

from __future__ import annotations

import os
import time

import psutil


def node_age() -> tuple[str, float] | None:
    """The node's address, and the seconds since its Ray started; None where no node started this process.

    Workers are children of their node's raylet. Its own start time is taken by the same clock as now, which the head's
    record of when the node joined is not.
    """
    try:
        parent = psutil.Process(os.getppid())
        if parent.name() != "raylet":
            return None
        began = parent.create_time()
    except psutil.Error:
        return None
    import ray

    return ray.util.get_node_ip_address(), time.time() - began
