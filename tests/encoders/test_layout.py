"""Layout on generated pages whose truth is known, born-digital and as noisy, tilted scans with simulated lines."""

from collections import Counter

import pytest

from benchmarks.generated_pages import generate, generate_table_page
from benchmarks.layout_metrics import role_scores, score_page
from benchmarks.layout_quality import KINDS, born_digital, scanned

SEEDS = (0, 2, 5, 7)  # one to three columns, with and without hyphens, justified or ragged


@pytest.fixture(scope="module")
def documents():
    return {seed: generate(seed) for seed in SEEDS}


@pytest.mark.parametrize("seed", SEEDS)
def test_order_and_paragraphs_of_born_digital_pages(documents, seed: int) -> None:
    for page, truth, matrix in born_digital(documents[seed]):
        score = score_page(page, truth, matrix)
        assert score.order and score.paragraphs, score.notes


def test_order_and_roles_of_a_scan(documents) -> None:
    roles: Counter[tuple[str, str]] = Counter()
    for page, truth, matrix in scanned(documents[5], 5):
        score = score_page(page, truth, matrix)
        assert score.order and score.paragraphs, score.notes
        roles.update(score.roles)
    assert role_scores(roles)[1] >= 0.9


def test_roles_of_born_digital_pages(documents) -> None:
    roles: Counter[tuple[str, str]] = Counter()
    for document in documents.values():
        for page, truth, matrix in born_digital(document):
            roles.update(score_page(page, truth, matrix).roles)
    each, macro, _ = role_scores(roles)
    assert macro >= 0.95, each


@pytest.mark.parametrize(("kind", "spans"), KINDS)
def test_cells_of_generated_tables(kind: str, spans: bool) -> None:
    document = generate_table_page(3, kind, spans=spans)
    ((page, truth, matrix),) = born_digital(document)
    score = score_page(page, truth, matrix)
    name = f"{kind}{' spans' if spans else ''}"
    assert score.cells[f"{name} exact"] == score.cells[name] > 0, score.notes


@pytest.mark.parametrize("spans", [False, True])
def test_ruled_cells_are_found_on_a_tilted_scan(spans: bool) -> None:
    document = generate_table_page(3, "ruled", spans=spans)
    ((page, truth, matrix),) = scanned(document, 3)
    score = score_page(page, truth, matrix)
    name = f"ruled{' spans' if spans else ''}"
    assert score.cells[f"{name} exact"] >= 0.9 * score.cells[name] > 0, score.notes


def test_the_same_seed_gives_the_same_document() -> None:
    first, second = generate(11, pages=2), generate(11, pages=2)
    assert first.pages == second.pages and len(first.pages) == 2
