"""What keeps the tuned decoder a chat model where there is no document: words stay as likely as the base finds them."""

from __future__ import annotations

import random
from typing import cast

import torch
from torch.nn import functional
from transformers import AutoTokenizer

from encoders.checkpoints.resolve import resolve
from pipelines.train.hybrid.documents import prose
from pipelines.train.hybrid.model import Hybrid

_ROWS, _LENGTH = 8, 256


class Anchor:
    """Chats of generated sentences; one for each training process."""

    def __init__(self, checkpoint: str, seed: int, device: torch.device, count: int = 400) -> None:
        tokenizer = AutoTokenizer.from_pretrained(resolve(checkpoint))
        rng = random.Random(f"anchor-{seed}")
        rows: list[list[int]] = []
        while len(rows) < count:
            said = [prose(rng.randrange(1 << 30), "en") for _ in range(6)]
            turns = [{"role": "user", "content": said[0]}, {"role": "assistant", "content": " ".join(said[1:])}]
            tokens = tokenizer.encode(tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False)
            rows += [tokens[:_LENGTH]] if len(tokens) >= _LENGTH else []
        self._rows = torch.tensor(rows, device=device)

    def loss(self, model: Hybrid) -> torch.Tensor:
        """Mean divergence of the tuned decoder from its base, natural-log units a token."""
        tokens = self._rows[torch.randint(len(self._rows), (_ROWS,), device=self._rows.device)]
        with torch.no_grad():
            model.switch(False)
            base = functional.log_softmax(model.decoder(input_ids=tokens, use_cache=False).logits.float(), -1)
            model.switch(True)
        tuned = functional.log_softmax(model.decoder(input_ids=tokens, use_cache=False).logits.float(), -1)
        return cast(torch.Tensor, functional.kl_div(tuned, base, log_target=True, reduction="sum") / tokens.numel())
