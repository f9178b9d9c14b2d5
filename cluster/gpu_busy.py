"""How busy an actor's GPU is, as its driver counts: the share of time in which any kernel ran on it."""

from __future__ import annotations

import threading
from typing import Any

EVERY = 1.0  # seconds; the driver itself looks at between a sixth of a second and one


class GpuMeter:
    """Samples in the background. Other actors on the same card count too: it is the card that is busy."""

    def __init__(self, handle: Any, nvml: Any) -> None:
        self._handle, self._nvml = handle, nvml
        self._samples: list[float] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._sample, name="gpu busy", daemon=True).start()

    @classmethod
    def of(cls, device: str) -> GpuMeter | None:
        """The meter of this actor's card; None on a CPU, or where the driver's library does not answer."""
        if not device.startswith("cuda"):
            return None
        import ray
        from ray._private.thirdparty import pynvml  # Ray's own metrics read it; it comes with every Ray

        mine = ray.get_gpu_ids()
        try:
            pynvml.nvmlInit()
            name = str(mine[0]) if mine else "0"
            by_uuid = name.startswith("GPU-")
            handle = pynvml.nvmlDeviceGetHandleByUUID(name) if by_uuid else pynvml.nvmlDeviceGetHandleByIndex(int(name))
        except (pynvml.NVMLError, ValueError):
            return None
        return cls(handle, pynvml)

    def take(self) -> float | None:
        """The mean since the last call, 0 to 1; None when nothing was sampled."""
        with self._lock:
            samples, self._samples = self._samples, []
        return sum(samples) / len(samples) if samples else None

    def _sample(self) -> None:
        pause = threading.Event()
        while not pause.wait(EVERY):
            try:
                value = self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu / 100
            except self._nvml.NVMLError:
                return
            with self._lock:
                self._samples.append(value)
