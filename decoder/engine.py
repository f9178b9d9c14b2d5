"""The engine: many sequences at once, each joining and leaving between two steps.

A step reads one chunk of one waiting prompt and writes one token of every running sequence (more when a schema
forces them). Decoding is greedy. On CPU in float32 the tokens of a sequence do not depend on what ran beside it:
attention is per sequence (`attention`), products of 2 to 16 rows give each row the same bits (`model`), so packs
have at most 16 rows, and a prompt's chunks are cut at the same places whatever else is going on.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer

from decoder.attention import SlotCache, Span
from decoder.config import DecoderConfig
from decoder.constrain import JsonGrammars
from decoder.model import CausalModel
from decoder.running import RunningSequence
from decoder.sequence import DecoderError, Finish, Generation, Priority, SequenceRequest
from encoders.checkpoints.resolve import resolve
from encoders.failures import Failure, FailureCategory

OnToken = Callable[[int], None]
_PACK_ROWS = 16  # most rows of one product that mixes sequences; see the module's docstring


class Handle:
    """A submitted sequence: wait for its generation, or cancel it."""

    def __init__(self, request: SequenceRequest, on_token: OnToken | None) -> None:
        self.request = request
        self.on_token = on_token
        self.future: Future[Generation] = Future()
        self.future.set_running_or_notify_cancel()  # so that only the engine ends it; `cancel` asks the engine
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop after the step that is running; the result is then what was written so far."""
        self.cancelled.set()

    def result(self, timeout: float | None = None) -> Generation:
        """Wait for the end, at most ``timeout`` seconds (`TimeoutError`)."""
        return self.future.result(timeout)


