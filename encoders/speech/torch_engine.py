"""Whisper in torch: batches of windows on CUDA by a static cache and recorded steps. Runs on CPU too, for tests.

Greedy where the CPU engine searches with beams: a beam of five is five times the cross attention, which is half of
the step (see docs and `benchmarks/speech_parity.py` for what that costs in words).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import gelu, linear, scaled_dot_product_attention

from encoders.speech.decoders import Asked, Rows, WindowDecoders
from encoders.speech.engine import Alignment, Hypothesis
from encoders.speech.languages import LanguageStep
from encoders.speech.tokenizing import WhisperTokenizers
from encoders.speech.torch_encoder import FRAMES, SAMPLES, Uploaded, WindowEncoder
from encoders.speech.warping import normalised, smoothed, token_starts
from encoders.transfers import Fetch, to_card

_FORCED_TOGETHER = 4096
"""Tokens in one forced pass, filling among them: bounds the weights of eight heads to 0.2 GB."""

_SMOOTHED_TOGETHER = 1536
"""Tokens whose medians and chances are found together: bounds what these take beside the weights to 0.6 GB."""


class TorchEngine:
    """See `encoders.speech.engine.WhisperEngine`; ``encoded`` is [windows, 1500, d] on the device. ``rows`` and
    ``stream`` are those of `WindowDecoders`."""

    batch = 64
    fits: int | None = None

    def __init__(
        self,
        folder: Path,
        *,
        device: str,
        threads: int = 1,
        rows: Rows | None = None,
        stream: torch.cuda.Stream | None = None,
    ) -> None:
        from transformers import WhisperForConditionalGeneration

        self._device = torch.device(device)
        # Half precision as published: on an H200 as fast as bfloat16 and closer to float32 (share of windows with the
        # text of CTranslate2 int8: 0.64; bfloat16 0.55, float32 0.67).
        dtype = torch.float16 if self._device.type == "cuda" else torch.float32
        network = WhisperForConditionalGeneration.from_pretrained(str(folder), dtype=dtype, attn_implementation="sdpa")
        self._network = network.to(self._device).eval()
        self.tokenizer = WhisperTokenizers(folder)
        self._languages, self._heads = self.tokenizer.languages, self.tokenizer.alignment_heads
        spoken = [*self._languages.values()]
        self._encoder = WindowEncoder(
            network, LanguageStep(network, self.tokenizer("en").sot, spoken) if spoken else None
        )
        self.decoders = WindowDecoders(network, self.tokenizer, self._device, rows, stream)
        self._pool = ThreadPoolExecutor(threads)

    def encode(self, windows: Sequence[NDArray[np.float32]]) -> torch.Tensor:
        """All windows in one batch."""
        return self.encode_uploaded(self.upload(windows))

    def upload(self, windows: Sequence[NDArray[np.float32]]) -> Uploaded:
        """The windows on the device, silent behind their ends."""
        samples = torch.empty(len(windows), SAMPLES, pin_memory=self._device.type == "cuda")
        for row, window in zip(samples, windows):
            row[: len(window)] = torch.from_numpy(window[:SAMPLES])
            row[len(window) :] = 0.0
        return Uploaded(samples.to(self._device, non_blocking=True), [len(window) for window in windows])

    def prepare(self) -> None:
        """Record what is replayed; nobody else should use the device meanwhile."""
        self._encoder.record()
        self.decoders.prepare()

    def encode_uploaded(self, uploaded: Uploaded) -> torch.Tensor:
        """See `encode`."""
        return self._encoder(uploaded)

    def languages(self, encoded: torch.Tensor) -> list[dict[str, float]]:
        """See `hearing`."""
        return self.hearing(encoded)()

    def hearing(self, encoded: torch.Tensor) -> Callable[[], list[dict[str, float]]]:
        """Probability of each language code, for each window, is begun; what is returned waits for it."""
        heard = self._encoder.hear(encoded)
        if heard is None:
            return lambda: [{"en": 1.0} for _ in range(len(encoded))]
        coming = Fetch(heard)
        return lambda: [dict(zip(self._languages, row)) for row in coming.wait()[0].tolist()]

    def generate(self, encoded: torch.Tensor, languages: Sequence[str], careful: bool = False) -> list[Hypothesis]:
        """Greedy, all windows in step."""
        (finish,) = self.decoders.begin([Asked(encoded, languages)], careful)
        return finish()

    @torch.inference_mode()
    def align(
        self, encoded: torch.Tensor, language: str, tokens: Sequence[Sequence[int]], seconds: Sequence[float]
    ) -> list[Alignment]:
        """See `aligning`."""
        found: list[Alignment] = self.aligning(encoded, language, tokens, seconds)()
        return found

    @torch.inference_mode()
    def aligning(
        self, encoded: torch.Tensor, language: str, tokens: Sequence[Sequence[int]], seconds: Sequence[float]
    ) -> Callable[[], list[Alignment]]:
        """Forced passes over the text are begun; what is returned waits for them and warps each window on the host."""
        passes = math.ceil(len(tokens) * max(map(len, tokens), default=0) / _FORCED_TOGETHER)
        each = math.ceil(len(tokens) / max(1, passes))
        some = [slice(first, first + each) for first in range(0, len(tokens), max(1, each))]
        begun = [self._align(encoded[part], language, tokens[part], seconds[part]) for part in some]
        return lambda: [alignment for finish in begun for alignment in finish()]

    def select(self, encoded: torch.Tensor, indices: Sequence[int]) -> torch.Tensor:
        """Some windows of an encoded batch."""
        if list(indices) == list(range(len(encoded))):
            return encoded
        return encoded.index_select(0, to_card(np.array(indices), self._device))

    def features(self, encoded: torch.Tensor) -> NDArray[np.float16]:
        """The encoder's output in half precision."""
        return self.fetch_features(encoded).wait()[0]

    def fetch_features(self, encoded: torch.Tensor) -> Fetch:
        """The same on its way to the host."""
        return Fetch(encoded.to(torch.float16))

    def shrink(self, count: int) -> None:
        """Decoders stay for every size of batch that ever came; the largest go first."""
        self.fits = max(1, count // 2)
        self.decoders.shrink(self.fits)

    def parameters(self) -> int:
        """How many parameters the network has; tied weights count once."""
        return sum(parameter.numel() for parameter in self._network.parameters())

    def _align(
        self, encoded: torch.Tensor, language: str, tokens: Sequence[Sequence[int]], seconds: Sequence[float]
    ) -> Callable[[], list[Alignment]]:
        prompt, end = self.decoders.prompt(language), self.tokenizer(language).eot
        longest, skip = max(map(len, tokens)), len(prompt) - 1
        lines = [[*prompt, *text, *[end] * (longest - len(text) + 1)] for text in tokens]
        wide = len(lines[0])
        frames = [min(FRAMES // 2, max(1, round(length * 100) // 2)) for length in seconds]
        # What is wanted of a window: its text's tokens and the end, by the rows that foretell them. CTranslate2 counts
        # from the last token of the prompt, as openai/whisper does. The end's chance is not wanted: any token's is.
        counts = [len(text) + 1 for text in tokens]
        firsts = [wide * window + skip for window in range(len(tokens))]
        wanted = [
            [row for first, count in zip(firsts, counts) for row in range(first, first + count)],
            [token for text in tokens for token in (*text, 0)],
            [length for length, count in zip(frames, counts) for _ in range(count)],
        ]
        table = [*chain(*lines), *(len(prompt) + count for count in counts), *frames, *chain(*wanted)]
        sizes = [len(lines) * wide, len(lines), len(lines), *map(len, wanted)]
        ids, lengths, own, *of_rows = to_card(np.array(table), self._device).split(sizes)
        weights, states = self._forced(encoded, ids.view(-1, wide))
        weights, states = normalised(weights, lengths, own).flatten(1, 2), states.flatten(0, 1)
        words = self._network.proj_out.weight[:end]
        width, parts = max(frames), math.ceil(sum(counts) / _SMOOTHED_TOGETHER)
        found = torch.empty(sum(counts), width + 1, device=self._device)
        for part, rows, following, ends in zip(found.chunk(parts), *(some.chunk(parts) for some in of_rows)):
            torch.mean(smoothed(weights, rows, ends, width, min(frames)), 0, out=part[:, :width])
            chances = linear(states[rows], words).softmax(-1, dtype=torch.float32)
            torch.gather(chances, 1, following[:, None], out=part[:, width:])
        coming = Fetch(found)

        def warped() -> list[Alignment]:
            (came,) = coming.wait()
            pieces = np.split(came, np.cumsum(counts)[:-1])
            jobs = [self._pool.submit(_starts, piece[:, :length]) for piece, length in zip(pieces, frames)]
            said = [piece[:-1, width].astype(np.float64) for piece in pieces]
            return [Alignment(job.result() / 50, chance) for job, chance in zip(jobs, said)]

        return warped

    def _forced(self, encoded: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores of the alignment heads [heads, n, t, frames] before softmax, and states [n, t, d] before logits."""
        decoder = self._network.model.decoder
        heads = self._network.config.decoder_attention_heads
        hidden = decoder.embed_tokens(ids) + decoder.embed_positions.weight[: ids.shape[1]]
        scores = hidden.new_empty(len(self._heads), *ids.shape, encoded.shape[1])

        def split(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.unflatten(-1, (heads, -1)).transpose(1, 2)

        for index, layer in enumerate(decoder.layers):
            own, cross = layer.self_attn, layer.encoder_attn
            normed = layer.self_attn_layer_norm(hidden)
            query, keys, values = (split(project(normed)) for project in (own.q_proj, own.k_proj, own.v_proj))
            seen = scaled_dot_product_attention(query, keys, values, is_causal=True)
            hidden = hidden + own.out_proj(seen.transpose(1, 2).flatten(2))
            query = split(cross.q_proj(layer.encoder_attn_layer_norm(hidden)))
            keys, values = split(cross.k_proj(encoded)), split(cross.v_proj(encoded))
            for place, (_, head) in ((at, pair) for at, pair in enumerate(self._heads) if pair[0] == index):
                of = query[:, head], keys[:, head].transpose(1, 2)
                torch.baddbmm(scores[place], *of, beta=0, alpha=query.shape[-1] ** -0.5, out=scores[place])
            heard = scaled_dot_product_attention(query, keys, values)
            hidden = hidden + cross.out_proj(heard.transpose(1, 2).flatten(2))
            hidden = hidden + layer.fc2(gelu(layer.fc1(layer.final_layer_norm(hidden))))
        return scores, decoder.layer_norm(hidden)


def _starts(likeness: NDArray[np.float32]) -> NDArray[np.int64]:
    """Of numbers that lie together, for which the warping is compiled."""
    return token_starts(np.ascontiguousarray(likeness))
