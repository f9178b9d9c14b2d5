"""A causal language model as the engine needs it: embeddings in, logits of chosen rows out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AutoModelForCausalLM

from decoder.attention import ATTENTION, Attending, CachedAttention, ShapeProbe, Span, attending
from decoder.cache import KeyValueCache
from decoder.compiled import compiled, compiling, layers_of
from decoder.config import DecoderConfig
from decoder.fused import fuse_norms, fuse_products
from decoder.recorded import Network, RecordedPass, Score, Tiled, on_device
from decoder.rows import HEAD_ROWS, arrange
from decoder.running import Unread
from decoder.scores import score_rows
from decoder.sequence import DecoderError, SequenceRequest, TextSegment
from encoders.failures import is_out_of_memory

READ_ROWS = 4096
"""Rows of a recorded reading pass: enough to keep a large GPU busy, and not more."""
_TILE_LANES = 64  # query rows times heads that a tile of a reading pass attends at once


class CausalModel:
    """Any `AutoModelForCausalLM` with full or sliding-window attention, on CPU or CUDA."""

    def __init__(self, folder: Path, config: DecoderConfig, device: str) -> None:
        self.device = torch.device(device)
        self.dtype = chosen_dtype(config.dtype, self.device)
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=self.dtype, attn_implementation=ATTENTION)
        self._model = model.eval().requires_grad_(False).to(self.device)
        self._embedding: nn.Module = model.get_input_embeddings()
        self.vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self.width = int(model.get_input_embeddings().weight.shape[1])
        self.stop_tokens = _stop_tokens(model)
        text_config = model.config.get_text_config()
        self.max_positions: int | None = getattr(text_config, "max_position_embeddings", None)
        self.parameters: int = model.num_parameters()  # before a tied head gets its own copy
        # On CUDA, in passes that are not recorded, single tokens of many sequences are attended at once, which prompts
        # beside them would prevent.
        self.mixes = self.device.type == "cpu"
        self.head_rows = HEAD_ROWS
        self.rows = _arranged(model, config.threads) if self.mixes else HEAD_ROWS
        probe = self._probe(text_config.num_hidden_layers)
        self.layers, self._group = probe.layers, probe.group
        self._compile = config.compile_passes
        self.reading: RecordedPass | None = None
        self.writing: RecordedPass | None = None

    @property
    def bytes_per_token(self) -> int:
        """Bytes of keys and values that one token takes in the cache."""
        elements = sum(heads * (keys + values) for heads, keys, values in self.layers.values())
        return elements * int(self.dtype.itemsize)

    @property
    def recorded(self) -> bool:
        """Whether passes are recorded: readings of up to `READ_ROWS` rows, and steps of one row a sequence."""
        return self.writing is not None

    def record(self, cache: KeyValueCache, sequences: int) -> None:
        """On CUDA, record a reading pass and a step of up to ``sequences``, compiled or not; without triton or a C
        compiler for it, or for a network that cannot be recorded, passes stay as they are, slow, with a warning."""
        if self.device.type != "cuda":
            return
        try:
            from decoder.tiled_attention import TiledAttention

            fuse_products(self._model)
            if not (self._compile and self.record_compiled(TiledAttention, cache, sequences)):
                fuse_norms(self._model)
                self.record_with(TiledAttention, cache, sequences)
        except Exception as error:  # triton, its C compiler, the folder of its kernels, the driver
            self.reading = self.writing = None
            warnings.warn(f"the decoder's passes cannot be recorded and will be slow: {error}", stacklevel=2)

    def record_compiled(
        self, attention: Tiled, cache: KeyValueCache, sequences: int, backend: str = "inductor"
    ) -> bool:
        """`record_with` with compiled layers; False, and a warning, when they cannot be compiled."""
        try:
            if list(self.layers) != list(range(len(self.layers))):
                raise RuntimeError("its layers do not attend one after the other")
            layers = layers_of(self._model, len(self.layers))
            fuse_norms(self._model, beside=layers)
            with compiling(layers, backend):
                self.record_with(attention, cache, sequences, compiled(score_rows, backend))
        except Exception as error:  # whatever a compiler raises
            if is_out_of_memory(error):
                raise
            said = str(error).strip().splitlines() or [""]
            warnings.warn(
                f"the decoder's passes are not compiled and take longer: {type(error).__name__}: {said[0]}",
                stacklevel=2,
            )
            return False
        return True

    @torch.inference_mode()
    def record_with(self, attention: Tiled, cache: KeyValueCache, sequences: int, score: Score = score_rows) -> None:
        """`record` with any attention over tiles; on CPU the passes are not recorded, but have the same shapes."""
        network = Network(self.vocabulary, self.width, self._embedding, self._network, score)
        make = partial(RecordedPass, network, attention, cache)
        self.reading = make(rows=READ_ROWS, wanted=HEAD_ROWS, tile_rows=max(1, _TILE_LANES // self._group))
        self.writing = make(rows=sequences, wanted=sequences, tile_rows=1)

    def embed_tokens(self, tokens: Sequence[int] | NDArray[np.int32] | NDArray[np.int64]) -> torch.Tensor:
        """Token ids [n] to embeddings [n, d_model]."""
        ids = torch.from_numpy(np.asarray(tokens, np.int64))
        embedded: torch.Tensor = self._embedding(on_device(ids, self.device))
        return embedded

    def check(self, request: SequenceRequest) -> None:
        """Raises `DecoderError` when a token does not fit this decoder."""
        for segment in request.segments:
            if isinstance(segment, TextSegment):
                if len(segment) and not 0 <= int(segment.tokens.min()) <= int(segment.tokens.max()) < self.vocabulary:
                    raise DecoderError(f"there are tokens outside the vocabulary of {self.vocabulary}")
                continue
            if segment.vectors.ndim != 2 or segment.vectors.shape[1] != self.width:
                raise DecoderError(
                    f"soft tokens have shape {segment.vectors.shape}, this decoder reads [m, {self.width}]: "
                    "the adapter was made for another decoder"
                )
            if not np.isfinite(segment.vectors).all():
                raise DecoderError("soft tokens are not finite")

    def prompt(self, request: SequenceRequest, opening: Sequence[int] = ()) -> Unread:
        """A request's segments, which were checked, and tokens behind them: as ids [n] where all is text, to be
        embedded with others once they are read, otherwise as embeddings [n, d_model]."""
        texts = [segment.tokens for segment in request.segments if isinstance(segment, TextSegment)]
        if len(texts) == len(request.segments):
            return np.concatenate([*texts, np.asarray(opening, np.int64)])
        pieces = [
            self.embed_tokens(segment.tokens)
            if isinstance(segment, TextSegment)
            else torch.tensor(segment.vectors, device=self.device).to(self.dtype)
            for segment in request.segments
        ]
        if opening:
            pieces.append(self.embed_tokens(opening))
        return torch.cat(pieces)

    def embed(self, pieces: Sequence[Unread]) -> torch.Tensor:
        """What `prompt` gave, or parts of it, one behind the other as embeddings [n, d_model]."""
        tokens = [piece for piece in pieces if isinstance(piece, np.ndarray)]
        if not tokens:
            return torch.cat([piece for piece in pieces if isinstance(piece, torch.Tensor)])
        embedded = self.embed_tokens(np.concatenate(tokens))
        if len(tokens) == len(pieces):
            return embedded
        parts = iter(embedded.split([len(piece) for piece in tokens]))
        return torch.cat([next(parts) if isinstance(piece, np.ndarray) else piece for piece in pieces])

    def forward(
        self, embeddings: torch.Tensor, spans: Sequence[Span], wanted: Sequence[int], cache: KeyValueCache
    ) -> torch.Tensor:
        """One pass over a pack, not recorded: embeddings [t, d_model] to the logits [n, vocabulary] of the wanted rows.

        A matrix product of one row takes another path (gemv) in the CPU libraries than one of several, and ends in
        other last bits; so there are always at least two rows, here and at the head.
        """
        positions = [span.position + i for span in spans for i in range(span.stop - span.start)]
        spans, wanted, count = list(spans), list(wanted), len(wanted)
        if len(positions) == 1:
            embeddings = embeddings.expand(2, -1)
            positions.append(0)
            spans.append(Span(None, 1, 2, 0))
        keep = (wanted or [0]) + [0] * (2 - max(count, 1))
        rows = torch.tensor([positions], device=self.device), torch.tensor(keep, device=self.device)
        return self._network(embeddings[None], *rows, CachedAttention(cache, spans))[:count]

    def _network(
        self, embeddings: torch.Tensor, positions: torch.Tensor, wanted: torch.Tensor, attention: Attending
    ) -> torch.Tensor:
        with attending(attention):
            output = self._model(
                inputs_embeds=embeddings, position_ids=positions, use_cache=False, logits_to_keep=wanted
            )
        logits: torch.Tensor = output.logits[0]
        return logits

    def _probe(self, layers: int) -> ShapeProbe:
        probe = ShapeProbe()
        with torch.inference_mode(), attending(probe):
            self._model(inputs_embeds=self.embed_tokens([0, 0])[None], use_cache=False)
        if len(probe.layers) != layers:
            raise DecoderError(
                f"{type(self._model).__name__} uses the engine's attention in {len(probe.layers)} of its {layers} "
                "layers; only models with attention in every layer can run here"
            )
        return probe


def chosen_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype that a config's name means on a device.

    With AMX tiles bfloat16 reads prompts about 6 times faster than float32; without them it is no faster.
    """
    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]
    if device.type == "cuda" or torch.cpu._is_amx_tile_supported():
        return torch.bfloat16
    return torch.float32


def _arranged(model: Any, threads: int) -> int:
    """`arrange` with as many threads as the engine will have: they take part in how a product is summed."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return arrange(model, model.get_output_embeddings())
    finally:
        torch.set_num_threads(before)


def _stop_tokens(model: Any) -> frozenset[int]:
    stop = model.generation_config.eos_token_id
    if stop is None:
        stop = model.config.get_text_config().eos_token_id
    if stop is None:
        return frozenset()
    return frozenset([stop] if isinstance(stop, int) else stop)
