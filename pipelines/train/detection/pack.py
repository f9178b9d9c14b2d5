"""Both trained networks into the file that ships: ``python -m pipelines.train.detection.pack FINDER NAMER OUT``."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file

from encoders.detection.weights import save_weights


def main() -> None:
    """Quantise and write."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("finder", type=Path)
    options.add_argument("namer", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument(
        "--calibration", type=float, nargs=2, default=(1.0, 0.0), help="slope and offset of the finder's logits"
    )
    chosen = options.parse_args()
    finder, namer = load_file(chosen.finder), load_file(chosen.namer)
    more = {"text_mean": namer.pop("text_mean").half(), "calibration": torch.tensor(chosen.calibration)}
    save_weights(chosen.out, finder, namer, more)
    print(f"{chosen.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
