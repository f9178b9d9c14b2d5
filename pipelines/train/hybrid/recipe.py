"""The one config of all stages of training, read from a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field
from transformers import AutoModelForCausalLM, AutoTokenizer

from encoders.adapters.base import AdapterConfig
from encoders.checkpoints.resolve import resolve


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stage(_Part):
    """One stage: what is trained, on what, for how long."""

    name: str
    seconds: float = Field(gt=0, description="how long; the learning rate falls to nothing by its end")
    rows: int = Field(16, ge=1, description="rows a step and device")
    row_tokens: int = Field(2048, ge=128)
    decoder_rate: float = Field(
        1e-3, ge=0, description="learning rate of the difference; 0 leaves the decoder as it is"
    )
    adapter_rate: float = Field(6e-4, ge=0)
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the stage in which the rates rise")
    kinds: tuple[str, ...] = Field(("*",), description="kinds of samples; * for all")
    documents: float = Field(1.0, ge=0, le=1, description="share of documents that is taken; lines are all taken")
    lines_at_once: int | None = Field(
        None,
        ge=1,
        description="samples of lines are cut into examples of so many, recordings into 1 to so many sentences",
    )
    modes: dict[str, float] = Field(default_factory=lambda: {"text": 1.0, "soft": 1.0, "both": 1.0})
    line_modes: dict[str, float] | None = Field(
        None, description="of printed lines to be read aloud; where their text is read too, there is nothing to learn"
    )
    rates: tuple[int, ...] = (8, 16)
    speech: float = Field(0.0, ge=0, le=1, description="share of recordings among the examples")
    unheard: float = Field(
        0.5, ge=0, le=1, description="share of soft recordings of which the adapter gets the words alone, without sound"
    )
    screens: float = Field(0.0, ge=0, le=1, description="share of detected things among the examples")
    chats: float = Field(0.0, ge=0, le=1, description="share of chats without a document among the examples")
    longest_answer: int = Field(1000, ge=1, description="tokens; a question with a longer answer is left out")
    tasks: int = Field(6, ge=1, description="most questions about one input")
    weights: dict[str, float] = Field(default_factory=dict, description="of an answer's tokens in the loss, by kind")
    words_left_out: float = Field(
        0.0, ge=0, lt=1, description="share of the words under soft tokens that training does not show"
    )
    ctc: float = Field(0.0, ge=0, description="weight of the characters that speech frames must spell")


class Recipe(_Part):
    """Everything that shapes the trained weights, but for seeds of the corpus."""

    decoder: str = "decoder:torch"
    rank: int = Field(32, ge=0, description="of the decoder's difference; 0 trains its weights themselves")
    seed: int = 0
    prompt_tokens: int = 1024
    fold: str | None = Field(None, description="voices that are left out, A or B; None: all are trained on")
    adapters: dict[str, AdapterConfig]
    stages: tuple[Stage, ...]

    def for_decoder(self, checkpoint: str) -> Self:
        """The recipe for another decoder: adapters of its width, at the scale of its embeddings, with its words. Raises
        `CheckpointError` for one that cannot be had, ValueError for one without a chat template or an end of a turn."""
        folder = resolve(checkpoint)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        if tokenizer.chat_template is None or tokenizer.eos_token_id is None:
            raise ValueError(f"{checkpoint} has no chat template or no end of a turn: take a decoder made for chats")
        network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        table = network.get_input_embeddings().weight.detach()
        seen = {"d_model": table.shape[1], "embedding_scale": round(float(table.square().mean().sqrt()), 4)}
        changed = {"words": checkpoint, **seen}
        adapters = {task: config.model_copy(update=changed) for task, config in self.adapters.items()}
        return self.model_copy(update={"decoder": checkpoint, "adapters": adapters})

    @property
    def slots(self) -> dict[str, int]:
        """Tokens of the text read that a soft token takes up, by task."""
        return {task: config.slots for task, config in self.adapters.items()}

    @property
    def speech_rates(self) -> dict[str, int]:
        """Feature rows a soft token, by task."""
        return {task: config.steps_per_token for task, config in self.adapters.items()}


def read_recipe(path: Path) -> Recipe:
    """The recipe of a TOML or JSON file. Raises pydantic's `ValidationError` for a bad one."""
    if path.suffix == ".json":
        return Recipe.model_validate_json(path.read_bytes())
    return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
