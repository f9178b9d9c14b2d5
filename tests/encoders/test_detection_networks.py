"""Our detector's parts: geometry of its networks, quantised weights, views, suppression."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from encoders.detection.candidates import overlaps, suppress
from encoders.detection.network import EMBEDDING, KINDS, MULTIPLE, STRIDES, Finder, Namer
from encoders.detection.views import LARGEST, TILE, views
from encoders.detection.weights import WEIGHTS, fuse, load_weights, part, quantised, restored


def test_finder_says_something_at_every_place_of_its_grids() -> None:
    found = Finder().eval()(torch.rand(2, 3, 128, 192))
    places = sum((128 // stride) * (192 // stride) for stride in STRIDES)
    assert found.boxes.shape == (2, places, 4)
    assert found.kinds.shape == (2, places, len(KINDS))
    assert (found.boxes[..., 2:] > found.boxes[..., :2]).all()


def test_namer_gives_unit_vectors() -> None:
    vectors = Namer().eval()(torch.rand(3, 3, 64, 64))
    assert vectors.shape == (3, EMBEDDING)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)


def test_fused_networks_compute_the_same() -> None:
    torch.manual_seed(0)
    network = Namer()
    network(torch.rand(64, 3, 64, 64))  # statistics that are not those of the start
    network.eval()
    crops = torch.rand(4, 3, 64, 64)
    before = network(crops)
    assert torch.allclose(fuse(network)(crops), before, atol=1e-4)


def test_quantised_weights_come_back_within_half_a_step() -> None:
    weights = {"a.weight": torch.randn(8, 4, 3, 3), "a.bias": torch.randn(8)}
    back = restored(quantised(weights))
    step = weights["a.weight"].flatten(1).abs().amax(1) / 127
    assert ((back["a.weight"] - weights["a.weight"]).flatten(1).abs().amax(1) <= step * 0.52).all()
    assert torch.allclose(back["a.bias"], weights["a.bias"], atol=2e-3)


def test_shipped_weights_fill_both_networks_and_stay_small() -> None:
    weights = load_weights()
    for network, prefix in ((Finder(), "finder."), (Namer(), "namer.")):
        missing, unexpected = network.load_state_dict(part(weights, prefix), strict=False)
        assert all(name.endswith("num_batches_tracked") for name in missing)
        assert not unexpected
    assert WEIGHTS.stat().st_size <= 12e6


@pytest.mark.parametrize("size", [(1, 1), (5, 900), (800, 1280), (1900, 1000), (3000, 5000), (300, 20000)])
def test_views_cover_the_image_and_lead_back_to_it(size: tuple[int, int]) -> None:
    height, width = size
    covered = np.zeros((64, 64), bool)
    ys, xs = (np.linspace(0, side, 64, endpoint=False) + side / 128 for side in size)
    for number, view in enumerate(views(np.zeros((height, width, 3), np.uint8), MULTIPLE)):
        assert view.pixels.shape[0] % MULTIPLE == 0 == view.pixels.shape[1] % MULTIPLE
        assert max(view.width, view.height) <= 1792
        x0, y0, x1, y1 = view.back(np.array([[0, 0, view.width, view.height]], np.float32))[0]
        assert x0 >= 0 and y0 >= 0 and x1 <= width * 1.01 + 2 and y1 <= height * 1.01 + 2
        if number or max(size) <= 1792:
            covered |= ((ys >= y0) & (ys <= y1))[:, None] & ((xs >= x0) & (xs <= x1))[None]
    assert covered.all()


def test_a_huge_image_is_not_cut_into_endless_tiles() -> None:
    count = sum(1 for _ in views(np.zeros((9000, 9000, 3), np.uint8), MULTIPLE))
    assert count <= 1 + (LARGEST // (TILE - 192) + 1) ** 2


def test_suppression_keeps_the_surer_and_what_lies_apart() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 10]], np.float32)
    scores = np.array([0.5, 0.9, 0.4, 0.3], np.float32)
    assert suppress(boxes, scores, 0.5) == [1, 2]
    assert suppress(boxes, scores, 0.5, ["a", "b", "a", "a"]) == [1, 0, 2]
    assert overlaps(boxes[:1], boxes[1:2])[0, 0] == pytest.approx(0.9)
