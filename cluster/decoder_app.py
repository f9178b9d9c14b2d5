"""The shared decoder as a Ray Serve application, named after what it is: runs and endpoints that want the same
decoder find the same application."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cluster.gpu_memory import cap_allocator
from decoder.chat import ChatEvent, ChatRequest, ChatResult
from decoder.config import DecoderConfig
from decoder.fingerprint import decoder_fingerprint
from decoder.sequence import (
    DecoderError,
    DecoderUnavailable,
    Delta,
    Generation,
    Overloaded,
    SequenceRequest,
    SoftSegment,
)
from encoders.fault_points import fault_point
from encoders.loading import loading
from encoders.tracing import OFF, Span, Trace, current, flush

if TYPE_CHECKING:
    from ray.serve import Application

    from decoder.handle import Handle

# Ray is imported where it is used: the command line knows this module and mostly does not start Ray.
# Ray copies arguments above 100 KB through the object store, twice per call; below, soft tokens travel inline.
_INLINE_BYTES = 90_000
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class DecoderResources:
    """What the decoder's replicas take of the cluster.

    ``num_cpus`` is nearly nothing in Ray's books: on two cores, replicas and encoder pools that each book a whole
    one would wait for each other for ever.
    """

    num_replicas: int = 1
    num_cpus: float = 0.1
    num_gpus: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)  # of the nodes that may hold them, as Ray selects them


def application_name(config: DecoderConfig) -> str:
    """The name of the application that serves this decoder."""
    return f"decoder-{decoder_fingerprint(config)}"


class DecoderReplica:
    """One engine. Its forward passes run in the engine's own thread, so that health checks are answered."""

    def __init__(self, config: DecoderConfig, device: str) -> None:
        with loading():
            from decoder.chat_answerer import ChatAnswerer
            from decoder.engine import Engine

            cap_allocator(device)
            self._engine = Engine(config)
            self._engine.load(device)
            self._chats = ChatAnswerer(self._engine)

    async def generate(self, batch: list[Any], traces: Sequence[Trace] = ()) -> list[Generation]:
        """A whole batch in one call, unpacked into the engine's queue; cancelled calls leave the engine.

        ``batch`` has the requests, or one reference to the list of them. ``traces``: where the span of each belongs."""
        inline = all(isinstance(item, SequenceRequest) for item in batch)
        requests: list[SequenceRequest] = batch if inline else await batch[0]
        handles: list[Handle] = []
        left = threading.Event()

        def submit() -> None:  # all in one go: the engine's thread lets go of the interpreter once or twice a step
            for request in requests:
                if left.is_set():
                    break
                handles.append(self._engine.submit_or_fail(request))
            if left.is_set():  # the last of them may have come after the others were cancelled
                for handle in handles:
                    handle.cancel()

        try:
            await asyncio.to_thread(submit)
            for handle, trace in zip(handles, traces):
                handle.future.add_done_callback(partial(_generated, trace.open("decode")))
            fault_point("decoder.generate")
            made = list(await asyncio.gather(*(asyncio.wrap_future(handle.future) for handle in handles)))
            if (traced := next((trace for trace in traces if trace), None)) is not None:
                # The run may be over with this batch, and this process with it.
                await asyncio.to_thread(flush, traced.tracing)
            return made
        except asyncio.CancelledError:
            left.set()
            for handle in handles:
                handle.cancel()
            raise

    async def chat(self, request: ChatRequest, soft: list[Any], trace: Trace = OFF) -> ChatResult:
        """A whole answer; a cancelled call leaves the engine. ``soft``: nothing, or a reference to the soft tokens that
        the precontext comes without. ``trace``: where its span belongs. Raises `DecoderError`."""
        opened = trace.open("decode")
        prepared = await asyncio.to_thread(self._chats.prepare, await _whole(request, soft))
        handle = self._chats.submit(prepared)
        handle.future.add_done_callback(partial(_generated, opened))
        try:
            generation = await asyncio.wrap_future(handle.future)
        except asyncio.CancelledError:
            handle.cancel()
            raise
        return await asyncio.to_thread(self._chats.finish, prepared, generation)

    async def chat_stream(self, request: ChatRequest, soft: list[Any], trace: Trace = OFF) -> AsyncIterator[ChatEvent]:
        """Deltas as they come, those that came while one was on its way together, and the result at the end."""
        opened = trace.open("decode")
        prepared = await asyncio.to_thread(self._chats.prepare, await _whole(request, soft))
        loop = asyncio.get_running_loop()
        news: asyncio.Queue[Delta | None] = asyncio.Queue()

        def tell(delta: Delta | None) -> None:
            loop.call_soon_threadsafe(news.put_nowait, delta)

        handle = self._chats.submit(prepared, tell)
        handle.future.add_done_callback(partial(_generated, opened))
        handle.future.add_done_callback(lambda _: tell(None))
        try:
            ended = calling = False
            first = True
            while not ended:
                came = [await news.get()]
                while not news.empty():
                    came.append(news.get_nowait())
                ended = came[-1] is None
                shown = self._chats.delta(prepared, [delta for delta in came if delta is not None])
                if shown is not None:
                    if first:
                        first, calling = False, prepared.calls and shown.text.startswith("{")
                    if not calling:
                        yield shown
            yield await asyncio.to_thread(self._chats.finish, prepared, handle.future.result())
        finally:
            handle.cancel()

    async def figures(self) -> dict[str, Any]:
        """What runs and waits here, tokens so far, and the parameters that are loaded."""
        return {**self._engine.load_figures, "parameters": self._engine.parameters()}

    def check_health(self) -> None:
        """Raises when the engine's thread has ended; Serve then replaces the replica."""
        if not self._engine.alive:
            raise RuntimeError("the engine's thread has ended")

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)
        if engine is not None:
            engine.close()


