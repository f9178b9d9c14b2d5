"""Which adapters there are, which of them run, and what that asks of their encoders."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from decoder.config import DecoderConfig
from encoders.adapters.adapting import widths, with_features
from encoders.checkpoints import resolve
from encoders.registry import ENCODERS, EncoderEntry
from pipelines.settings import SettingsTree, UsageError

_DETECTORS = tuple(task for task, entry in ENCODERS.items() if entry.module == "encoders.detection")


def adapters_of(settings: SettingsTree) -> dict[str, str]:
    """Task to the checkpoint of its adapter. Those that are the default speak to the default decoder alone: another
    one has another space. For the same reason those of detections read the default detector alone."""
    usual = type(settings).model_fields["adapters"].default
    own = settings.decoder.checkpoint == DecoderConfig.model_fields["checkpoint"].default
    foreign = {task for task in _DETECTORS if settings.encoder(task).checkpoint != "default"}
    return {
        task: checkpoint
        for task, checkpoint in settings.adapters.items()
        if checkpoint and (checkpoint != usual.get(task) or (own and task not in foreign))
    }


def read_adapters(settings: SettingsTree) -> dict[str, str]:
    """Those whose soft tokens the decoder reads."""
    mode_of = settings.decoder.mode_of
    return {task: checkpoint for task, checkpoint in adapters_of(settings).items() if mode_of(task) != "text"}


def run_adapters(settings: SettingsTree, tasks: Collection[str], *, asked: bool) -> dict[str, str]:
    """Those that run in a run of these tasks: all when their tokens are kept, else the ones that a question needs.
    Raises UsageError when tokens are to be kept that nothing makes."""
    keep = settings.run.keep_soft_tokens
    wanted = adapters_of(settings) if keep else read_adapters(settings) if asked else {}
    found = {task: checkpoint for task, checkpoint in wanted.items() if task in tasks}
    if keep and not found:
        named = " or ".join(f"adapters.{task}" for task in tasks)
        raise UsageError(f"--keep-soft-tokens: no adapter makes any; say --set {named}=CHECKPOINT")
    return found


def check_read(settings: SettingsTree, adapters: Mapping[str, str]) -> None:
    """Raises UsageError for an adapter that speaks to another decoder than the one that is to read it, as far as its
    width tells."""
    decoder = settings.decoder.checkpoint
    usual = type(settings).model_fields["adapters"].default
    for task in read_adapters(settings).keys() & adapters.keys():
        if adapters[task] == usual.get(task):
            continue  # made for it
        made = widths(adapters[task])[1]
        read = json.loads((resolve(decoder) / "config.json").read_bytes()).get("hidden_size", made)
        if made != read:
            raise UsageError(
                f"adapters.{task}={adapters[task]}: its soft tokens are vectors of {made} numbers, and the decoder "
                f"{decoder} reads {read}; take the adapter that was trained with it, or --set decoder.mode=text"
            )


def encoder_configs(
    settings: SettingsTree, entries: Mapping[str, EncoderEntry], adapters: Mapping[str, str]
) -> dict[str, Any]:
    """The config of each encoder, with the features that its adapter reads, or that are to be kept. Raises
    UsageError for an adapter that reads others than its encoder has, InterlaceError for a checkpoint that is none."""
    configs = {task: settings.encoder(task) for task in entries}
    if settings.run.keep_features:
        configs = {task: config.with_features() for task, config in configs.items()}
    for task in configs.keys() & adapters.keys():
        try:
            configs[task] = with_features(configs[task], adapters[task])
        except ValueError as error:
            raise UsageError(f"adapters.{task}={adapters[task]}: {error}") from error
    return configs
