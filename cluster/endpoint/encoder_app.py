"""One Serve deployment per task encoder: batches what comes together, sleeps when nobody asks."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cluster.endpoint.config import EndpointConfig, EndpointLimits
from cluster.gpu_memory import cap_allocator
from encoders.adapters.adapting import Adapting
from encoders.adapters.soft import SoftTokens
from encoders.base import MediaInput, Perception
from encoders.failures import Failure, FailureCategory, MediaError
from encoders.loading import loading
from encoders.media.opener import MediaOpener
from encoders.registry import ENCODERS
from encoders.tracing import OFF, Trace, span

if TYPE_CHECKING:
    from ray.serve import Application

BATCH = 8  # parts of one batch
BATCH_WAIT_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Reading:
    """What an encoder made of one file. ``loaded``: parameters of all networks that its replica has loaded, by name;
    those that ran are in ``perception.networks``. ``units``: its pages, or seconds of sound. ``soft``: what its adapter
    made of it, where that was asked for."""

    perception: Perception
    loaded: dict[str, int]
    units: float = 0.0
    soft: SoftTokens | None = None

    @property
    def active(self) -> dict[str, int]:
        """Parameters of the networks that ran."""
        return {name: count for name, count in self.loaded.items() if name in self.perception.networks}


class EncoderReplica:
    """One encoder. It works in a thread of its own, one batch at a time, so that the replica stays answerable."""

    def __init__(self, task: str, config: Any, limits: EndpointLimits, device: str, adapter: str | None) -> None:
        from ray import serve

        opening = config.limits.model_copy(update={"max_image_pixels": limits.pixels})
        self._task, self._limits = task, limits
        cap_allocator(device, encoder=(ENCODERS[task], config))
        with loading():
            self._encoder = ENCODERS[task].build(config.model_copy(update={"limits": opening}))
            self._encoder.load(device)
            self._adapter = Adapting(task, adapter, device) if adapter else None
        self._opener = MediaOpener(config.opening, opening)
        # A page that is read from its text layer has no pixels unless they are asked for.
        self._pictures = MediaOpener(config.opening.model_copy(update={"ocr": "always"}), opening)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=task)
        self._batched = serve.batch(self._batch, max_batch_size=BATCH, batch_wait_timeout_s=BATCH_WAIT_SECONDS)

    async def read(self, item: MediaInput, soft: bool, trace: Trace = OFF) -> Reading:
        """Read one file; those that come at the same time share a batch. ``soft``: with soft tokens for the decoder, if
        there is an adapter to make them."""
        with trace.active(), span("read", task=self._task) as opened:
            reading: Reading = await self._batched((item, soft))
            opened.trace.add_stages(reading.perception.seconds, time.time_ns())
        return reading

    async def picture(self, item: MediaInput) -> bytes | Failure:
        """The first page of the item's range as WebP, in the pixels in which results are given."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._picture, item)

    def _picture(self, item: MediaInput) -> bytes | Failure:
        for opened in self._pictures.pages(item):
            if isinstance(opened, Failure):
                return opened
            if opened.image is not None:
                out = io.BytesIO()
                Image.fromarray(opened.image).save(out, "WEBP", quality=80, method=0)
                return out.getvalue()
        return Failure(FailureCategory.EMPTY, "open", "there is no such page to draw", self._task)

    async def _batch(self, asked: list[tuple[MediaInput, bool]]) -> list[Reading]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, asked)

    def _read(self, asked: Sequence[tuple[MediaInput, bool]]) -> list[Reading]:
        looked = [self._look(item) for item, _ in asked]
        fit = [item for (item, _), found in zip(asked, looked, strict=True) if not isinstance(found, Failure)]
        perceptions = iter(self._perceive(fit))
        readings = []
        for (_, soft), found in zip(asked, looked, strict=True):
            if isinstance(found, Failure):
                readings.append(Reading(Perception(None, failures=(found,)), {}))
            else:
                readings.append(self._reading(next(perceptions), found, soft=soft))
        return readings

    def _reading(self, perception: Perception, units: float, *, soft: bool) -> Reading:
        """What travels of a perception: its features stay here."""
        started = time.perf_counter()
        tokens = self._adapter(perception) if soft and self._adapter is not None else None
        if tokens:
            perception.seconds = {**perception.seconds, "adapt": time.perf_counter() - started}
        loaded = dict(self._encoder.parameters())  # some networks are loaded when they are first needed
        if self._adapter is not None:
            loaded |= self._adapter.parameters()
        bare = replace(perception, features=np.zeros((0, 0), np.float16), spans=())
        return Reading(bare, loaded, units, tokens)

    def _look(self, item: MediaInput) -> float | Failure:
        """The file's pages or seconds, unless there are too many of them."""
        try:
            probe = self._opener.probe(item)
        except MediaError as error:
            return error.failure("probe", self._task)
        limits = self._limits
        for amount, most, unit in ((probe.pages, limits.pages, "pages"), (probe.seconds, limits.audio_seconds, "s")):
            if amount > most:
                message = f"the file has {amount:g} {unit}; at most {most:g} are read"
                return Failure(FailureCategory.TOO_LARGE, "probe", message, self._task)
        return probe.pages or probe.seconds

    def _perceive(self, items: Sequence[MediaInput]) -> list[Perception]:
        """Encoders return failures; when one raises all the same, its files are read one by one."""
        if not items:
            return []
        try:
            return self._encoder(items)
        except Exception as error:
            if len(items) > 1:
                return [self._perceive([item])[0] for item in items]
            message = f"{type(error).__name__}: {error}"[:500]
            return [Perception(None, failures=(Failure(FailureCategory.MODEL_FAILED, self._task, message),))]

    def __del__(self) -> None:
        for name in ("_encoder", "_opener", "_pictures"):
            if (part := getattr(self, name, None)) is not None:
                part.close()


def encoder_application(task: str, config: EndpointConfig) -> Application:
    """The deployment of one encoder. It books no CPU: endpoint and runs share two cores, and whole ones do not fit."""
    from ray import serve

    serving = config.serve
    warm = serving.warms(task)
    deployment = serve.deployment(
        EncoderReplica,
        name=task,
        ray_actor_options={"num_cpus": 0, "num_gpus": config.gpu_share_of(task)},
        max_ongoing_requests=4 * BATCH,
        autoscaling_config={
            "min_replicas": 1 if warm else 0,
            "initial_replicas": 1 if warm else 0,
            "max_replicas": serving.encoder_replicas,
            "target_ongoing_requests": 2 * BATCH,
            "upscale_delay_s": 5,
            "downscale_delay_s": min(60.0, serving.idle_seconds),
            "downscale_to_zero_delay_s": serving.idle_seconds,
        },
        health_check_period_s=2,  # a replica that died is replaced once it is missed
        health_check_timeout_s=60,
        graceful_shutdown_timeout_s=60,
    )
    device, adapter = "cuda" if config.gpus else "cpu", config.adapters.get(task)
    given = (task, config.encoders[task], serving.limits, device, adapter)
    # Without a version every deployment is a new one to Serve: replacing the gateways would replace the encoders too.
    # They are replaced where other code has been installed meanwhile.
    version = hashlib.sha256(repr((metadata.version("interlace"), given)).encode()).hexdigest()
    built: Application = deployment.options(version=version, _internal=True).bind(*given)
    return built
