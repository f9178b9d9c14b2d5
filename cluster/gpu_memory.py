"""GPU memory: what an actor needs by the lock file, what a card has, and the bound that its allocator is given."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from decoder.config import DecoderConfig
from encoders.card.budget import CONTEXT_GIB, GIB, CardShare, bound_allocator, set_card_share
from encoders.checkpoints.lock import load_lock
from encoders.failures import InterlaceError
from encoders.registry import EncoderEntry

_OWN = {"default": "detection_network"}  # names of settings for checkpoints of the lock file


@dataclass(frozen=True, slots=True)
class Need:
    """GiB of a card that one actor needs, CUDA's own share included, and where the figure is from. So many
    ``clients`` that share a process on their card need it together."""

    gib: float
    origin: str  # measured | derived | setting
    clients: int = 1


def gpu_needs(
    entries: Mapping[str, EncoderEntry],
    configs: Mapping[str, Any],
    decoder: DecoderConfig | None = None,
    declared: Mapping[str, float] | None = None,
) -> dict[str, Need]:
    """By task, with ``answer`` for the decoder. ``declared`` are figures of the user, which count before others. Tasks
    whose checkpoints are not in the lock file are left out: what they need is not known."""
    found: dict[str, Need | None] = {}
    for task, entry in entries.items():
        names = [operator.attrgetter(field)(configs[task]) for field in entry.networks]
        clients = getattr(configs[task], "card_clients", 1)
        found[task] = _together(names, getattr(configs[task], "card_gib", 0.0) if clients > 1 else 0.0, clients)
    if decoder is not None:
        caches = (decoder.kv_cache_bytes + decoder.prefix_cache_bytes) / GIB
        found["answer"] = _together([decoder.checkpoint], caches)
    needs = {task: need for task, need in found.items() if need is not None}
    for task, gib in (declared or {}).items():
        clients = getattr(configs[task], "card_clients", 1) if task in configs else 1
        needs[task] = Need(gib + CONTEXT_GIB, "setting", clients)
    return needs


def _together(names: Iterable[str], further: float = 0.0, clients: int = 1) -> Need | None:
    """Networks of one actor: what they hold adds up; of what they need while they compute the largest counts, because
    they take turns, and an allocator at its bound gives back what it kept before it fails."""
    locked = load_lock().checkpoints
    memories = [
        locked[role].gpu_memory if (role := _OWN.get(name, name)) in locked else None for name in dict.fromkeys(names)
    ]
    known = [memory for memory in memories if memory is not None]
    if not known or len(known) < len(memories):
        return None
    origins = {memory.origin for memory in known}
    total = sum(memory.held_gib for memory in known) + max(memory.pass_gib for memory in known)
    return Need(total + further + CONTEXT_GIB, "derived" if "derived" in origins else "measured", clients)


def gpu_shares(needs: Mapping[str, Need], cards: Iterable[float | None]) -> dict[str, float]:
    """Of a card, for one actor of each task; none where the memory of any card is not known. Raises InterlaceError for
    what needs more than the smallest card has."""
    sizes = list(cards)
    if not sizes or not all(sizes):
        return {}
    card = min(size for size in sizes if size)
    for task, need in needs.items():
        if need.gib > card:
            raise InterlaceError(
                f"{task} needs {need.gib:.1f} GiB of one GPU, and the smallest card has {card:.1f} GiB: choose a "
                f"smaller checkpoint, declare what it needs (cluster.gpu_gib.{task}), or serve without GPUs "
                "(cluster.num_gpus=0)"
            )
    return {task: math.ceil(1000 * need.gib / card) / 1000 for task, need in needs.items()}


def card_gib() -> float | None:
    """GiB of this machine's smallest card, by its driver; None where that does not answer. CUDA is not started."""
    try:
        from ray._private.thirdparty import pynvml  # comes with every Ray
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        sizes = [pynvml.nvmlDeviceGetMemoryInfo(handle).total / GIB for handle in handles]
    except pynvml.NVMLError:
        return None
    return min(sizes, default=None)


def need_of(entry: EncoderEntry, config: Any) -> Need | None:
    """Of one actor of this encoder; None where it is not known."""
    return gpu_needs({entry.task: entry}, {entry.task: config}).get(entry.task)


def cap_allocator(device: str, share: float | None = None, encoder: tuple[EncoderEntry, Any] | None = None) -> None:
    """Bound PyTorch's allocator to this actor's share of its card, so that who wants too much runs out of its own,
    halves its batch, and takes nothing from others. ``share``: what Ray gave when None. ``encoder``: its entry and
    config, where another process may compute for it. The bound is set once this process uses its card, if it does:
    CUDA, started only to set it, would take `CONTEXT_GIB` of one that another process computes on for this one. Nothing
    happens on a CPU."""
    if not device.startswith("cuda"):
        return
    import ray
    import torch

    if share is None:
        share = ray.get_runtime_context().get_assigned_resources().get("GPU", 1.0)
    need = need_of(*encoder) if encoder is not None else None
    set_card_share(share, need.gib if need is not None and need.clients > 1 else 0.0)
    torch.cuda._lazy_call(partial(bound_allocator, device, [CardShare(share)]))
