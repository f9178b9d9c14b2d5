"""Samples for the reading objective: a few printed lines, prose or random words and numbers, to be read aloud."""

from __future__ import annotations

import gzip
import random
import re
from dataclasses import dataclass
from pathlib import Path

from pipelines.train.hybrid.documents import Faces, prose, scramble
from pipelines.train.hybrid.documents.faces import STYLES
from pipelines.train.hybrid.samples import READ_ALOUD, PagePlan, PrintedLine, Sample, Task
from pipelines.train.hybrid.speech.texts import has_held_word, held_word
from pipelines.train.script.render import face_at, wrap

_EVALUATED = {"en": 0.6, "de": 0.08, "fr": 0.08, "es": 0.08, "it": 0.04, "pl": 0.04, "zh": 0.04, "ja": 0.04}
_TRAINED = {"en": 0.3, "de": 0.13, "fr": 0.09, "es": 0.09, "it": 0.05, "pl": 0.1, "zh": 0.12, "ja": 0.12}
"""Shares of languages. What is not English has half as many letters a token and more tokens under a soft one (at 8
steps 1.2 to 1.7, Chinese and Japanese 3.4, English 0.85), so it takes more to learn."""
_RANDOM, _RANDOM_TRAINED = 0.5, 0.35
"""Share of random words; in training fewer, for they are read well enough and prose, at 16 steps, is not."""
LINE_KINDS = ("read", "scramble")
"""Kinds of tasks of lines: prose, and random words."""
LATIN = "aegkrstzABGQR0159äöüßéèàçñóąęłżś€$£%&@#"
"""What a face must have to print our languages."""
_LETTERS = {
    "Latn": LATIN,
    "Hani": "的一是不人在中国大",
    "Jpan": "あのをアンドれ日本",
}
_SCRIPTS = {"zh": "Hani", "ja": "Jpan"}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """English sentences and their words, those that training never sees apart (`speech.texts.has_held_word`)."""

    sentences: dict[bool, tuple[str, ...]]
    words: dict[bool, tuple[str, ...]]

    @classmethod
    def of(cls, path: Path) -> Vocabulary:
        """From a gzipped file with a sentence a line, as `speech.texts.sentences` gives them."""
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            found = stream.read().splitlines()
        sentences = {held: tuple(text for text in found if has_held_word(text) == held) for held in (False, True)}
        known = sorted({word for text in found for word in re.findall(r"[A-Za-z'-]+", text)})
        words = {held: tuple(word for word in known if held_word(word) == held) for held in (False, True)}
        return cls(sentences, words)

    def prose(self, rng: random.Random, held_out: bool) -> str:
        """A few sentences."""
        return " ".join(rng.choice(self.sentences[held_out]) for _ in range(rng.randint(1, 4)))

    def scramble(self, rng: random.Random, held_out: bool) -> str:
        """Words in no order, every fourth a number; of an evaluation all words but short ones are held out."""
        found = []
        for _ in range(rng.randint(4, 14)):
            word = rng.choice(self.words[held_out])
            number = str(rng.randint(0, 10 ** rng.randint(1, 7)))
            found.append(rng.choice((number, f"{float(number) / 100:,.2f}")) if rng.random() < 0.25 else word)
        return " ".join(found)


def lines(
    seed: int,
    faces: Faces,
    *,
    vocabulary: Vocabulary | None = None,
    held_out: bool = False,
    random_words: bool | None = None,
) -> Sample:
    """One to eight lines of a paragraph somewhere on a page. ``random_words``: no context to lean on; None: in half."""
    rng = random.Random(f"lines-{seed}-{held_out}")
    scrambled = rng.random() < (_RANDOM if held_out else _RANDOM_TRAINED) if random_words is None else random_words
    shares = _EVALUATED if held_out else _TRAINED
    language = "en" if scrambled else rng.choices(list(shares), list(shares.values()))[0]
    script = _SCRIPTS.get(language, "Latn")
    if not faces.of(_LETTERS[script], STYLES, held_out=held_out):
        language, script = "en", "Latn"  # no held-out face may be at hand for Chinese or Japanese
    face = faces.pick(rng, _LETTERS[script], (rng.choice(STYLES),), held_out=held_out)
    size = rng.randint(18, 44)
    width, height = 1240, 1754
    left, room = rng.randint(30, 300), rng.randint(260, 900)
    font = face_at(face, size)
    wanted, text, printed = rng.randint(1, 8), "", list[str]()
    for attempt in range(6):
        if vocabulary is not None and language == "en" and rng.random() < 0.7:
            more = (vocabulary.scramble if scrambled else vocabulary.prose)(rng, held_out)
        elif scrambled:
            more = scramble(seed * 7 + attempt, held_out=held_out)
        else:
            more = prose(seed * 7 + attempt, language, held_out=held_out)
        text = f"{text} {more}".strip() if script == "Latn" else text + more
        printed = [line.strip() for line in wrap(text, font, min(room, width - left - 20)) if line.strip()]
        if len(printed) >= wanted:
            break
    printed = printed[:wanted]
    leading = round(size * rng.uniform(1.25, 1.9))
    top = rng.randint(40, height - 60 - leading * 9)
    placed = []
    for row, line in enumerate(printed):
        x0, y0, x1, y1 = font.getbbox(line)
        at = top + row * leading
        placed.append(PrintedLine(line, (left + x0, at + y0, left + x1, at + y1), face, size, script))
    answer = ("" if script != "Latn" else " ").join(printed)
    task = Task("scramble" if scrambled else "read", rng.choice(READ_ALOUD), None, answer)
    plan = PagePlan(width, height, tuple(placed))
    return Sample(seed, "lines", language, "random" if scrambled else "prose", ((plan,),), (), (task,), held_out)
