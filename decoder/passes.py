"""Which passes a step of the engine makes: how the next tokens of its sequences are grouped."""

from __future__ import annotations

from collections.abc import Sequence

from decoder.config import DecoderConfig
from decoder.model import READ_ROWS, CausalModel
from decoder.running import RunningSequence
from decoder.sequence import Priority

Turn = tuple[RunningSequence, int]  # whose next tokens are read, and how many
_PATIENCE = 3  # steps that prompts of batch work wait for others, to be read together


class PassPlanner:
    """Plans the passes of one engine, step by step."""

    def __init__(self, model: CausalModel, config: DecoderConfig) -> None:
        self._model, self._config = model, config
        self._waited = 0  # steps that prompts have waited

    def prompts(self, reading: Sequence[RunningSequence], others: bool) -> list[Turn]:
        """What is read of prompts in this step; ``others`` says whether sequences write meanwhile."""
        turns: list[Turn] = []
        recorded, chunk = self._model.recorded, self._config.prefill_chunk
        if recorded and others and self._can_wait(reading):
            return turns
        left = READ_ROWS if recorded else chunk
        for sequence in sorted(reading, key=lambda sequence: sequence.handle.request.priority):
            # A row of a recorded pass is the same wherever its prompt was cut, so cuts need not be.
            count = min(sequence.prompt_left, left) if recorded else sequence.next_chunk(chunk)
            if count > left or not left:
                break
            turns.append((sequence, count))
            left -= count
        return turns

    def packs(self, turns: list[Turn]) -> list[list[Turn]]:
        """The passes over these turns. Those of one token in recorded passes are not among them: which kind of pass a
        token is read in depends on its own sequence alone."""
        model = self._model
        if not model.recorded:
            return _packs(turns, model.rows, model.head_rows, mixed=model.mixes)
        turns = [(sequence, min(count, READ_ROWS)) for sequence, count in turns]
        return _packs(turns, READ_ROWS, model.head_rows, mixed=True)

    def _can_wait(self, reading: Sequence[RunningSequence]) -> bool:
        """Whether prompts of batch work are left for the next step: a reading pass takes as long half empty."""
        online = any(sequence.handle.request.priority == Priority.ONLINE for sequence in reading)
        rows = sum(sequence.prompt_left for sequence in reading)
        wait = not online and rows < READ_ROWS * 3 // 4 and self._waited < _PATIENCE
        self._waited = self._waited + 1 if wait and rows else 0
        return wait


def _packs(turns: list[Turn], rows: int, spans: int, *, mixed: bool) -> list[list[Turn]]:
    """Group turns into passes of at most ``rows`` rows and ``spans`` turns; a turn of more rows is alone, and so is
    every turn of several rows where they are not ``mixed`` with single ones."""
    packs: list[list[Turn]] = []
    used = rows
    for turn in turns:
        count = turn[1]
        alone = count > rows or (count > 1 and not mixed)
        if not packs or alone or used + count > rows or len(packs[-1]) >= spans:
            packs.append([])
            used = rows if alone else 0
        packs[-1].append(turn)
        used += count
    return packs
