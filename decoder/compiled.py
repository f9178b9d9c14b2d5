"""A network's layers compiled for the fixed shapes of recorded passes: what stands between products becomes one kernel
each. Attention stays the engine's own (`decoder.attention`).

Layers are alike, so that one is compiled for all, in seconds. What was compiled is kept in a folder that all processes
of a machine share, one of which compiles while the others wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from encoders.checkpoints.home import exclusive, interlace_home

_SHAPES = 64  # of passes that one process may compile for: engines of other numbers of sequences bring their own


def layers_of(model: nn.Module, count: int) -> list[nn.Module]:
    """The model's layers, in order. Raises `RuntimeError` when there is no list of so many."""
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return list(module)
    raise RuntimeError(f"{type(model).__name__} has no list of its {count} layers")


def compiled(function: Callable[..., Any], backend: str) -> Callable[..., Any]:
    """The function, compiled for each shape that it is called with."""
    # Nothing that changes in which order a sum is taken is chosen by timing; products stay with cuBLAS.
    options = {"deterministic": True} if backend == "inductor" else None
    made: Callable[..., Any] = torch.compile(function, fullgraph=True, dynamic=False, backend=backend, options=options)
    return made


@contextmanager
def compiling(layers: list[nn.Module], backend: str = "inductor") -> Iterator[None]:
    """Layers are compiled at their first call for each shape, within the block and after it; when it raises they are as
    they were."""
    import torch._dynamo
    import torch._inductor.config

    _share_folder()
    limits: Any = torch._dynamo.config.patch(recompile_limit=_SHAPES, accumulated_recompile_limit=4 * _SHAPES)
    # In this process: a pool of processes to compile a dozen kernels takes longer to start than they do.
    threads: Any = torch._inductor.config.patch(compile_threads=1)
    try:
        for layer in layers:
            layer.forward = compiled(layer.forward, backend)
        with exclusive(None, "compiling"), limits, threads:
            yield
    except BaseException:
        for layer in layers:
            vars(layer).pop("forward", None)
        raise


def _share_folder() -> None:
    """Have kernels kept beside the checkpoints, unless the environment names another place."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    folder = interlace_home() / "compiled"
    os.environ.setdefault("TRITON_CACHE_DIR", str(folder / "triton"))
    if os.environ.get("TORCHINDUCTOR_CACHE_DIR", default_cache_dir()) == default_cache_dir():  # set when it is imported
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
