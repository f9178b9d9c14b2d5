"""From a training's state to what ships: adapters and the decoder's difference in eight bits.

    python -m pipelines.train.hybrid.export recipe.toml STATE.pt encoders/hybrid

``STATE.pt`` is what `pipelines.train.hybrid.train` writes. With --decoder, also a whole tuned decoder as a folder that
any `transformers` program loads.

A training that went on from another can be taken in part: --before OTHER.pt --weight 0.85 exports 0.15 of that one's
values and 0.85 of this one's, which keeps more of what the longer training had begun to lose.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from encoders.adapters.base import Adapter, AdapterConfig
from encoders.adapters.checkpoint import save_adapter
from encoders.checkpoints.conversions.files import write_weights
from encoders.checkpoints.conversions.low_rank import merged
from encoders.checkpoints.eight_bit import packed, unpacked
from encoders.checkpoints.resolve import resolve
from pipelines.train.hybrid.recipe import Recipe, read_recipe

FOLDERS = {"ocr": "ocr", "speech_to_text": "speech", "gui_detection": "detection"}


def export(recipe: Recipe, state: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Write ``folder``/{ocr,speech}/ as `load_adapter` reads them and ``folder``/difference.safetensors."""
    for task, config in recipe.adapters.items():
        prefix = f"adapters.{task}."
        weights = {n.removeprefix(prefix): w.cpu() for n, w in state.items() if n.startswith(prefix)}
        if weights:
            adapter = Adapter(AdapterConfig.model_validate(config))
            adapter.load_state_dict(weights)
            save_adapter(adapter, folder / FOLDERS[task])
    folder.mkdir(parents=True, exist_ok=True)
    save_file(packed(difference(state)), folder / "difference.safetensors")


def difference(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The decoder's part, by the names of the weights that it is added to."""
    found = {}
    for name, value in state.items():
        if name.startswith("decoder.") and name.endswith((".a", ".b")):
            layer, _, which = name.removeprefix("decoder.").rpartition(".")
            found[f"{layer}.weight.{which}"] = value.float().cpu()
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("state", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--decoder", type=Path, help="also write the tuned decoder here")
    parser.add_argument("--before", type=Path, help="the state that this training went on from")
    parser.add_argument("--weight", type=float, default=1.0, help="of this training's values; the rest is --before's")
    parser.add_argument("--share", type=float, default=1.0, help="of the difference that the tuned decoder gets")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe)
    state = torch.load(arguments.state, map_location="cpu", weights_only=True)
    if arguments.before:
        before = torch.load(arguments.before, map_location="cpu", weights_only=True)
        kept, taken = 1 - arguments.weight, arguments.weight
        state = {n: (kept * before[n].float() + taken * value.float()).half() for n, value in state.items()}
    export(recipe, state, arguments.folder)
    for path in sorted(arguments.folder.rglob("*.safetensors")):
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    if arguments.decoder:
        arguments.decoder.mkdir(parents=True, exist_ok=True)
        base = resolve(recipe.decoder)
        for path in base.iterdir():
            if path.suffix != ".safetensors":
                shutil.copyfile(path, arguments.decoder / path.name)
        stored = unpacked(load_file(arguments.folder / "difference.safetensors"))
        shipped = {n: v * arguments.share if n.endswith(".b") else v for n, v in stored.items()}
        write_weights(merged(load_file(base / "model.safetensors"), shipped), arguments.decoder)


if __name__ == "__main__":
    main()