def _generated(opened: Span, future: Future[Generation]) -> None:
    """The end of a decoder's span: what was read and written."""
    if opened.trace and not future.cancelled() and future.exception() is None:
        made = future.result()
        first = {"prompt_tokens": made.prompt_tokens, "cached_tokens": made.cached_tokens}
        opened.end(finish=str(made.finish), completion_tokens=len(made.tokens), **first)


def application(config: DecoderConfig, resources: DecoderResources) -> Application:
    """The Serve application of a decoder, not yet deployed."""
    from ray import serve

    options: dict[str, Any] = {"num_cpus": resources.num_cpus, "num_gpus": resources.num_gpus}
    if resources.labels:
        options["label_selector"] = dict(resources.labels)
    deployment = serve.deployment(
        DecoderReplica,
        name="decoder",
        num_replicas=resources.num_replicas,
        ray_actor_options=options,
        max_ongoing_requests=1024,  # the engine has its own queue, with priorities
        health_check_period_s=2,  # a replica that died is replaced once it is missed
        health_check_timeout_s=60,
        graceful_shutdown_timeout_s=10,
        graceful_shutdown_wait_loop_s=0.1,  # it goes when nobody holds a lease: 2 s for late requests are for nothing
    )
    built: Application = deployment.bind(config, "cuda" if resources.num_gpus else "cpu")
    return built


