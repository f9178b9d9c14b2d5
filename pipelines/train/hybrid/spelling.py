"""The warm-up of the speech adapter: its frames must spell what is said, before a decoder can make sense of them.

Without it a frozen decoder learns to ignore the tokens. The classifier is thrown away after training.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from encoders.adapters.base import Adapter
from pipelines.train.hybrid.items import Items
from pipelines.train.hybrid.letters import LETTERS


class Spelling(nn.Module):
    """Frames to letters, on the adapter's first level."""

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self.classify = nn.Linear(adapter.config.widths[0], len(LETTERS) + 1)

    def loss(self, adapter: Adapter, groups: list[tuple[torch.Tensor, Items]]) -> torch.Tensor:
        """Mean CTC loss a letter, natural-log units, of chunks' frames [n, t, d] and what is said in them."""
        total = letters = torch.zeros((), device=groups[0][0].device)
        for rows, group in groups:
            assert group.letters is not None and group.letter_counts is not None
            count = len(group.letters)
            if not count:  # of transcripts alone
                continue
            hidden = adapter.levels(rows.float(), group.lengths, 0)[0]
            scores = functional.log_softmax(self.classify(hidden[:count]).float(), dim=-1).transpose(0, 1)
            lengths = group.lengths[:count]
            total = total + functional.ctc_loss(
                scores, group.letters, lengths, group.letter_counts, reduction="sum", zero_infinity=True
            )
            letters = letters + group.letter_counts.sum()
        return cast(torch.Tensor, total / letters.clamp(min=1))
