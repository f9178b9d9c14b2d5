"""Boxes, batches and decoding: what needs no network."""

import cv2
import numpy as np
import pytest

from encoders.failures import FailureCategory, MediaError
from encoders.ocr.batching import halving, require_finite
from encoders.ocr.config import DetectionConfig
from encoders.ocr.crops import HEIGHT, batches_by_width, cut, network_input, padded_width, printed_rows
from encoders.ocr.decoding import ReadCrop, Reading, as_lines, decode
from encoders.ocr.detection import find_lines, network_size
from encoders.ocr.geometry import parts_of, read_downwards, read_upwards, sizes_of, turn_image, upright_corners


@pytest.mark.parametrize("angle", [-40.0, -5.0, 0.0, 3.0, 30.0])
def test_corners_start_at_the_top_left_of_the_text(angle: float) -> None:
    top_left, top_right, bottom_right, bottom_left = upright_corners([((200, 100), (120, 30), angle)])[0]
    assert (top_right - top_left)[0] > abs((top_right - top_left)[1])
    direction = np.degrees(np.arctan2(*(top_right - top_left)[::-1]))
    assert direction == pytest.approx(angle, abs=0.5)
    assert sizes_of([np.stack([top_left, top_right, bottom_right, bottom_left])])[0] == pytest.approx(
        (120, 30), abs=0.01
    )


def test_tall_boxes_are_read_up_or_down() -> None:
    box = np.array([[10, 20], [30, 20], [30, 120], [10, 120]], np.float32)
    assert read_upwards(box)[0].tolist() == [10, 120]  # the text begins at the bottom left
    assert read_downwards(box)[0].tolist() == [30, 20]
    assert sizes_of([read_upwards(box)])[0] == (100, 20)


def test_part_of_a_rotated_line() -> None:
    box = upright_corners([((100, 100), (80, 20), 30.0)])[0]
    (half,) = parts_of(box[None], np.array([[0.5, 1.0]]), 0.25, 0.75)
    assert sizes_of([half])[0] == pytest.approx((40, 10), abs=0.01)
    assert half[1] == pytest.approx((box[1] * 3 + box[2]) / 4, abs=0.01)


def test_images_turn_clockwise() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, axis=2)
    assert turn_image(image, 90)[0, -1, 0] == image[0, 0, 0]
    assert turn_image(image, 180)[-1, -1, 0] == image[0, 0, 0]
    assert turn_image(turn_image(image, 270), 90).tolist() == image.tolist()


def test_a_rotated_region_becomes_a_rotated_grown_box() -> None:
    config = DetectionConfig()
    drawn = ((160.0, 120.0), (180.0, 16.0), 12.0)
    probability = np.zeros((256, 320), np.float32)
    cv2.fillPoly(probability, [cv2.boxPoints(drawn).astype(np.int32)], 0.9)
    probability[5:7, 5:7] = 1.0  # a speck
    (line,) = find_lines(probability, 512, 640, config)
    grown = 180 * 16 * config.unclip / (180 + 16)
    width, height = sizes_of([line.corners])[0]
    assert width == pytest.approx(2 * (180 + grown), rel=0.05)
    assert height == pytest.approx(2 * (16 + grown), rel=0.16)  # the mask is dilated first
    direction = np.degrees(np.arctan2(*(line.corners[1] - line.corners[0])[::-1]))
    assert direction == pytest.approx(12, abs=1.5)
    assert line.score > 0.7


@pytest.mark.parametrize("shape", [(1, 1), (20, 3000), (4000, 30), (1684, 1190), (9000, 9000)])
def test_network_sizes_stay_in_bounds(shape: tuple[int, int]) -> None:
    rows, columns = network_size(*shape, DetectionConfig())
    assert rows % 32 == columns % 32 == 0
    assert min(rows, columns) >= 32 and max(rows, columns) <= 1600


def test_crops_are_cut_upright_and_padded_with_grey() -> None:
    image = np.full((100, 300, 3), 255, np.uint8)
    image[40:60, 50:250] = (10, 20, 30)
    box = np.array([[50, 40], [250, 40], [250, 60], [50, 60]], np.float32)
    crop = cut(image, box)
    assert crop.shape == (HEIGHT, 480, 3)
    batch = network_input([crop, crop[:, :100]])
    assert batch.shape == (2, 3, HEIGHT, padded_width(480))
    assert batch[0, :, 24, 200] == pytest.approx(np.array([30, 20, 10]) / 127.5 - 1, abs=0.02)  # BGR
    assert not batch[1, :, :, 100:].any()


