"""Settings of the speech encoder."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from encoders.media.config import OpeningConfig, OpeningLimits


class SpeakerConfig(BaseModel):
    """How turns are found. The defaults were tuned once on nine meeting clips; see benchmarks/speech_diarization.py."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int | None = Field(None, ge=1, description="number of speakers when it is known; else it is estimated")
    max_count: int = Field(10, ge=1, description="most speakers to look for in one part")
    window: float = Field(1.6, gt=0, description="seconds of one voice window; the network was trained on 1.6 s")
    hop: float = Field(0.4, gt=0, description="seconds between voice windows")


class SpeechConfig(BaseModel):
    """Settings of `SpeechEncoder`. ``threads`` and ``batch_windows`` do not shape a perception."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    card_gib: ClassVar[float] = 2.9
    """What a process that computes for all of a card needs beside its networks: 750 windows of 30 s of all clients, as
    samples and encoded, 3.3 MiB each, and 0.4 for voice activity: two minutes and a workspace on each of its streams.
    Decoders of 160 rows take no more than those that an actor records, of 127."""

    checkpoint: str = Field(
        "speech", description="role, Hugging Face id, folder or s3:// prefix of the whisper network"
    )
    activity_checkpoint: str = Field("speech_activity", description="the same for voice activity (silero)")
    speaker_checkpoint: str = Field("speaker", description="the same for the speaker encoder")
    language: str | None = Field(None, description="ISO 639-1 code when it is known; else it is detected")
    beam_size: int = Field(5, ge=1, description="beams on CPU; the CUDA engine decodes greedily")
    compute_type: str = Field("int8", description="CTranslate2 compute type on CPU")
    speakers: bool = Field(True, description="say who speaks")
    speaker: SpeakerConfig = SpeakerConfig()
    features: bool = Field(False, description="keep the encoder's output as the perception's features")
    threads: int = Field(1, ge=1, description="threads of the networks on CPU")
    card_process: bool | None = Field(
        None, description="one process of a node computes for all actors of a card; None: on CUDA it does"
    )
    batch_windows: int | None = Field(
        None, ge=1, description="windows of up to 30 s decoded together; None: 8 on CPU, 64 on CUDA"
    )
    opening: OpeningConfig = OpeningConfig()
    limits: OpeningLimits = OpeningLimits()

    def shares_process(self, device: str) -> bool:
        """Whether another process computes for an actor on that device."""
        return device.startswith("cuda") if self.card_process is None else self.card_process and device != "cpu"

    @property
    def card_clients(self) -> int:
        """Actors that share a process on their card: all, because what they ask for is decoded together."""
        return 1 if self.card_process is False else 64

    def with_features(self, width: int | None = None) -> Self:
        """The same, with features; their width is the checkpoint's."""
        return self.model_copy(update={"features": True})

    def shaping(self) -> dict[str, object]:
        """The settings that shape a perception, for the fingerprint."""
        shaping = self.model_dump(mode="json", exclude={"threads", "batch_windows", "card_process", "limits"})
        # Only the channel handling of opening concerns audio: a new dpi must not read the recordings again.
        shaping["opening"] = {"channels": self.opening.channels}
        return shaping
