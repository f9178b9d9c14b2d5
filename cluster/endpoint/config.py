"""Settings of the endpoint: where it listens, who may ask, how much of what, and when it sleeps."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from decoder.config import DecoderConfig
from encoders.tracing import Tracing

MIB = 1 << 20


class EndpointLimits(BaseModel):
    """Bounds of one request and of all that are under way. Over them: 413 or 400 with the field's name, or 429."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    body_bytes: int = Field(40 * MIB, ge=1024, description="longest body of a request; base64 takes 4/3 of a file")
    body_seconds: float = Field(60.0, gt=0, description="time in which a body must have arrived")
    bodies_bytes: int = Field(
        256 * MIB,
        ge=1024,
        description="bodies of all requests that are under way, together; and of what is fetched for them",
    )
    requests: int = Field(256, ge=1, description="requests that are under way at once")
    files: int = Field(16, ge=0, description="files of one request, URLs in its text included")
    file_bytes: int = Field(20 * MIB, ge=1, description="one file that came in the body")
    url_bytes: int = Field(80 * MIB, ge=1, description="one file that was fetched from a URL")
    url_seconds: float = Field(30.0, gt=0, description="time to fetch a URL, redirects included")
    pages: int = Field(50, ge=1, description="pages of one document")
    pixels: int = Field(100_000_000, ge=10_000, description="pixels that an image may declare")
    audio_seconds: float = Field(3600.0, gt=0, description="length of one recording")
    request_seconds: float = Field(900.0, gt=0, description="time for one request")
    per_key_requests: int = Field(64, ge=1, description="requests that one key may have under way")
    per_key_rate: float = Field(50.0, gt=0, description="requests per second that one key may begin, on average")
    per_key_burst: int = Field(100, ge=1, description="requests that one key may begin at once")


class ServeConfig(BaseModel):
    """What `interlace serve` does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="address to listen on; others than loopback need keys")
    port: int = Field(8000, ge=1, le=65535, description="port to listen on")
    keys: Path | None = Field(None, description="file of API keys, one a line; read again when it changes")
    warm: tuple[str, ...] = Field((), description="what is kept loaded: tasks, decoder, or all")
    models: tuple[str, ...] = Field(
        ("interlace", "interfaze-beta", "interfaze-1-lite"), min_length=1, description="names the endpoint answers to"
    )
    allow_urls: tuple[str, ...] = Field(
        (), description="networks (10.0.0.0/8) whose URLs may be fetched although they are not public"
    )
    allow_hosts: tuple[str, ...] = Field(
        (), description="host names besides localhost under which browsers may ask when there are no keys"
    )
    idle_seconds: float = Field(300.0, ge=1, description="time without requests after which networks are unloaded")
    replicas: int = Field(1, ge=1, description="gateways")
    encoder_replicas: int = Field(1, ge=1, description="most replicas of one encoder")
    gpu_share: float = Field(
        0.15,
        gt=0,
        le=1,
        description="share of a GPU for a network whose memory, or the card's, is not known",
    )
    limits: EndpointLimits = EndpointLimits()

    @field_validator("allow_urls")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network, strict=False)
        return value

    def warms(self, name: str) -> bool:
        """Whether a task, or "decoder", is kept loaded."""
        return "all" in self.warm or name in self.warm


class EndpointConfig(BaseModel):
    """All that the gateway needs to know: the serve settings, the decoder's, and those of every encoder by task."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    serve: ServeConfig
    decoder: DecoderConfig
    encoders: dict[str, Any]
    adapters: dict[str, str] = {}  # task to the checkpoint of the adapter whose soft tokens the decoder reads
    tracing: Tracing = Tracing()
    gpus: float = 0.0
    gpu_shares: dict[str, float] = {}  # of a card, by task, with `answer` for the decoder; those not named: as set
    generation: int = 0  # another one is another version to Serve: its gateways replace those of the one before

    def gpu_share_of(self, task: str) -> float:
        """Of a card, for one replica of an encoder, or of the decoder (`answer`); 0 without GPUs."""
        return self.gpu_shares.get(task, self.serve.gpu_share) if self.gpus else 0.0
