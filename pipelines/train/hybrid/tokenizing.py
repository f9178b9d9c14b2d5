"""The decoder's tokenizer without what `transformers` does around it: loaders ask it for hundreds of texts a batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

_KNOWN = 1 << 15  # texts whose tokens are kept: a page is read in several modes, frames and questions come again
_PLACE = "\u241f{}\u241f"  # stands for the content of a turn while the chat template is rendered
_AS_IT_IS = ("a  b\n", " <b>&amp;'\"{{ x }}\n\t", "")  # contents that a template might trim or escape


class QuickTokenizer:
    """What `Fusion` asks of a tokenizer, with the very tokens of ``tokenizer``, a quick one of `transformers`. Lists of
    tokens are shared: they are not to be changed."""

    def __init__(self, tokenizer: Any) -> None:
        self.chat_template = tokenizer.chat_template
        self.eos_token_id: int = tokenizer.eos_token_id
        self._tokenizer = tokenizer
        self._encode = lru_cache(_KNOWN)(self._encoded)
        self.ends = lru_cache(_KNOWN)(self._ends)
        self._template = lru_cache(None)(self._rendered)

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """The tokens of a text."""
        assert not add_special_tokens
        return self._encode(text)

    def apply_chat_template(
        self, turns: Sequence[dict[str, str]], *, add_generation_prompt: bool, tokenize: bool
    ) -> str:
        """Turns as text. A template is rendered once for each order of roles, unless it changes what the turns say."""
        assert not tokenize
        roles = tuple(turn["role"] for turn in turns)
        template = self._template(roles, add_generation_prompt)
        if template is None:
            return self._whole(turns, add_generation_prompt)
        contents = [turn["content"] for turn in turns]
        return "".join(piece if k % 2 == 0 else contents[int(piece)] for k, piece in enumerate(template))

    def get_vocab(self) -> dict[str, int]:
        """Every token."""
        found: dict[str, int] = self._tokenizer.get_vocab()
        return found

    def _ends(self, text: str) -> list[int]:
        """The character of a text at which each of its tokens ends."""
        encoding = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        return [end for _, end in encoding.offsets]

    def _encoded(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        return found

    def _rendered(self, roles: tuple[str, ...], answer: bool) -> list[str] | None:
        """What stands before, between and behind the turns' contents, and between them their numbers; None where the
        template does not leave contents as they are."""
        places = [_PLACE.format(k) for k in range(len(roles))]
        pieces = self._whole([{"role": r, "content": p} for r, p in zip(roles, places)], answer).split(_PLACE[0])
        if pieces[1::2] != [str(k) for k in range(len(roles))]:
            return None
        for k in range(len(_AS_IT_IS)):
            said = [_AS_IT_IS[(k + n) % len(_AS_IT_IS)] for n in range(len(roles))]
            whole = self._whole([{"role": r, "content": text} for r, text in zip(roles, said)], answer)
            if whole != "".join(piece if n % 2 == 0 else said[int(piece)] for n, piece in enumerate(pieces)):
                return None
        return pieces

    def _whole(self, turns: Sequence[dict[str, str]], answer: bool) -> str:
        text: str = self._tokenizer.apply_chat_template(list(turns), add_generation_prompt=answer, tokenize=False)
        return text
