"""The trained model that ships: a variant of the decoder that adds the difference, and adapters beside the encoders."""

from __future__ import annotations

from pathlib import Path

from encoders.adapters.checkpoint import adapter_config
from encoders.checkpoints.lock import PACKAGE, load_lock

BASE = "decoder:torch"
FOLDER = PACKAGE / "hybrid"


def decoder(model: Path | None = None) -> str | None:
    """The default decoder, when it is a tuned one; or the one that `export --decoder` wrote into a folder."""
    if model is not None:
        return str(model / "decoder")
    checkpoint = load_lock().checkpoints["decoder"]
    return "decoder" if checkpoint.variants[checkpoint.default].base else None


def ships_as(checkpoint: str) -> str:
    """The name under which a decoder ships: a folder that `export --decoder` wrote is to be the default."""
    return "decoder" if Path(checkpoint).is_dir() else checkpoint


def adapters(model: Path | None = None) -> dict[str, str]:
    """The folder of each shipped adapter, or of those in a folder, by its task."""
    folders = sorted(path.parent for path in (model or FOLDER).glob("*/adapter.json"))
    return {adapter_config(str(folder)).task: str(folder) for folder in folders}
