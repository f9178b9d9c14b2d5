"""Before the pools of a local run start: every checkpoint that they will load is on this machine, or the run ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cluster.pools import DECODER, Pool
from encoders.checkpoints import CheckpointError, PullStep, resolve
from encoders.registry import EncoderEntry


def fetch_checkpoints(
    pools: Sequence[Pool],
    entries: Mapping[str, EncoderEntry],
    configs: Mapping[str, Any],
    decoder: str,
    note: Callable[[str], None],
) -> None:
    """Pull what is missing, each pool for its device, and say so. Here it is pulled once and told of; in the actors it
    would be an error of every one of them, under Ray's traceback. Raises CheckpointError: for which pool, which
    checkpoint, from where, and what to do next."""
    for pool in pools:
        steps: list[PullStep] = []

        def tell(step: PullStep, steps: list[PullStep] = steps) -> None:
            if step.step in ("downloading", "converting") and not step.done:
                steps.append(step)
                note(f"{step.step} the checkpoint {step.name}: {step.detail}")

        try:
            if pool.task == DECODER:
                resolve(decoder, progress=tell)
            else:
                entries[pool.task].build(configs[pool.task]).fetch(pool.device, tell)
        except CheckpointError as error:
            without = f" without the checkpoint {steps[-1].name}" if steps else ""
            raise CheckpointError(f"{pool.task} cannot start{without}: {error}") from error
