from __future__ import annotations

import pytest
import torch

from decoder.attention import CachedAttention, Span
from decoder.cache import KeyValueCache


@pytest.mark.parametrize("window", [None, 5])
def test_the_batched_path_of_cuda_attends_as_the_path_of_cpu_does(window: int | None) -> None:
    """Both are tensor code, so they can be compared here: three sequences of other lengths, one row of filling."""
    torch.manual_seed(0)
    caches = [KeyValueCache({0: (2, 16, 16)}, 120, torch.float32, torch.device("cpu")) for _ in range(2)]
    for cache in caches:  # as on CUDA: what was never written must be finite where a weight of 0 meets it
        for stored in (*cache.keys.values(), *cache.values.values()):
            stored.zero_()
    lengths = {80: 9, 0: 23, 116: 1}
    for base, length in lengths.items():
        query, key, value = (torch.randn(1, heads, length, 16) for heads in (4, 2, 2))
        for cache in caches:
            CachedAttention(cache, [Span(base, 0, length, 0)]).attend(0, query, key, value, None, window)
    spans = [Span(base, row, row + 1, length) for row, (base, length) in enumerate(lengths.items())]
    spans.append(Span(None, 3, 4, 0))
    query, key, value = (torch.randn(1, heads, 4, 16) for heads in (4, 2, 2))
    one_by_one = CachedAttention(caches[0], spans).attend(0, query, key, value, 0.2, window)
    at_once = CachedAttention(caches[1], spans)._attend_batched(0, query, key, value, 0.2, window)
    torch.testing.assert_close(one_by_one, at_once, atol=1e-5, rtol=1e-5)
    assert not at_once[:, :, 3].any() and at_once[:, :, :3].any()
