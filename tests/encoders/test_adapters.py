from __future__ import annotations

import numpy as np
import pytest
import torch

from encoders.adapters.base import Adapter, AdapterConfig
from encoders.base import FeatureSpan


@pytest.mark.parametrize("steps", [1, 8, 16])
def test_features_become_soft_tokens_of_the_decoders_scale(steps: int) -> None:
    torch.manual_seed(0)
    config = AdapterConfig(
        task="ocr",
        d_encoder=12,
        d_model=32,
        embedding_scale=0.136,
        strides=(2, 4, 2),
        widths=(16, 16, 24, 24),
        rates=(1, 8, 16),
        steps_per_token=steps,
    )
    adapter = Adapter(config).eval()
    torch.nn.init.normal_(adapter.place[-1].weight, std=0.1)  # places begin silent
    features = np.random.default_rng(0).normal(size=(70, 12)).astype(np.float16)
    spans = [FeatureSpan(0, 0, 33, page=1), FeatureSpan(1, 33, 33, page=1), FeatureSpan(0, 40, 70, page=2)]
    geometry = np.random.default_rng(1).random((3, 6)).astype(np.float32)
    soft = adapter.adapt(features, spans, geometry)
    assert [span.stop - span.start for span in soft.spans] == [-(-33 // steps), -(-30 // steps)]
    assert soft.vectors.dtype == np.float16 and soft.vectors.shape == (soft.spans[-1].stop, 32)
    sizes = np.sqrt((soft.vectors.astype(np.float32) ** 2).mean(axis=1))
    np.testing.assert_allclose(sizes, 0.136, rtol=0.02)
    alone = adapter.adapt(features, spans[2:], geometry[2:])
    np.testing.assert_array_equal(alone.vectors, soft.of(2, [0]))  # an item does not depend on its neighbours
    assert len(soft.of(1, [1])) == 0 and len(soft.of(3, [0])) == 0
    moved = adapter.adapt(features, spans[2:], geometry[2:] + 0.5)
    assert np.abs(moved.vectors.astype(np.float32) - alone.vectors).max() > 0.01  # where it stood is in the token
