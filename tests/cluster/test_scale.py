"""The simulation of many cards: what it must say where the answer is known."""

from __future__ import annotations

import pytest

from benchmarks.scale import ACTORS, BATCH_SECONDS, simulated


def test_a_driver_that_costs_nothing_scales_with_its_actors() -> None:
    assert simulated(ACTORS, 0.0, batches=20) == pytest.approx(ACTORS / BATCH_SECONDS, rel=0.05)
    assert simulated(8 * ACTORS, 0.0, batches=20) == pytest.approx(8 * ACTORS / BATCH_SECONDS, rel=0.05)


def test_a_driver_that_is_behind_is_all_that_counts() -> None:
    assert simulated(8 * ACTORS, 1.0, batches=20) == pytest.approx(1.0, rel=0.05)
