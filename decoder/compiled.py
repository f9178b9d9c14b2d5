"""A network's layers compiled for the fixed shapes of recorded passes: what stands between products becomes one kernel
each. Attention stays the engine's own (`decoder.attention`).

Layers are alike, so that one is compiled for all, in seconds. What was compiled is kept in a folder that all processes
of a machine share, one of which compiles while the others wait for it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from encoders.checkpoints.home import exclusive, interlace_home

_log = logging.getLogger(__name__)
_LONG = 60.0  # seconds after which a start says what it waits for; on an H100 a first compiling takes about 14
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

    limits: Any = torch._dynamo.config.patch(recompile_limit=_SHAPES, accumulated_recompile_limit=4 * _SHAPES)
    # In this process: a pool of processes to compile a dozen kernels takes longer to start than they do.
    threads: Any = torch._inductor.config.patch(compile_threads=1)
    told = "compiling the decoder's layers, or waiting for a process that does; decoder.compile_passes=false: without"
    late = threading.Timer(_LONG, _log.warning, [told])
    late.daemon = True
    late.start()
    try:
        for layer in layers:
            layer.forward = compiled(layer.forward, backend)
        with _kept(), limits, threads:
            yield
    except BaseException:
        for layer in layers:
            vars(layer).pop("forward", None)
        raise
    finally:
        late.cancel()


@contextmanager
def _kept() -> Iterator[None]:
    """Have kernels kept beside the checkpoints, unless the environment names another place, and one process of the
    machine compile at a time; where nothing can be written there, each compiles for itself."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    folder = interlace_home() / "compiled"
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(None, "compiling"))
            folder.mkdir(exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
            warnings.warn(f"the decoder's compiled layers are not kept for the next start: {error}", stacklevel=2)
        else:
            os.environ.setdefault("TRITON_CACHE_DIR", str(folder / "triton"))
            usual = default_cache_dir()  # what the environment names once inductor is imported
            if os.environ.get("TORCHINDUCTOR_CACHE_DIR", usual) == usual:
                os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
        yield
