"""The question of a run. Apart from `answers`, so that a run that asks nothing loads nothing of the decoder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from decoder.config import DecoderConfig
from pipelines.settings import RunConfig, UsageError


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every asset, and the fingerprint of whoever answers."""

    config: DecoderConfig
    prompt: str | None
    schema: str | None
    fingerprint: str

    @classmethod
    def of(cls, run: RunConfig, config: DecoderConfig) -> Question | None:
        """The question of a run, None when it asks nothing. Raises UsageError for a schema that cannot be read."""
        if run.prompt is None and run.answer_schema is None:
            return None
        from decoder.fingerprint import answer_fingerprint

        schema = _read_schema(run.answer_schema) if run.answer_schema is not None else None
        return cls(config, run.prompt, schema, answer_fingerprint(config, run.prompt, schema))


def _read_schema(path: Path) -> str:
    try:
        return json.dumps(json.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"cannot read the JSON schema {path}: {error}") from error
