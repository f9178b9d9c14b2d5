"""How the sequences that run go on: passes over their next tokens, and what they choose from what those find."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from decoder.attention import Span
from decoder.cache import KeyValueCache
from decoder.config import DecoderConfig
from decoder.engine_figures import EngineFigures
from decoder.model import CausalModel
from decoder.passes import PassPlanner, Turn
from decoder.prefixes import PrefixStore
from decoder.recorded import RecordedPass
from decoder.running import RunningSequence
from decoder.scores import Scores, scores_of
from decoder.sequence import DecoderError, Finish
from decoder.steps import StepTable

Tell = Callable[[RunningSequence, int], None]
Leave = Callable[[RunningSequence, Finish, str], None]


class Stepper:
    """Reads prompts and writes tokens, step by step, of the sequences that run in one engine.

    Recorded passes are started before what the last ones found is looked at, so that the device has work while the host
    does: a step of all that write, then a reading of prompts; while the device reads, the step's tokens are
    looked at and the next step is started, and while that runs, what was read.
    """

    def __init__(
        self,
        model: CausalModel,
        config: DecoderConfig,
        cache: KeyValueCache,
        prefixes: PrefixStore,
        figures: EngineFigures,
        tell: Tell,
        leave: Leave,
    ) -> None:
        """``tell`` is called with a sequence that has so many new tokens, unless nobody waits for a part of its text;
        ``leave`` with one that has ended, why, and what went wrong."""
        self._model, self._cache, self._prefixes = model, cache, prefixes
        self._figures, self._tell, self._leave = figures, tell, leave
        self._planner = PassPlanner(model, config)
        self.table = StepTable(config.max_sequences, model.stop_tokens)
        # a recorded reading that is under way, and whose rows of it are to be chosen from
        self._reading: tuple[RecordedPass, dict[RunningSequence, int]] | None = None

    def start(self) -> None:
        """Give the device the recorded step of those whose next token is known, so that it works while others are
        admitted. To be called before `advance`."""
        writing = self._model.writing
        if writing is None:
            return
        if not self.table.ready:
            self._finish_reading()
        self.table.start(writing)

    def advance(self, running: Sequence[RunningSequence]) -> None:
        """One step: a chunk's worth of waiting prompts, and one token of every running sequence."""
        writing = self._model.writing
        if writing is None:
            for pack in self._planner.packs(self._turns(running, mixed=True)):
                self._read(pack)
            return
        self._finish_reading()
        for pack in self._planner.packs(self._turns(running, mixed=False)):
            self._finish_reading()
            self._read(pack)
        self._finish_step(writing)

    def drop(self, sequence: RunningSequence) -> None:
        """A sequence has ended; what is under way for it is not looked at."""
        self.table.drop(sequence)
        if self._reading is not None:
            self._reading[1].pop(sequence, None)

    def forget(self) -> None:
        """A pass has failed, and all that runs is about to end or begin anew."""
        self._reading = None
        self.table.forget()

    def _turns(self, running: Sequence[RunningSequence], *, mixed: bool) -> list[Turn]:
        """What is to be read of prompts now, then all that was written (``mixed``), or more of it than one token."""
        known = [sequence for sequence in running if sequence.unread]
        written = [(sequence, sequence.unread) for sequence in known if not sequence.reading_prompt]
        others = bool(written) or self.table.busy
        prompts = self._planner.prompts([sequence for sequence in known if sequence.reading_prompt], others)
        return [*prompts, *written]

    def _read(self, pack: list[Turn]) -> None:
        """One pass over the next tokens of some sequences, after which those that were read to their end choose."""
        spans, pieces, wanted, choosing = [], [], [], []
        start = 0
        for sequence, count in pack:
            spans.append(Span(sequence.base, start, start + count, sequence.position))
            pieces.append(sequence.take_unread(count))
            start += count
            if sequence.unread == 0:
                wanted.append(start - 1)
                choosing.append(sequence)
        embeddings = self._model.embed(pieces)
        recorded = self._model.reading
        if recorded is None:
            logits = self._model.forward(embeddings, spans, wanted, self._cache)
        else:
            allowed = {row: sequence.allowed() for row, sequence in enumerate(choosing)}
            recorded.read(embeddings, spans, wanted, {row: bits for row, bits in allowed.items() if bits is not None})
            logits = recorded.logits
        for sequence, _ in pack:
            for stop in [stop for stop in sequence.keep if stop <= sequence.position]:
                begin, name = sequence.keep.pop(stop)
                self._prefixes.put(name, self._cache.read(sequence.base + begin, stop - begin))
        for row, sequence in enumerate(choosing):
            if sequence.wants_logits:
                sequence.first_logits = logits[row].float().cpu().numpy()
        if recorded is None:
            self._choose_all(choosing, scores_of(logits, [sequence.allowed() for sequence in choosing]))
        else:
            self._reading = recorded, {sequence: row for row, sequence in enumerate(choosing)}

    def _finish_reading(self) -> None:
        if self._reading is None:
            return
        (recorded, rows), self._reading = self._reading, None
        recorded.wait()
        self._choose_all(list(rows), [recorded.scores(row) for row in rows.values()])

    def _finish_step(self, recorded: RecordedPass) -> None:
        went_on, others = self.table.finish()
        self._figures.generated_tokens += went_on
        self._choose_all([sequence for sequence, _ in others], [recorded.scores(row) for _, row in others])

    def _choose_all(self, choosing: Sequence[RunningSequence], scores: Sequence[Scores]) -> None:
        for sequence, row in zip(choosing, scores, strict=True):
            new = self._choose(sequence, row)
            if len(new) == 1 and self._model.recorded:
                self.table.put(sequence, new[0])
            elif new:
                sequence.feed(new)

    def _choose(self, sequence: RunningSequence, scores: Scores) -> list[int]:
        """Have the sequence choose; returns the tokens to read next, none at its end."""
        before = len(sequence.tokens)
        try:
            finish = sequence.choose(scores, self._model.stop_tokens)
        except DecoderError as error:
            self._leave(sequence, Finish.FAILED, str(error))
            return []
        new = sequence.tokens[before:]
        self._tell(sequence, len(new))
        if finish is None and sequence.stream.stopped:
            finish = Finish.STOP
        if finish is None:
            return new
        self._leave(sequence, finish, "")
        return []
