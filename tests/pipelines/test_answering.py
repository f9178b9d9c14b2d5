"""How many actors ask, and that pages come out of the tables as they are read one number at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cluster.planning import plan_pools
from cluster.pools import Resources, Work
from pipelines.answers import MOST_ASKERS, askers
from pipelines.perceive import SMALL_CPUS
from pipelines.rows import page_of, quad_of
from pipelines.tables import PAGE


@pytest.mark.parametrize(
    ("cpus", "gpus", "actors"), [(2, 0, 1), (64, 0, 1), (2, 1, 1), (16, 1, 5), (128, 8, MOST_ASKERS)]
)
def test_several_actors_ask_where_the_decoder_has_a_card(cpus: int, gpus: int, actors: int) -> None:
    plan = plan_pools([Work("ocr", 1000, 1000.0, "pages")], Resources(cpus, gpus), answers=1000)
    assert askers(plan) == actors
    assert SMALL_CPUS / actors > 1e-3  # Ray's books have four places


def test_pages_of_rows_are_rounded_as_single_numbers_are() -> None:
    rng = np.random.default_rng(0)
    halves = [0.125, 0.375, 1.005, 2.675, -0.005, 1e5 + 0.125, 0.0, 3.0]  # where rounding may go either way

    def word() -> dict[str, Any]:
        quad = rng.choice(halves, 8) if rng.random() < 0.3 else rng.uniform(-5, 4000, 8)
        return {"text": "a", "quad": quad.tolist(), "confidence": float(rng.choice([rng.random(), 0.00625, 0.5]))}

    lines = [
        {**word(), "role": "body", "paragraph": 1, "script": None, "words": [word()] * (k % 4)} for k in range(200)
    ]
    lines += [{"text": None, "quad": None, "confidence": None, "role": None, "paragraph": None, "words": None}]
    page = {"page": 1, "width": 10, "height": 10, "text": "", "lines": lines, "tables": None}
    (row,) = pa.array([page], PAGE).to_pylist()  # as float32, which is what the tables hold
    for line, read in zip(row["lines"], page_of(row).lines, strict=True):
        assert read.quad == quad_of(line["quad"]) and read.confidence == round(line["confidence"] or 0.0, 4)
        words = [(quad_of(word["quad"]), round(word["confidence"], 4)) for word in line["words"] or ()]
        assert [(word.quad, word.confidence) for word in read.words] == words
    assert page_of({**row, "lines": []}).lines == ()
