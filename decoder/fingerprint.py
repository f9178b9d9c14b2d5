"""The answer fingerprint: a hash of all that shapes an answer, apart from what was perceived."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from decoder.config import DecoderConfig
from decoder.fusion import PROMPT_VERSION
from encoders.checkpoints.resolve import checkpoint_digest


def decoder_fingerprint(config: DecoderConfig) -> str:
    """Names a decoder: two configs with the same fingerprint can share one engine. 16 hex digits."""
    return _hash({"checkpoint": checkpoint_digest(config.checkpoint), "config": _shaping(config)})


def answer_fingerprint(
    config: DecoderConfig, question: str | None, schema: str | None, adapters: Mapping[str, str] | None = None
) -> str:
    """Changes whenever the same perception could be answered otherwise. ``schema`` is the schema's text; how it is
    laid out does not matter. ``adapters``: digests by task of those whose soft tokens are read. 16 hex digits."""
    return _hash(
        {
            "decoder": decoder_fingerprint(config),
            "fusion": PROMPT_VERSION,
            "question": question,
            "schema": json.loads(schema) if schema is not None else None,
            **({"adapters": dict(adapters)} if adapters else {}),
        }
    )


def _shaping(config: DecoderConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in DecoderConfig.SHAPING}


def _hash(content: dict[str, object]) -> str:
    # Properties keep their order: a schema's order is the order in which an answer is written.
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()[:16]
