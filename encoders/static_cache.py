"""Keys and values that stay in one place, and steps replayed as CUDA graphs.

A decoding step of a small network takes 20 times longer to launch than to compute (whisper-base on an H100: 7-8 ms
against 0.55 ms). With a cache of fixed shape every step is the same kernels on the same addresses, so it is recorded
once and replayed. On CPU the same code runs without graphs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


class StaticCache:
    """Keys and values of every layer for a batch of sequences that all stand at the same position.

    ``keys[layer]`` and ``values[layer]`` are [batch, heads, length, width]. What lies behind the position is stale
    and must not be looked at.
    """

    def __init__(
        self, layers: int, batch: int, heads: int, length: int, width: int, *, dtype: torch.dtype, device: torch.device
    ) -> None:
        shape = (batch, heads, length, width)
        self.keys = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)]
        self.values = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(layers)]

    def write(self, layer: int, position: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Store [batch, heads, 1, width] at ``position``, an int64 tensor of one element on the cache's device."""
        self.keys[layer].index_copy_(2, position, keys)
        self.values[layer].index_copy_(2, position, values)

    def clear(self, count: int) -> None:
        """Forget what the first ``count`` sequences held. Finite numbers that are masked count for nothing, but those
        that are not would make everything behind them so, of whoever has the place next."""
        for held in (*self.keys, *self.values):
            held[:count].zero_()


class GraphedStep:
    """Calls ``step``, which reads and writes fixed tensors only; on CUDA its kernels are recorded once and replayed.

    ``step`` must not move data to the host and not allocate what outlives it. ``reset`` is called after the warm-up
    and the recording, because both run the step for real. ``stream`` is recorded on when it is given: kernels that are
    replayed have the priority of the stream that they were recorded on, not of the one that they are replayed on. With
    ``times`` a call is so many steps: a thread that shares its interpreter has to begin fewer things then.
    """

    def __init__(
        self,
        step: Callable[[], None],
        reset: Callable[[], None],
        device: torch.device,
        stream: torch.cuda.Stream | None = None,
        times: int = 1,
    ) -> None:
        self._step, self._reset, self._device, self._stream, self._times = step, reset, device, stream, times
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """One step, or so many."""
        if self._device.type != "cuda":
            self._all()
        else:
            if self._graph is None:
                raise RuntimeError("record() comes before the first step on CUDA")
            self._graph.replay()

    def record(self) -> None:
        """Record the step, once; does nothing on CPU or when it is recorded."""
        if self._device.type != "cuda" or self._graph is not None:
            return
        stream = self._stream or torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            for _ in range(3):  # lets cuBLAS and the allocator settle
                self._step()
        torch.cuda.current_stream(self._device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads may wait for results or pin memory meanwhile (`encoders.card`).
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            self._all()
        self._graph = graph
        self._reset()

    def _all(self) -> None:
        for _ in range(self._times):
            self._step()
