"""The question of a run. Apart from `answers`, so that a run that asks nothing loads nothing of the decoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from decoder.config import DecoderConfig
from pipelines.settings import RunConfig, UsageError


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every asset, and the fingerprint of whoever answers. ``adapters`` has the digests of those whose
    soft tokens the decoder reads, by task."""

    config: DecoderConfig
    prompt: str | None
    schema: str | None
    fingerprint: str
    adapters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, run: RunConfig, config: DecoderConfig, adapters: Mapping[str, str]) -> Question | None:
        """The question of a run, None when it asks nothing. ``adapters``: checkpoints by task, of those that the
        decoder reads. Raises UsageError for a schema that cannot be read."""
        if run.prompt is None and run.answer_schema is None:
            return None
        from decoder.fingerprint import answer_fingerprint
        from encoders.checkpoints.resolve import checkpoint_digest

        schema = _read_schema(run.answer_schema) if run.answer_schema is not None else None
        digests = {task: checkpoint_digest(checkpoint) for task, checkpoint in sorted(adapters.items())}
        return cls(config, run.prompt, schema, answer_fingerprint(config, run.prompt, schema, digests), digests)


def _read_schema(path: Path) -> str:
    try:
        return json.dumps(json.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"cannot read the JSON schema {path}: {error}") from error
