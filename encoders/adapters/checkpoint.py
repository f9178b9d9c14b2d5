"""An adapter on disk: `adapter.json`, its `AdapterConfig`, and `weights.safetensors`, in a folder of their own."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from encoders.adapters.base import Adapter, AdapterConfig
from encoders.adapters.words import Words
from encoders.checkpoints import CheckpointError, resolve
from encoders.checkpoints.eight_bit import packed, unpacked

_CONFIG, _WEIGHTS = "adapter.json", "weights.safetensors"


def save_adapter(adapter: Adapter, folder: Path) -> None:
    """Write what `load_adapter` reads, matrices in eight bits; the folder is made when it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _CONFIG).write_text(adapter.config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    save_file(packed(adapter.state_dict()), folder / _WEIGHTS)


def adapter_config(ref: str) -> AdapterConfig:
    """The shape of an adapter: a folder, an s3:// prefix or a Hugging Face id. Raises `CheckpointError`."""
    path = resolve(ref) / _CONFIG
    try:
        return AdapterConfig.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CheckpointError(f"{ref} holds no adapter: {path.name} cannot be read: {error}") from error


def load_adapter(ref: str, device: str = "cpu", words: str | None = None) -> Adapter:
    """The adapter of a checkpoint on ``cpu`` or ``cuda[:n]``, ready to use. ``words``: a decoder's checkpoint in place
    of the one that it names, which has the same embeddings. Raises `CheckpointError`."""
    adapter = Adapter(adapter_config(ref))
    try:
        adapter.load_state_dict(unpacked(load_file(resolve(ref) / _WEIGHTS)))
    except Exception as error:  # safetensors and torch have errors of their own for a damaged file and other shapes
        raise CheckpointError(f"the adapter {ref} cannot be loaded: {error}") from error
    adapter.to(device).eval()
    if adapter.config.slots:
        adapter.reader = Words(words or adapter.config.words)
        adapter.reader.table = adapter.reader.table.to(device)
    return adapter
