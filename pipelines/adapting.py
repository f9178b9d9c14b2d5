"""Adapters in a run: which tasks have one, and its soft tokens for every perception."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from encoders.base import Perception
from encoders.failures import Failure, FailureCategory
from encoders.registry import EncoderEntry
from pipelines.settings import SettingsTree, UsageError
from pipelines.soft_tokens import soft_row


def encoder_configs(settings: SettingsTree, entries: Mapping[str, EncoderEntry]) -> dict[str, Any]:
    """The config of each encoder, with the features that its adapter reads. Raises UsageError when tokens are to be
    kept that nothing makes or the other way round, InterlaceError for a checkpoint that is none."""
    configs = {task: settings.encoder(task) for task in entries}
    run = settings.run
    if run.keep_soft_tokens and not run.adapters:
        raise UsageError("--keep-soft-tokens: no adapter makes any; say --set run.adapters.TASK=CHECKPOINT")
    if run.adapters and not run.keep_soft_tokens:
        raise UsageError("run.adapters: what adapters make is used where it is kept; say --keep-soft-tokens")
    for task, checkpoint in run.adapters.items():
        if task not in entries:
            raise UsageError(f"run.adapters.{task}: the run has no such task; it has {', '.join(entries)}")
        from encoders.adapters.checkpoint import adapter_config  # torch takes seconds to import

        try:
            configs[task] = configs[task].with_features(adapter_config(checkpoint).d_encoder)
        except ValueError as error:
            raise UsageError(f"run.adapters.{task}={checkpoint}: {error}") from error
    return configs


class Adapting:
    """A task's adapter, in the actor of its encoder: features become soft tokens there, so that these alone travel."""

    def __init__(self, task: str, checkpoint: str, device: str) -> None:
        from encoders.adapters.checkpoint import load_adapter

        self._task, self._adapter = task, load_adapter(checkpoint, device)

    def __call__(self, perception: Perception) -> list[dict[str, Any]]:
        """What the column `soft_tokens` holds of a perception: nothing when it has no features, as a text layer. A
        failing adapter is a failure of the perception."""
        from encoders.adapters.geometry import geometry_of

        if not perception.spans:
            return []
        try:
            soft = self._adapter.adapt(perception.features, perception.spans, geometry_of(perception))
        except RuntimeError as error:  # features of another width than it was made for, say
            failure = Failure(FailureCategory.MODEL_FAILED, "adapt", str(error)[:500], self._task)
            perception.failures = (*perception.failures, failure)
            return []
        return soft_row(self._task, soft)
