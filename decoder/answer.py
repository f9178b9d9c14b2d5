"""From a question and what the specialists read to an answer with confidence and evidence.

`prepare` and `finish` are pure and need the tokenizer only; what lies between them, the engine, may run in this
process or behind Ray Serve. `answer` does all three here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from decoder.calibration import calibration_of
from decoder.config import DecoderConfig
from decoder.evidence import Evidence
from decoder.fusion import Fusion
from decoder.grounding import Leaf, ground
from decoder.precontext import Precontext
from decoder.sequence import DecoderError, Finish, Generation, Priority, SequenceRequest
from encoders.failures import Failure, FailureCategory

if TYPE_CHECKING:
    from decoder.engine import Engine


@dataclass(frozen=True, slots=True)
class AnswerTask:
    """What is asked of one asset: a question, a JSON schema (as text), or both."""

    uri: str
    question: str | None
    schema: str | None
    precontext: tuple[Precontext, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for one asset. ``text`` is JSON when a schema was given; "" when there are failures.

    ``truncated``: the document was longer than the prompt, ``note`` says how much of it was read.
    ``precontext`` names the specialists whose results were read.
    """

    uri: str
    text: str
    confidence: float
    evidence: tuple[Evidence, ...] = ()
    leaves: tuple[Leaf, ...] = ()
    truncated: bool = False
    note: str = ""
    precontext: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    prompt_tokens: int = 0
    new_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A task with its request for the engine, or with the failure that keeps it from being asked."""

    task: AnswerTask
    request: SequenceRequest | None
    truncated: bool = False
    note: str = ""
    failure: Failure | None = None


class Answerer:
    """Answers questions about assets with one decoder.

    Construct with a config. `prepare` and `finish` load the tokenizer only; `load` starts an engine for `answer`.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.config = config
        self.fusion = Fusion(config)
        self.calibration = calibration_of(config.checkpoint)
        self._engine: Engine | None = None

    def load(self, device: str = "cpu") -> None:
        """Load tokenizer and decoder onto ``cpu`` or ``cuda[:n]``."""
        self.fusion.load()
        if self._engine is None:
            from decoder.engine import Engine  # brings torch, which `prepare` and `finish` do not need

            self._engine = Engine(self.config)
            self._engine.load(device)

    @property
    def engine(self) -> Engine:
        """The engine that `load` started."""
        if self._engine is None:
            raise DecoderError("load the answerer before asking")
        return self._engine

    def answer(self, tasks: Sequence[AnswerTask]) -> list[Answer]:
        """One answer per task, in order. Never raises for a bad schema or document: those are failures."""
        prepared = [self.prepare(task) for task in tasks]
        requests = [item.request for item in prepared if item.request is not None]
        generations = iter(self.engine.generate(requests))
        return [self.finish(item, next(generations) if item.request else None) for item in prepared]

    def prepare(self, task: AnswerTask, priority: Priority = Priority.BATCH) -> Prepared:
        """The engine's request for a task. Needs no model."""
        try:
            prompt = self.fusion.prompt(task.question, task.schema, task.precontext)
        except DecoderError as error:
            return Prepared(task, None, failure=Failure(FailureCategory.UNSUPPORTED, "answer", str(error)))
        request = SequenceRequest(prompt.segments, schema=task.schema, priority=priority, shared=prompt.shared)
        return Prepared(task, request, prompt.truncated, prompt.note)

    def finish(self, prepared: Prepared, generation: Generation | None) -> Answer:
        """The answer that a generation says, with confidence and evidence. ``generation`` None: there was none."""
        task = prepared.task
        names = tuple(dict.fromkeys(entry.name for entry in task.precontext))
        failure = prepared.failure or _failure_of(generation)
        if failure is not None or generation is None:
            return Answer(task.uri, "", 0.0, precontext=names, failures=(failure,) if failure else ())
        is_json = task.schema is not None
        grounding = ground(
            generation,
            self.fusion.tokenizer,
            task.precontext,
            task.question or "",
            is_json=is_json,
            calibration=self.calibration,
        )
        return Answer(
            uri=task.uri,
            text=generation.text if is_json else generation.text.strip(),
            confidence=grounding.confidence,
            evidence=grounding.evidence,
            leaves=grounding.leaves,
            truncated=prepared.truncated,
            note=prepared.note,
            precontext=names,
            prompt_tokens=generation.prompt_tokens,
            new_tokens=len(generation.tokens),
        )

    def close(self) -> None:
        """End the engine and free the decoder."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def _failure_of(generation: Generation | None) -> Failure | None:
    if generation is None or generation.failure is not None:
        return generation.failure if generation else None
    if generation.finish is Finish.CANCELLED:
        return Failure(FailureCategory.TIMED_OUT, "answer", "the answer was cancelled before it was complete")
    return None
