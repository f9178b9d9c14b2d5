"""Voice activity as a card computes it against that of a core, on CPU tensors: triton's interpreter runs its kernel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from encoders.checkpoints import resolve
from encoders.speech import activity_kernel, device_activity
from encoders.speech.activity import ActivityNetwork
from tests.encoders.interpreter import quicken

MEMO = Path(__file__).parents[2] / "examples" / "archive" / "recordings" / "memo-0031.ogg"

quicken()


@pytest.fixture(scope="module")
def network() -> ActivityNetwork:
    return ActivityNetwork(resolve("speech_activity") / "model.onnx")


def test_speech_is_heard_as_by_a_core(network: ActivityNetwork) -> None:
    samples = soundfile.read(MEMO, dtype="int16", frames=64 + 250 * 512)[0]
    state = np.zeros((2, 128), np.float32)
    made = device_activity.on_device(network, "cpu")
    assert made is not None and made.parameters() == network.parameters()
    (ours, behind), (wanted, wanted_behind) = made.begin(made.upload(samples, state))(), network.hear(samples, state)
    assert wanted.max() > 0.9 and wanted.min() < 0.1
    assert np.abs(ours - wanted).max() < 1e-4 and np.abs(behind - wanted_behind).max() < 1e-3


def test_the_kernel_computes_what_pytorch_does() -> None:
    draw = torch.Generator().manual_seed(0)
    width = 32

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=draw)

    for count in (1, 9):
        given = some(count, 4 * width), some(4, width, width) / 4, some(2, width), some(width), some(1)
        for ours, wanted in zip(activity_kernel.recur(*given), device_activity.recur(*given), strict=True):
            assert ours.shape == wanted.shape and torch.allclose(ours, wanted, atol=1e-5)


def test_what_computes_something_else_is_not_used(network: ActivityNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_activity, "recur", lambda gates, *more: (torch.full((len(gates),), torch.nan), more[1]))
    made = device_activity.DeviceActivity(network, "cpu")
    with pytest.raises(RuntimeError, match="differs by nan"):
        device_activity.compare(network, made)
    assert device_activity.on_device(network, "cpu") is None
