"""The trained model that ships: a variant of the decoder that adds the difference, and adapters beside the encoders."""

from __future__ import annotations

from encoders.adapters.checkpoint import adapter_config
from encoders.checkpoints.lock import PACKAGE, load_lock

BASE = "decoder:torch"
FOLDER = PACKAGE / "hybrid"


def decoder() -> str | None:
    """The default decoder, when it is a tuned one."""
    checkpoint = load_lock().checkpoints["decoder"]
    return "decoder" if checkpoint.variants[checkpoint.default].base else None


def adapters() -> dict[str, str]:
    """The folder of each shipped adapter by its task."""
    folders = sorted(path.parent for path in FOLDER.glob("*/adapter.json"))
    return {adapter_config(str(folder)).task: str(folder) for folder in folders}
