"""Settings of the decoder: what shapes an answer, and what bounds the machine that computes it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from encoders.registry import ENCODERS

Mode = Literal["text", "soft", "both"]


class DecoderConfig(BaseModel):
    """Which decoder, how it reads and how much it may write.

    `SHAPING` names the fields that can change an answer; they are part of the answer fingerprint. The others bound
    memory and threads and must not change an answer (another number of threads, or passes that are compiled, may change
    the last bits of a sum).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str = Field(
        "decoder", description="a default checkpoint's name, a folder, an s3:// prefix or a Hugging Face id"
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 on CUDA and on CPUs with AMX tiles, float32 elsewhere"
    )
    mode: Mode | dict[str, Mode] = Field(
        "text", description="what of a perception the decoder reads: its text, its soft tokens, or both; or one by task"
    )
    prompt_tokens: int = Field(
        1024, ge=64, description="longest prompt; longer documents are cut to it by relevance to the question"
    )
    max_new_tokens: int = Field(192, ge=1, description="longest answer")
    context_tokens: int | None = Field(
        None, ge=65, description="longest prompt and answer together; None: what the decoder was made for"
    )
    kv_cache_bytes: int = Field(1 << 30, ge=1 << 16, description="bound of the key-value cache")
    prefix_cache_bytes: int = Field(
        128 << 20, ge=0, description="bound of what is kept of prompts' beginnings that come again"
    )
    max_waiting: int = Field(64, ge=0, description="online requests that may wait; more are refused for a while")
    max_sequences: int = Field(32, ge=1, description="most sequences that run at once")
    reserved_online: int = Field(1, ge=0, description="places that batch work leaves free for online requests")
    prefill_chunk: int = Field(256, ge=16, description="prompt tokens read between two steps of the running batch")
    compile_passes: bool = Field(
        True, description="on CUDA, compile the network's layers; about 15 s of the first load on a machine"
    )
    threads: int = Field(1, ge=1, description="CPU threads of the engine")

    SHAPING: ClassVar[tuple[str, ...]] = (
        "dtype",
        "mode",
        "prompt_tokens",
        "max_new_tokens",
        "context_tokens",
        "prefill_chunk",
    )

    @field_validator("mode", mode="before")
    @classmethod
    def _by_task(cls, mode: Any) -> Any:
        """Every task named, in one order: what reads alike has one fingerprint. A task that is not named keeps the
        default."""
        named = mode if isinstance(mode, dict) else {"ocr": mode}
        for task, one in named.items():
            if task not in ENCODERS:
                raise ValueError(f"there is no task {task}; there are {', '.join(ENCODERS)}")
            if one not in get_args(Mode):
                raise ValueError(f"a mode is {', '.join(get_args(Mode))}, and not {one}")
        if not isinstance(mode, dict):
            return mode
        default = cls.model_fields["mode"].default
        usual = default if isinstance(default, dict) else dict.fromkeys(ENCODERS, default)
        whole = {task: named.get(task, usual.get(task, "text")) for task in ENCODERS}
        return whole if len(set(whole.values())) > 1 else whole["ocr"]

    def mode_of(self, task: str) -> Mode:
        """How the decoder reads what a task's specialist saw."""
        return self.mode if isinstance(self.mode, str) else self.mode.get(task, "text")

    @property
    def sequence_tokens(self) -> int:
        """The longest prompt about a document and its answer together."""
        return self.prompt_tokens + self.max_new_tokens
