"""The engine: many sequences at once, each joining and leaving between two steps.

A step reads a chunk's worth of waiting prompts and writes one token of every running sequence (more when a schema
forces them). On CPU the tokens of a sequence do not depend on what ran beside it: attention is per sequence
(`attention`), a pass has no more rows than give each the same bits (`rows`), a prompt's chunks are cut at the same
places whatever else is going on, and draws come from the sequence's own seed. On CUDA it does not either, because all
passes have the same shapes (`recorded`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer

from decoder.cache import KeyValueCache
from decoder.config import DecoderConfig
from decoder.constrain import JsonConstraint, JsonGrammars
from decoder.engine_figures import EngineFigures
from decoder.handle import Handle, OnDelta, unread
from decoder.model import CausalModel
from decoder.prefixes import PrefixStore, block_names
from decoder.running import RunningSequence
from decoder.sequence import DecoderError, Finish, Generation, Priority, SequenceRequest
from decoder.stepper import Stepper
from decoder.waiting import WaitingLine
from encoders.checkpoints.resolve import resolve
from encoders.failures import Failure, FailureCategory, is_out_of_memory


class Engine:
    """A causal language model that continues sequences of text and soft tokens.

    Construct with a config, `load` once, then `generate` lists or `submit` single sequences from any thread;
    `close` at the end. In a list, a sequence that cannot be worked with comes back ``failed``, with a failure.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self.config = config
        self.figures = EngineFigures()
        self._model: CausalModel | None = None
        self._thread: threading.Thread | None = None
        self._wake = threading.Condition()
        self._closing = False
        self._look_for_cancelled = threading.Event()
        self._waiting = WaitingLine(config.max_waiting)
        self._running: list[RunningSequence] = []
        self._most = config.max_sequences  # fewer once memory ran out
        self._prefixes = PrefixStore(config.prefix_cache_bytes)

    def load(self, device: str = "cpu") -> None:
        """Load the checkpoint onto ``cpu`` or ``cuda[:n]``, reserve the cache, start the engine's thread."""
        if self._model is not None:
            return
        folder = resolve(self.config.checkpoint)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        model = CausalModel(folder, self.config, device)
        places = self.config.kv_cache_bytes // model.bytes_per_token
        self.window = min(self.config.context_tokens or model.max_positions or self.config.sequence_tokens, places)
        self._reserved = min(self.config.reserved_online * self.config.sequence_tokens, places // 2)
        if places < self.config.sequence_tokens:
            raise DecoderError(
                f"one sequence of {self.config.sequence_tokens} tokens takes "
                f"{model.bytes_per_token * self.config.sequence_tokens} bytes of cache, "
                f"kv_cache_bytes is {self.config.kv_cache_bytes}: raise it or lower prompt_tokens"
            )
        self._cache = KeyValueCache(model.layers, places, model.dtype, model.device)
        model.record(self._cache, self.config.max_sequences)
        self._grammars = JsonGrammars(self.tokenizer, model.vocabulary, model.stop_tokens)
        self._stepper = Stepper(model, self.config, self._cache, self._prefixes, self.figures, self._tell, self._leave)
        self._model = model
        self._thread = threading.Thread(target=self._run, name="decoder-engine", daemon=True)
        self._thread.start()

    @property
    def rows(self) -> int:
        """Most rows of a pass that mixes sequences; see `decoder.rows`."""
        return self._loaded.rows

    @property
    def width(self) -> int:
        """d_model: the width of soft tokens."""
        return self._loaded.width

    def embeddings(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """The decoder's own embeddings [n, d_model] of token ids: the scale that soft tokens must have."""
        with torch.inference_mode():
            embedded: NDArray[np.float32] = self._loaded.embed_tokens(tokens).float().cpu().numpy()
        return embedded

    def token_bytes(self, token: int) -> bytes:
        """What a token spells."""
        return self._grammars.bytes_of(token)

    @property
    def load_figures(self) -> dict[str, Any]:
        """Running and waiting sequences, bytes of the cache, and the counters so far."""
        token = self._loaded.bytes_per_token
        return {
            "running": len(self._running),
            "waiting": len(self._waiting),
            "waiting_online": self._waiting.online,
            "kv_bytes": self._cache.places * token,
            "kv_bytes_used": (self._cache.places - self._cache.free) * token,
            "prefix_bytes": self._prefixes.bytes,
            **self.figures.as_dict(),
        }

    @property
    def alive(self) -> bool:
        """Whether the engine's thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def parameters(self) -> dict[str, int]:
        """Parameter count of what is loaded, by checkpoint name."""
        return {self.config.checkpoint: self._model.parameters} if self._model else {}

    def submit(self, request: SequenceRequest, on_delta: OnDelta | None = None) -> Handle:
        """Queue a sequence. ``on_delta`` is called with each new piece of text, in the engine's thread.

        Raises `DecoderError` for what can never be done, and `Overloaded` when too many online requests wait.
        """
        handle = Handle(request, on_delta)
        handle.on_cancel = self._look_for_cancelled.set
        try:
            self._check(request)
            handle.constraint = self.constraint(request)
        except DecoderError:
            self.figures.refused += 1
            raise
        with self._wake:
            if self._thread is None or self._closing:
                raise DecoderError("the engine is not loaded")
            try:
                self._waiting.push(handle)
            except DecoderError:
                self.figures.overloaded += 1
                raise
            self._wake.notify()
        return handle

    def constraint(self, request: SequenceRequest) -> JsonConstraint | None:
        """What the request's schema or grammar allows; compiled the first time, remembered after. Raises `DecoderError`
        when it cannot be enforced, or not within the limit of new tokens."""
        if request.schema is not None:
            return self._grammars.constraint(request.schema, self._limit(request))
        if request.grammar is not None:
            return self._grammars.of_grammar(request.grammar, self._limit(request))
        return None

    def submit_or_fail(self, request: SequenceRequest) -> Handle:
        """`submit` for lists: what cannot be done is a handle whose generation has failed already."""
        try:
            return self.submit(request)
        except DecoderError as error:
            if not self.alive:
                raise
            handle = Handle(request, None)
            handle.future.set_result(unread(request, Finish.FAILED, str(error)))
            return handle

    def generate(self, requests: Sequence[SequenceRequest]) -> list[Generation]:
        """Continue all sequences, in whatever order there is room; results in the order of the requests."""
        handles = [self.submit_or_fail(request) for request in requests]
        return [handle.result() for handle in handles]

    def close(self) -> None:
        """End the thread and free the model; sequences that wait or run come back as cancelled."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
            del self._stepper, self._cache  # they hold the model too, and the stepper this engine
        self._thread = self._model = None

    @property
    def _loaded(self) -> CausalModel:
        if self._model is None:
            raise DecoderError("the engine is not loaded")
        return self._model

    def _limit(self, request: SequenceRequest) -> int:
        return request.max_new_tokens or self.config.max_new_tokens

    def _check(self, request: SequenceRequest) -> None:
        length, limit = len(request), self._limit(request)
        if length == 0:
            raise DecoderError("the prompt is empty", "messages")
        if length + limit > self.window:
            raise DecoderError(
                f"a prompt of {length} tokens and {limit} new ones do not fit the window of {self.window}", "messages"
            )
        self._loaded.check(request)

    def _run(self) -> None:
        torch.set_num_threads(self.config.threads)
        with torch.inference_mode():
            while True:
                with self._wake:
                    while not (self._closing or len(self._waiting) or self._running):
                        self._wake.wait()
                    if self._closing:
                        break
                started = time.monotonic()
                try:
                    self._drop_cancelled()
                    self._stepper.start()
                    self._admit()
                    self.figures.steps += 1
                    self._stepper.advance(self._running)
                except Exception as error:  # a step that fails must not leave callers waiting for ever
                    self._fail_running(error)
                self.figures.busy_seconds += time.monotonic() - started
        for sequence in list(self._running):
            self._leave(sequence, Finish.CANCELLED)
        for handle in self._waiting.clear():
            handle.future.set_result(unread(handle.request, Finish.CANCELLED))

    def _drop_cancelled(self) -> None:
        if not self._look_for_cancelled.is_set():
            return
        self._look_for_cancelled.clear()
        for sequence in [s for s in self._running if s.handle.cancelled.is_set()]:
            self._leave(sequence, Finish.CANCELLED)
        with self._wake:
            gone = self._waiting.take_cancelled()
        for handle in gone:
            self.figures.cancelled += 1
            handle.future.set_result(unread(handle.request, Finish.CANCELLED))

    def _admit(self) -> None:
        """Give places to those who wait, in order; batch work leaves the reserved ones free."""
        while len(self._running) < self._most:
            with self._wake:
                handle = self._waiting.first()
                if handle is None:
                    return
                count = len(handle.request) + self._limit(handle.request)
                batch = handle.request.priority != Priority.ONLINE
                left = self._most - len(self._running), self._cache.free - count
                if batch and self._running and (left[0] <= self.config.reserved_online or left[1] < self._reserved):
                    return
                base = self._cache.take(count)
                if base is None:
                    return
                self._waiting.pop()
            try:
                sequence = self._start(handle, base)
            except Exception as error:  # one that cannot begin must not end the thread of all the others
                self._cache.give_back(base, count)
                message = f"{type(error).__name__}: {error}"
                handle.future.set_result(unread(handle.request, Finish.FAILED, message))
                continue
            self._running.append(sequence)
            if sequence.tokens:
                self._tell(sequence, len(sequence.tokens))
            if (finish := sequence.finish_without_choice()) is not None:
                self._leave(sequence, finish)

    def _start(self, handle: Handle, base: int) -> RunningSequence:
        request, constraint = handle.request, handle.constraint
        opening = constraint.forced() if constraint is not None else []
        prompt = self._loaded.prompt(request, opening)
        sequence = RunningSequence(handle, base, prompt, self._limit(request), constraint, opening, self.tokenizer)
        self._reuse(sequence)
        self.figures.prompt_tokens += len(request)
        return sequence

    def _reuse(self, sequence: RunningSequence) -> None:
        """Take what is known of the prompt's beginning from the store, and note what is to be kept of the rest."""
        request = sequence.handle.request
        known = True
        for start, stop, name in block_names(request, self.config.prefill_chunk):
            block = self._prefixes.get(name) if known else None
            known = block is not None
            if block is not None:
                self._cache.write(sequence.base + start, block)
                sequence.take_unread(stop - start)
                sequence.cached = stop
            elif stop <= request.shared or request.priority == Priority.ONLINE:
                sequence.keep[stop] = (start, name)
        self.figures.cached_prompt_tokens += sequence.cached

    def _tell(self, sequence: RunningSequence, new: int) -> None:
        """Count new tokens, and hand on what can be read of them."""
        if new and len(sequence.tokens) == new:
            self.figures.time_to_first_token.add(time.monotonic() - sequence.handle.submitted)
        self.figures.generated_tokens += new
        handle = sequence.handle
        if handle.on_delta is not None or handle.request.stop:
            delta = sequence.show()
            if delta is not None:
                handle.tell(delta)

    def _leave(self, sequence: RunningSequence, finish: Finish, message: str = "") -> None:
        handle = sequence.handle
        self._remove(sequence)
        delta = sequence.show(final=True)
        if delta is not None:
            handle.tell(delta)
        if finish is Finish.CANCELLED:
            self.figures.cancelled += 1
        else:
            self.figures.finished += 1
        failure = Failure(FailureCategory.MODEL_FAILED, "answer", message) if message else None
        handle.future.set_result(
            Generation(
                text=sequence.stream.text,
                tokens=tuple(sequence.tokens),
                logprobs=tuple(sequence.logprobs),
                finish=finish,
                prompt_tokens=len(handle.request),
                end_logprob=sequence.end_logprob,
                first_logits=sequence.first_logits,
                failure=failure,
                alternatives=tuple(sequence.alternatives) if handle.request.top_logprobs else (),
                cached_tokens=sequence.cached,
            )
        )

    def _remove(self, sequence: RunningSequence) -> None:
        self._running.remove(sequence)
        self._stepper.drop(sequence)
        self._cache.give_back(sequence.base, len(sequence.handle.request) + sequence.limit)

    def _fail_running(self, error: Exception) -> None:
        """End what runs. Where memory ran out over several sequences half as many run from now on, and those of which
        nobody has seen anything begin anew: a sequence has the same tokens in any company."""
        self._stepper.forget()
        memory = is_out_of_memory(error) and len(self._running) > 1
        self._most = max(1, len(self._running) // 2) if memory else self._most
        for sequence in list(self._running):
            if memory and sequence.handle.on_delta is None:
                self._remove(sequence)
                sequence.handle.constraint = self.constraint(sequence.handle.request)  # the last one went along
                with self._wake:
                    self._waiting.return_to(sequence.handle)
            else:
                self._leave(sequence, Finish.FAILED, f"{type(error).__name__}: {error}")
