"""The words that a specialist read, laid under its soft tokens: an adapter gets them in the decoder's own embeddings.

Features say what was seen, but which of the decoder's 49,152 tokens that spells no short training learned from pictures
of letters: two did not (docs/hybrid.md). The recogniser has spelled it already. So the tokens of an item's text are
spread evenly over its soft tokens, and the adapter folds those under one, its features and its place into one vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from encoders.base import Perception
from encoders.checkpoints import CheckpointError, resolve
from encoders.results import Detection, DocumentResult, Speech

_TABLES = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight")


class Words:
    """The tokenizer and the embeddings [v, d] of a decoder's checkpoint. Raises `CheckpointError`."""

    def __init__(self, checkpoint: str) -> None:
        from tokenizers import Tokenizer

        folder = resolve(checkpoint)
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, framework="pt") as weights:
                for name in weights.keys():  # noqa: SIM118  not a dict
                    if name.endswith(_TABLES):
                        self.table: torch.Tensor = weights.get_tensor(name)
                        return
        raise CheckpointError(f"{checkpoint} has no token embeddings that an adapter could use")

    def tokens(self, text: str) -> list[int]:
        """The decoder's tokens of a text."""
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return found


def texts_of(perception: Perception) -> list[str]:
    """What was read in the items of a perception's spans: of lines and chunks their text, of detections their label."""
    result = perception.result
    if isinstance(result, DocumentResult):
        pages = {page.page: page for page in result.pages}
        return [pages[span.page].lines[span.item].text for span in perception.spans]
    if isinstance(result, Speech):
        return [result.chunks[span.item].text for span in perception.spans]
    on_page: dict[int, list[Detection]] = {}
    for found in result or ():
        on_page.setdefault(found.page, []).append(found)
    return [on_page[span.page][span.item].label for span in perception.spans]


def laid(tokens: Sequence[int], places: int, slots: int) -> NDArray[np.int32]:
    """Tokens spread over so many soft tokens: [places, slots], -1 where there is none. With more than one a place each
    has its neighbours; what exceeds the slots of a place is left out."""
    found = np.full((places, slots), -1, np.int32)
    count = len(tokens)
    if count and places:
        number = np.arange(count)
        place = number * places // count if count > places else number
        slot = number - np.searchsorted(place, place)
        fits = slot < slots
        found[place[fits], slot[fits]] = np.asarray(tokens, np.int32)[fits]
    return found


def embedded(words: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Tokens [..., slots], -1 for none, to their embeddings side by side [..., slots * d]."""
    vectors = torch.nn.functional.embedding(words.clamp(min=0).long(), table)
    return (vectors * (words >= 0)[..., None].to(vectors.dtype)).flatten(-2)
