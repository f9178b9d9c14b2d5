"""The kernel of recorded passes against torch, on CPU tensors: triton's interpreter runs it."""

from __future__ import annotations

import pytest
import torch

from decoder.attention import CachedAttention, Span
from decoder.cache import KeyValueCache
from decoder.tiled_attention import TiledAttention
from tests.encoders.interpreter import quicken

SPANS = [Span(8, 0, 5, 130), Span(300, 5, 6, 63), Span(450, 6, 40, 0)]  # of 135, 64 and 34 keys
ROWS = 44  # four of them filling


quicken()


def tiles_of(spans: list[Span], most: int) -> torch.Tensor:
    """[4, n], with one tile in which there is nothing to do."""
    tiles = [
        (span.start + i, min(most, span.stop - span.start - i), span.base, span.position + i)
        for span in spans
        for i in range(0, span.stop - span.start, most)
    ]
    return torch.tensor([*tiles, (0, 0, 0, 0)]).T.contiguous()


@pytest.mark.parametrize("most", [21, 7, 1])
@pytest.mark.parametrize(("width", "value_width", "window"), [(64, 64, None), (24, 40, None), (32, 32, 70)])
def test_tiles_see_what_spans_see(most: int, width: int, value_width: int, window: int | None) -> None:
    draw = torch.Generator().manual_seed(most + width)
    caches = [KeyValueCache({0: (2, width, value_width)}, 600, torch.float32, torch.device("cpu")) for _ in range(2)]
    for held, like in zip(
        (*caches[0].keys.values(), *caches[0].values.values()),
        (*caches[1].keys.values(), *caches[1].values.values()),
        strict=True,
    ):
        held.copy_(torch.randn(held.shape, generator=draw))
        like.copy_(held)
    query = torch.randn(1, 6, ROWS, width, generator=draw) * 2
    key, value = (torch.randn(1, 2, ROWS, size, generator=draw) for size in (width, value_width))
    places = torch.full((ROWS,), caches[0].spare)
    for span in SPANS:
        places[span.start : span.stop] = torch.arange(span.stop - span.start) + span.base + span.position
    found = TiledAttention(caches[0], places, tiles_of(SPANS, most), most).attend(0, query, key, value, None, window)
    wanted = CachedAttention(caches[1], SPANS).attend(0, query, key, value, None, window)
    assert found.shape == (1, 6, ROWS, value_width)
    torch.testing.assert_close(found[:, :, :40], wanted[:, :, :40], rtol=1e-5, atol=1e-5)
    spare = caches[0].spare
    for mine, other in ((caches[0].keys[0], caches[1].keys[0]), (caches[0].values[0], caches[1].values[0])):
        assert torch.equal(mine[:, :spare], other[:, :spare])
