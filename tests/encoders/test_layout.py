"""Layout on generated pages whose truth is known, born-digital and as noisy, tilted scans with simulated lines."""

from collections import Counter

import pytest

from benchmarks.generated_pages import generate, generate_table_page
from benchmarks.layout_metrics import readings, role_scores, score_page, squeeze
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


@pytest.mark.parametrize(
    ("seed", "language"),
    [
        (3053, None),  # words of stretched lines that the text layer gives as lines of their own
        (6018, None),  # an item of a list goes on in the next column
        (6039, None),  # a title above the middle one of three columns
        (3008, None),  # headings over two columns whose text goes on across them
        (3013, "zh"),  # first lines indented by two characters, lines that end early before a full stop
    ],
)
def test_pages_that_need_more_than_gaps(seed: int, language: str | None) -> None:
    for page, truth, matrix in born_digital(generate(seed, pages=1, language=language)):
        score = score_page(page, truth, matrix)
        assert score.order and score.paragraphs, score.notes


def test_column_ends_that_allow_two_readings_are_known_as_such() -> None:
    """Two ragged columns end with a full line and a full stop, and paragraphs are parted by gaps."""
    ((page, truth, matrix), _) = born_digital(generate(3032, pages=2))
    score = score_page(page, truth, matrix)
    texts = [" ".join(part.text for part in reading) for reading in readings(truth)]
    assert score.undecided == 2 and score.either
    assert len(texts) == 4 and len({squeeze(text) for text in texts}) == 1


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


@pytest.mark.parametrize(
    ("seed", "spans"),
    [
        (3039, True),  # the names of two columns stand over the numbers of the next, a heading over their gap
        (3074, True),  # the same in a typewriter face, whose words stand as far apart as cells
        (3118, False),  # two columns closer together than any gutter, below a paragraph
        (3184, True),  # a name that reaches over its column
    ],
)
def test_cells_of_tables_with_close_columns(seed: int, spans: bool) -> None:
    ((page, truth, matrix),) = born_digital(generate_table_page(seed, "unruled", spans=spans))
    score = score_page(page, truth, matrix)
    name = f"unruled{' spans' if spans else ''}"
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