@dataclass(frozen=True, slots=True)
class DecoderHandle:
    """A way to the decoder from any process of the cluster; pickles. Holds no lease: see `ensure_decoder`."""

    application: str
    timeout: float = 900.0  # seconds for one batch
    _handle: list[Any] = field(default_factory=list, compare=False, repr=False)

    def generate(self, requests: Sequence[SequenceRequest], traces: Sequence[Trace] = ()) -> list[Generation]:
        """Continue all sequences in one call, results in the order of the requests. Blocks; not for event loops.

        A replica that dies is tried again: greedy decoding gives the same tokens. Raises `TimeoutError`, and
        `DecoderError` when no replica answers.
        """
        from ray.exceptions import RayActorError

        if not requests:
            return []
        for attempt in range(_ATTEMPTS):
            response = self._batches().generate.remote(_travelling(requests), list(traces))
            try:
                result: list[Generation] = response.result(timeout_s=self.timeout)
            except (TimeoutError, FutureTimeoutError) as error:
                response.cancel()
                raise TimeoutError(f"{self.application} gave no answer within {self.timeout} s") from error
            except RayActorError as error:
                if attempt == _ATTEMPTS - 1:
                    raise DecoderError(f"{self.application}: its replicas died {_ATTEMPTS} times: {error}") from error
            else:
                return result
        raise AssertionError("unreachable")

    async def generate_async(self, requests: Sequence[SequenceRequest]) -> list[Generation]:
        """`generate` for event loops; cancelling it cancels the sequences."""
        from ray.exceptions import RayActorError

        if not requests:
            return []
        for attempt in range(_ATTEMPTS):
            response = self._batches().generate.remote(_travelling(requests))
            try:
                result: list[Generation] = await self._answered(response)
            except RayActorError as error:
                if attempt == _ATTEMPTS - 1:
                    raise DecoderError(f"{self.application}: its replicas died {_ATTEMPTS} times: {error}") from error
            else:
                return result
        raise AssertionError("unreachable")

    async def chat(self, request: ChatRequest) -> ChatResult:
        """A whole answer. Cancelling it cancels the sequence; a replica that dies is tried again.

        Raises `DecoderError` for what cannot be asked, `Overloaded` when too many wait, `DecoderUnavailable` when no
        replica answers, and `TimeoutError`.
        """
        travelling, soft = _parted(request)
        replicas = self._batches() if soft else self._deployment()
        for attempt in range(_ATTEMPTS):
            with _plain_errors(self.application, last=attempt == _ATTEMPTS - 1):
                result: ChatResult = await self._answered(replicas.chat.remote(travelling, soft, current()))
                return result
        raise AssertionError("unreachable")

    async def chat_stream(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        """Text as it comes, then the result. Closing the iterator or cancelling its reader cancels the sequence.

        Raises like `chat`, all that is known beforehand at the first event; a replica that dies is tried again as long
        as nothing came from it.
        """
        attempts = _ATTEMPTS
        travelling, soft = _parted(request)
        replicas = self._batches() if soft else self._deployment()
        while attempts:
            attempts -= 1
            events = replicas.options(stream=True).chat_stream.remote(travelling, soft, current())
            try:
                while True:
                    with _plain_errors(self.application, last=not attempts):
                        try:
                            event = await anext(events)
                        except StopAsyncIteration:
                            return
                        attempts = 0
                        yield event
            finally:
                events.cancel()

    def chat_blocking(self, request: ChatRequest) -> ChatResult:
        """`chat` for scripts and tests; not for event loops."""
        return asyncio.run(self.chat(request))

    async def figures_async(self) -> dict[str, Any]:
        """`figures` for event loops."""
        found: dict[str, Any] = await asyncio.wait_for(self._deployment().figures.remote(), 30)
        return found

    def figures(self) -> dict[str, Any]:
        """Queue, tokens and parameters of one replica."""
        found: dict[str, Any] = self._deployment().figures.remote().result(timeout_s=30)
        return found

    async def _answered(self, response: Any) -> Any:
        """What a replica returns, within the timeout. Serve does not cancel a response that nobody awaits any more."""
        try:
            return await asyncio.wait_for(response, self.timeout)
        except (asyncio.CancelledError, TimeoutError):
            response.cancel()
            raise

    def _batches(self) -> Any:
        """A handle whose arguments may be references, also where Serve was told to use gRPC."""
        return self._deployment().options(_by_reference=True)

    def _deployment(self) -> Any:
        from ray import serve

        if not self._handle:  # made where it is used: a handle belongs to its process
            handle = serve.get_app_handle(self.application)
            # Requests are sent from the loop that asks where there is one for ever, as in a replica. Elsewhere loops
            # come and go, or there is none, whatever the cluster's environment says.
            if not handle.is_initialized:
                handle._init(_run_router_in_separate_loop=not _in_a_replica())
            self._handle.append(handle)
        return self._handle[0]

    def __reduce__(self) -> tuple[type[DecoderHandle], tuple[str, float]]:
        return DecoderHandle, (self.application, self.timeout)


def _in_a_replica() -> bool:
    from ray import serve
    from ray.serve.exceptions import RayServeException

    try:
        serve.get_replica_context()
    except RayServeException:
        return False
    return True


@contextmanager
def _plain_errors(application: str, *, last: bool) -> Iterator[None]:
    """The decoder's own errors without what Ray wraps around them. A replica's death passes silently, to be tried
    again, unless this was the last attempt."""
    from ray.exceptions import RayActorError, RayTaskError
    from ray.serve.exceptions import BackPressureError

    try:
        yield
    except RayTaskError as error:
        if isinstance(error.cause, DecoderError):
            raise error.cause from None
        raise
    except BackPressureError as error:
        raise Overloaded(f"{application}: {error}") from error
    except RayActorError as error:
        if last:
            raise DecoderUnavailable(f"{application}: its replica died: {error}") from error


def _parted(request: ChatRequest) -> tuple[ChatRequest, list[Any]]:
    """The request as it is and nothing; or without its soft tokens and a reference to them, when they are too large to
    travel inline."""
    soft = [entry.soft for entry in request.precontext]
    if sum(tokens.vectors.nbytes for tokens in soft if tokens is not None) <= _INLINE_BYTES:
        return request, []
    import ray

    bare = tuple(replace(entry, soft=None) for entry in request.precontext)
    return replace(request, precontext=bare), [ray.put(soft)]


async def _whole(request: ChatRequest, soft: list[Any]) -> ChatRequest:
    """The opposite of `_parted`."""
    if not soft:
        return request
    entries = zip(request.precontext, await soft[0], strict=True)
    return replace(request, precontext=tuple(replace(entry, soft=tokens) for entry, tokens in entries))


def _travelling(requests: Sequence[SequenceRequest]) -> list[Any]:
    """The requests as they are, or as one reference when their soft tokens are too large to travel inline."""
    soft = sum(s.vectors.nbytes for request in requests for s in request.segments if isinstance(s, SoftSegment))
    if soft <= _INLINE_BYTES and len(pickle.dumps(requests, protocol=5)) <= _INLINE_BYTES:
        return list(requests)
    import ray

    return [ray.put(list(requests))]