def test_batches_pad_little_and_hold_every_crop_once() -> None:
    widths = [100, 33, 90, 40, 64, 500, 96]
    assert batches_by_width(widths, (1,)) == [[1], [3], [4], [2], [6], [0], [5]]
    assert batches_by_width([], (8,)) == []
    lines = np.random.default_rng(5).integers(1100, 1450, 720).tolist()
    batches = batches_by_width(lines, (8, 16, 32, 64, 96, 128))
    assert sorted(i for batch in batches for i in batch) == list(range(720)) and max(map(len, batches)) <= 128
    sizes = [next(size for size in (8, 16, 32, 64, 96, 128) if size >= len(batch)) for batch in batches]
    computed = sum(size * padded_width(max(lines[i] for i in batch)) for size, batch in zip(sizes, batches))
    assert computed < 1.05 * sum(lines)
    assert all(padded_width(lines[batch[-1]]) - padded_width(lines[batch[0]]) <= 1450 / 24 for batch in batches)


def test_a_batch_that_does_not_fit_is_halved() -> None:
    sizes: list[int] = []

    def run(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise MemoryError("too large")
        return [10 * item for item in batch]

    assert halving(run, list(range(5))) == [0, 10, 20, 30, 40]
    assert sizes == [5, 2, 3, 1, 2]
    with pytest.raises(MediaError) as caught:
        halving(lambda batch: (_ for _ in ()).throw(MemoryError()), [1])
    assert caught.value.category is FailureCategory.OUT_OF_MEMORY


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(MediaError) as caught:
        require_finite(np.array([0.5, np.nan], np.float32), "line detector")
    assert caught.value.category is FailureCategory.MODEL_FAILED


def test_repeats_merge_and_blanks_part_them() -> None:
    alphabet = ["", "a", "b", " "]
    reading = decode(np.array([3, 1, 1, 0, 1, 3, 2, 0, 3]), np.linspace(0.1, 0.9, 9, dtype=np.float32), alphabet)
    assert reading.text == "aa b"
    assert reading.centres.tolist() == [16, 36, 44, 52]
    assert decode(np.zeros(4, np.int64), np.ones(4, np.float32), alphabet).text == ""


def _printed(*spans: tuple[int, int], width: int = 240) -> np.ndarray:
    crop = np.full((48, width), 240, np.uint8)
    for left, right in spans:
        crop[12:38, left:right] = 20
    return printed_rows(crop)


def _reading(text: str, centres: list[float]) -> Reading:
    return Reading(tuple(text), np.full(len(text), 0.9, np.float32), np.array(centres, np.float32))


def test_words_end_where_their_print_ends() -> None:
    crop = _printed((10, 60), (75, 130))
    box = np.array([[100, 50], [340, 50], [340, 98], [100, 98]], np.float32)
    ((placed,),) = as_lines([ReadCrop(_reading("ab cd", [20, 48, 66, 90, 115]), crop, box)])
    assert [word.text for word in placed.line.words] == ["ab", "cd"]
    first, second = (word.quad for word in placed.line.words)
    assert first[0] == pytest.approx(110, abs=2) and first[2] == pytest.approx(160, abs=2)
    assert second[0] == pytest.approx(175, abs=2) and second[2] == pytest.approx(230, abs=2)


def test_wide_gaps_part_columns() -> None:
    crop = _printed((10, 60), (160, 230))
    box = np.array([[0, 0], [240, 0], [240, 48], [0, 48]], np.float32)
    nothing = ReadCrop(_reading("", []), crop, box)
    before, (left, right), after = as_lines(
        [nothing, ReadCrop(_reading("ab cd", [20, 48, 100, 180, 210]), crop, box), nothing]
    )
    assert before == after == [] == as_lines([nothing])[0]
    assert (left.line.text, right.line.text) == ("ab", "cd")
    assert left.stop <= right.start
    assert left.line.quad[2] < 80 < 140 < right.line.quad[0]


def test_east_asian_words() -> None:
    crop = np.zeros(400, np.int32)
    box = np.array([[0, 0], [400, 0], [400, 48], [0, 48]], np.float32)
    text = "東京タワー2024年、高い"
    ((placed,),) = as_lines([ReadCrop(_reading(text, [16.0 + 30 * i for i in range(len(text))]), crop, box, "Jpan")])
    assert [word.text for word in placed.line.words] == ["東", "京", "タワー", "2024", "年、", "高", "い"]
    assert placed.line.script == "Jpan"
