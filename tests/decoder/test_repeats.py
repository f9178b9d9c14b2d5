"""A text that ends with the same phrase again and again is cut there."""

from decoder.loops import repeats


def test_a_sentence_said_twice_is_a_loop_and_short_phrases_need_three() -> None:
    sentence = list(range(10))
    assert repeats([99, *sentence, *sentence]) == 10
    assert repeats([99, *sentence, *sentence[:9]]) is None
    assert repeats([1, 2, 1, 2]) is None
    assert repeats([7, 1, 2, 1, 2, 1, 2]) == 2


def test_digits_and_lists_are_not_loops() -> None:
    assert repeats([5, 5, 5, 5, 5]) is None
    assert repeats([1, 9, 2, 9, 3, 9, 4, 9]) is None
