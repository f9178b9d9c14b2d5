"""Tiny decoders with random weights, saved as ordinary checkpoint folders, and an engine that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from decoder.config import DecoderConfig
from decoder.engine import Engine
from tests.decoder.tiny import save_tiny


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "llama", "llama")


@pytest.fixture(scope="session")
def tiny_config(tiny_folder: Path) -> DecoderConfig:
    return DecoderConfig(
        checkpoint=str(tiny_folder),
        dtype="float32",
        prompt_tokens=320,
        max_new_tokens=160,
        max_sequences=6,
        prefill_chunk=32,
        reserved_online=0,
    )


@pytest.fixture(scope="session")
def tiny_engine(tiny_config: DecoderConfig) -> Iterator[Engine]:
    engine = Engine(tiny_config)
    engine.load()
    yield engine
    engine.close()
