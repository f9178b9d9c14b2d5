"""The trained model that ships: a variant of the decoder that adds the difference, and adapters beside the encoders."""

from __future__ import annotations

from encoders.adapters.checkpoint import adapter_config
from encoders.checkpoints.lock import PACKAGE, load_lock

BASE = "decoder:torch"
FOLDER = PACKAGE / "hybrid"


def decoder() -> str | None:
    """The checkpoint of the tuned decoder, None when none ships."""
    for name, variant in load_lock().checkpoints["decoder"].variants.items():
        if variant.conversion == "add_difference":
            return f"decoder:{name}"
    return None


def adapters() -> dict[str, str]:
    """The folder of each shipped adapter by its task."""
    folders = sorted(path.parent for path in FOLDER.glob("*/adapter.json"))
    return {adapter_config(str(folder)).task: str(folder) for folder in folders}