class Engine:
    """A causal language model that continues sequences of text and soft tokens.

    Construct with a config, `load` once, then `generate` lists or `submit` single sequences from any thread;
    `close` at the end. A sequence that cannot be worked with comes back with finish ``failed`` and a failure.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.config = config
        self._model: CausalModel | None = None
        self._thread: threading.Thread | None = None
        self._wake = threading.Condition()
        self._closing = False
        self._waiting: list[tuple[int, int, Handle]] = []
        self._count = itertools.count()
        self._free: list[int] = []
        self._running: list[RunningSequence] = []
        self.steps = 0
        self.generated_tokens = 0
        self.prompt_tokens = 0

    def load(self, device: str = "cpu") -> None:
        """Load the checkpoint onto ``cpu`` or ``cuda[:n]``, allocate the cache, start the engine's thread."""
        if self._model is not None:
            return
        folder = resolve(self.config.checkpoint)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        model = CausalModel(folder, self.config, device)
        length = min(self.config.sequence_tokens, model.max_positions or self.config.sequence_tokens)
        slots = min(self.config.max_sequences, self.config.kv_cache_bytes // (model.bytes_per_token * length))
        if slots < 1:
            raise DecoderError(
                f"one sequence of {length} tokens takes {model.bytes_per_token * length} bytes of cache, "
                f"kv_cache_bytes is {self.config.kv_cache_bytes}: raise it or lower prompt_tokens"
            )
        self._cache = SlotCache(model.layers, slots, length, model.dtype, model.device)
        self._grammars = JsonGrammars(self.tokenizer, model.vocabulary, model.stop_tokens)
        self._free = list(range(slots))
        self._reserved = min(self.config.reserved_online, slots - 1)
        self._model = model
        self._thread = threading.Thread(target=self._run, name="decoder-engine", daemon=True)
        self._thread.start()

    @property
    def slots(self) -> int:
        """How many sequences can run at once."""
        return self._cache.slots

    @property
    def width(self) -> int:
        """d_model: the width of soft tokens."""
        return self._loaded.width

    def embeddings(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """The decoder's own embeddings [n, d_model] of token ids: the scale that soft tokens must have."""
        with torch.inference_mode():
            embedded: NDArray[np.float32] = self._loaded.embed_tokens(tokens).float().cpu().numpy()
        return embedded

    @property
    def load_figures(self) -> dict[str, int]:
        """Running and waiting sequences, steps and tokens so far."""
        return {
            "running": len(self._running),
            "waiting": len(self._waiting),
            "steps": self.steps,
            "generated_tokens": self.generated_tokens,
            "prompt_tokens": self.prompt_tokens,
        }

    @property
    def alive(self) -> bool:
        """Whether the engine's thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def parameters(self) -> dict[str, int]:
        """Parameter count of what is loaded, by checkpoint name."""
        return {self.config.checkpoint: self._model.parameters} if self._model else {}

    def submit(self, request: SequenceRequest, on_token: OnToken | None = None) -> Handle:
        """Queue a sequence. ``on_token`` is called with each new token, in the engine's thread."""
        handle = Handle(request, on_token)
        with self._wake:
            if self._thread is None or self._closing:
                raise DecoderError("the engine is not loaded")
            heapq.heappush(self._waiting, (int(request.priority), next(self._count), handle))
            self._wake.notify()
        return handle

    def generate(self, requests: Sequence[SequenceRequest]) -> list[Generation]:
        """Continue all sequences, in whatever order there is room; results in the order of the requests."""
        handles = [self.submit(request) for request in requests]
        return [handle.result() for handle in handles]

    def close(self) -> None:
        """End the thread and free the model; sequences that wait or run come back as cancelled."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        self._thread = self._model = None

    @property
    def _loaded(self) -> CausalModel:
        if self._model is None:
            raise DecoderError("the engine is not loaded")
        return self._model

    def _run(self) -> None:
        torch.set_num_threads(self.config.threads)
        with torch.inference_mode():
            while True:
                with self._wake:
                    while not (self._closing or self._waiting or self._running):
                        self._wake.wait()
                    if self._closing:
                        break
                self._drop_cancelled()
                self._admit()
                try:
                    self._step()
                except Exception as error:  # a step that fails must not leave callers waiting for ever
                    self._fail_running(error)
        for sequence in list(self._running):
            self._leave(sequence, Finish.CANCELLED)
        for _, _, handle in self._waiting:
            handle.future.set_result(_unread(handle.request, Finish.CANCELLED))

    def _drop_cancelled(self) -> None:
        for sequence in [s for s in self._running if s.handle.cancelled.is_set()]:
            self._leave(sequence, Finish.CANCELLED)
        with self._wake:
            gone = [entry for entry in self._waiting if entry[2].cancelled.is_set()]
            if gone:
                self._waiting = [entry for entry in self._waiting if not entry[2].cancelled.is_set()]
                heapq.heapify(self._waiting)
        for _, _, handle in gone:
            handle.future.set_result(_unread(handle.request, Finish.CANCELLED))

    def _admit(self) -> None:
        """Give free slots to those who wait, online first; batch work leaves the reserved ones free."""
        while self._free:
            with self._wake:
                if not self._waiting:
                    return
                priority, _, handle = self._waiting[0]
                if priority != Priority.ONLINE and len(self._free) <= self._reserved:
                    return
                heapq.heappop(self._waiting)
            try:
                sequence = self._start(handle)
            except DecoderError as error:
                handle.future.set_result(_unread(handle.request, Finish.FAILED, str(error)))
                continue
            self._running.append(sequence)
            if sequence.tokens:
                self._tell(sequence, sequence.tokens)
            if (finish := sequence.finish_without_choice()) is not None:
                self._leave(sequence, finish)

    def _start(self, handle: Handle) -> RunningSequence:
        request = handle.request
        limit = request.max_new_tokens or self.config.max_new_tokens
        length = len(request)
        if length == 0:
            raise DecoderError("the prompt is empty")
        if length + limit > self._cache.length:
            raise DecoderError(
                f"a prompt of {length} tokens and {limit} new ones do not fit the window of {self._cache.length}"
            )
        constraint = self._grammars.constraint(request.schema, limit) if request.schema is not None else None
        opening = constraint.forced() if constraint is not None else []
        embeddings = torch.cat([self._loaded.embed(request), self._loaded.embed_tokens(opening)])
        self.prompt_tokens += length
        return RunningSequence(handle, self._free.pop(), embeddings, limit, constraint, opening)

    def _step(self) -> None:
        self.steps += 1
        reading = [sequence for sequence in self._running if sequence.reading_prompt]
        turns = [(sequence, sequence.unread) for sequence in self._running if sequence not in reading]
        if reading:
            first = min(reading, key=lambda sequence: sequence.handle.request.priority)
            turns.insert(0, (first, first.next_chunk(self.config.prefill_chunk)))
        for pack in _packs(turns):
            self._forward(pack)

    def _forward(self, pack: list[tuple[RunningSequence, int]]) -> None:
        """One pass over the next tokens of some sequences; those that are read to their end choose a token."""
        spans, pieces, wanted, choosing = [], [], [], []
        start = 0
        for sequence, count in pack:
            spans.append(Span(sequence.slot, start, start + count, sequence.position))
            pieces.append(sequence.take_unread(count))
            start += count
            if sequence.unread == 0:
                wanted.append(start - 1)
                choosing.append(sequence)
        logits = self._loaded.forward(torch.cat(pieces), spans, wanted, self._cache)
        for sequence, row in zip(choosing, logits, strict=True):
            self._choose(sequence, row)

    def _choose(self, sequence: RunningSequence, logits: torch.Tensor) -> None:
        before = len(sequence.tokens)
        try:
            finish = sequence.choose(logits, self._loaded.stop_tokens)
        except DecoderError as error:
            self._leave(sequence, Finish.FAILED, str(error))
            return
        new = sequence.tokens[before:]
        self._tell(sequence, new)
        if finish is not None:
            self._leave(sequence, finish)
        else:
            sequence.feed(self._loaded.embed_tokens(new))

    def _tell(self, sequence: RunningSequence, tokens: list[int]) -> None:
        self.generated_tokens += len(tokens)
        if sequence.handle.on_token is not None:
            for token in tokens:
                sequence.handle.on_token(token)

    def _leave(self, sequence: RunningSequence, finish: Finish, message: str = "") -> None:
        self._running.remove(sequence)
        self._free.append(sequence.slot)
        failure = Failure(FailureCategory.MODEL_FAILED, "answer", message) if message else None
        sequence.handle.future.set_result(
            Generation(
                text=self.tokenizer.decode(sequence.tokens, skip_special_tokens=True),
                tokens=tuple(sequence.tokens),
                logprobs=tuple(sequence.logprobs),
                finish=finish,
                prompt_tokens=len(sequence.handle.request),
                end_logprob=sequence.end_logprob,
                first_logits=sequence.first_logits,
                failure=failure,
            )
        )

    def _fail_running(self, error: Exception) -> None:
        for sequence in list(self._running):
            self._leave(sequence, Finish.FAILED, f"{type(error).__name__}: {error}")


def _packs(turns: list[tuple[RunningSequence, int]]) -> list[list[tuple[RunningSequence, int]]]:
    """Group spans into passes: long ones alone, short ones together up to the most rows that are safe."""
    packs: list[list[tuple[RunningSequence, int]]] = []
    rows = _PACK_ROWS
    for sequence, count in turns:
        if count > _PACK_ROWS // 2:
            packs.append([(sequence, count)])
            continue
        if rows + count > _PACK_ROWS or not packs or packs[-1][0][1] > _PACK_ROWS // 2:
            packs.append([])
            rows = 0
        packs[-1].append((sequence, count))
        rows += count
    return packs


def _unread(request: SequenceRequest, finish: Finish, message: str = "") -> Generation:
    failure = Failure(FailureCategory.UNSUPPORTED, "answer", message) if message else None
    return Generation("", (), (), finish, len(request), failure=failure)
