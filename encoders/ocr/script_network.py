"""The script network: which script a crop of a text line is in, and whether it stands on its head.

Trained in `pipelines/train/script` on rendered lines; its weights lie beside this file.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

CLASSES = (
    "Latn", "Hani", "Jpan", "Hang", "Cyrl", "Grek", "Arab", "Hebr", "Deva", "Beng", "Guru", "Gujr", "Orya", "Taml",
    "Telu", "Knda", "Mlym", "Sinh", "Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Ethi", "Geor", "Armn", "Latn-VN", "Zyyy",
)  # fmt: skip
"""ISO 15924 codes in the order of the network's outputs. Latn-VN is Vietnamese, whose tone marks the built-in
recogniser has no characters for; Zyyy is a line of digits and signs, or no text at all."""

HEIGHT, WIDTH = 40, 256
WEIGHTS = Path(__file__).with_name("script_weights.safetensors")


class ScriptNetwork(nn.Module):
    """Six 3x3 convolutions and a pooled linear head: 0.3 million parameters, 45 million multiply-adds a crop.

    Takes [n, 1, 40, 256] crops, ink positive on zero, scaled as `prepare` does; returns log probabilities of
    CLASSES [n, 28] and the logit of being upside down [n].
    """

    def __init__(self) -> None:
        super().__init__()
        plan = ((1, 16, (1, 1)), (16, 32, (2, 2)), (32, 64, (2, 2)), (64, 96, (2, 2)), (96, 128, (1, 1)))
        layers: list[nn.Module] = []
        for inputs, outputs, stride in (*plan, (128, 128, (1, 1))):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(128 * 3, len(CLASSES) + 1)

    def fold(self) -> None:
        """Batch norms into the convolutions before them."""
        layers = list(self.body)
        folded = [fuse_conv_bn_eval(*layers[at : at + 2]) for at in range(0, len(layers), 3)]
        self.body = nn.Sequential(*(layer for of in folded for layer in (of, nn.ReLU(inplace=True))))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities [n, 28] and upside-down logits [n]."""
        maps: Tensor = self.body(crops)
        rows = maps.shape[2] // 2
        # Upper and lower halves are pooled apart: which way is up is seen in where the strokes lie.
        pooled = torch.cat((maps[:, :, :rows].mean((2, 3)), maps[:, :, rows:].mean((2, 3)), maps.amax((2, 3))), 1)
        out: Tensor = self.head(pooled)
        return out[:, :-1].log_softmax(1), out[:, -1]


def prepare(crops: Tensor) -> Tensor:
    """Grey crops [n, 1, h, w] in 0..255 to ink on zero: paper (the median) at 0, ink positive, unit deviation.

    White text on black comes out like black on white.
    """
    crops = crops.float()
    ink = crops.flatten(1).median(1).values[:, None, None, None] - crops
    polarity = torch.where(ink.pow(3).sum((1, 2, 3), keepdim=True) < 0, -1.0, 1.0)
    ink = ink * polarity
    return ink / (ink.pow(2).mean((1, 2, 3), keepdim=True).sqrt() + 4.0)
