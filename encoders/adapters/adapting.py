"""A task's adapter beside its encoder: features become soft tokens there, so that these alone travel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from encoders.adapters.soft import SoftTokens
from encoders.base import Perception
from encoders.checkpoints import CheckpointError, resolve
from encoders.checkpoints.resolve import checkpoint_digest
from encoders.failures import Failure, FailureCategory

if TYPE_CHECKING:  # brings torch, which takes seconds to import
    from encoders.adapters.base import Adapter


def with_features(config: Any, checkpoint: str) -> Any:
    """An encoder's config with the features that an adapter reads. Raises `CheckpointError` for a checkpoint that is no
    adapter, ValueError when the encoder has no features of that width."""
    return config.with_features(widths(checkpoint)[0])


def widths(checkpoint: str) -> tuple[int, int]:
    """How many numbers an adapter reads of each feature row, and how many it makes of a soft token. Raises
    `CheckpointError`.

    Reads only these two: `adapter_config` brings torch, for which a run with nothing to do has no time.
    """
    path = resolve(checkpoint) / "adapter.json"
    try:
        config = json.loads(path.read_bytes())
        return int(config["d_encoder"]), int(config["d_model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{checkpoint} holds no adapter: {path.name} cannot be read: {error}") from error


class Adapting:
    """One adapter, loaded onto ``cpu`` or ``cuda[:n]``. ``digest`` names it in what it made."""

    def __init__(self, task: str, checkpoint: str, device: str) -> None:
        from encoders.adapters.checkpoint import load_adapter

        self.task, self.digest = task, checkpoint_digest(checkpoint)
        self._adapter: Adapter = load_adapter(checkpoint, device)
        self.name = f"{task}_adapter"

    def __call__(self, perception: Perception) -> SoftTokens:
        """The soft tokens of a perception: none when it has no features, as a text layer. A failing adapter is a
        failure of the perception."""
        from encoders.adapters.geometry import geometry_of
        from encoders.adapters.words import texts_of

        try:
            if perception.spans:
                made: SoftTokens = self._adapter.adapt(
                    perception.features, perception.spans, geometry_of(perception), texts=texts_of(perception)
                )
                perception.networks = frozenset({*perception.networks, self.name})
                return made
        except RuntimeError as error:  # features of another width than it was made for, say
            failure = Failure(FailureCategory.MODEL_FAILED, "adapt", str(error)[:500], self.task)
            perception.failures = (*perception.failures, failure)
        return SoftTokens(np.zeros((0, self._adapter.config.d_model), np.float16), ())

    def parameters(self) -> dict[str, int]:
        """Its parameter count, by name."""
        table = self._adapter.reader.table.numel() if self._adapter.reader else 0
        return {self.name: sum(p.numel() for p in self._adapter.parameters()) + table}
