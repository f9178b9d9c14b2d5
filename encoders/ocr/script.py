"""Which script each line of a page is in, seen from its pixels before anything is read.

The signal is a small network of our own over crops of a page's lines (`script_network`). It is not the
recogniser's score: PP-OCRv6 reads Russian as nonsense at 0.86 confidence. Lines vote: a page of one script
is decided from a sample of its lines, and only a page that looks mixed has every line looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from encoders.ocr.cropper import Cropper, HostCropper, Sheet
from encoders.ocr.geometry import TALL, Corners, extents_of, read_upwards, sizes_of
from encoders.ocr.script_engine import Scores, ScriptEngine
from encoders.ocr.script_network import CLASSES, HEIGHT, WEIGHTS, WIDTH
from encoders.results import Quad

NATIVE = frozenset({"Latn", "Hani", "Jpan"})
"""Scripts that the built-in recogniser reads; every other one is routed to tesseract."""

VIETNAMESE = "Latn-VN"
"""Latin with Vietnamese tone marks, which the built-in recogniser has no characters for: 45 of its 74 letters."""

_SCRIPTS = CLASSES[:-2]  # without Latn-VN, decided after the scripts, and Zyyy, no line's script in the end
_LATIN = _SCRIPTS.index("Latn")
_ROUTES = np.array([0 if script in NATIVE else 1 + k for k, script in enumerate(_SCRIPTS)])
_LONG = 5.0  # width over height from which a line counts in full: a word of three letters says little
_FLOOR = float(np.log(0.02))  # no line counts more than this against a script: one odd line is not a page


class ScriptConfig(BaseModel):
    """How pages are looked at. Shapes a perception."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample_lines: int = Field(16, ge=1, description="lines of a page that are looked at first")
    odd_line: float = Field(0.8, gt=0, le=1, description="confidence of another script from which a page looks mixed")
    latin_prior: float = Field(2.0, ge=0, description="log odds by which a page is Latin before it is looked at")


@dataclass(frozen=True, slots=True)
class PageScripts:
    """What was seen: a script per line, and whether the page's text stands on its head."""

    scripts: tuple[str, ...]  # ISO 15924, one per quad
    upside_down: float  # probability, from all lines looked at; 0.5 when none has letters
    looked_at: int  # lines that went through the network


class _Look(NamedTuple):
    """What was seen of n lines of a page."""

    scores: NDArray[np.float64]  # [n, 26] log probabilities of scripts, given that there are letters
    weights: NDArray[np.float64]  # the probability of letters, less where the line is short
    upside: NDArray[np.float64]  # logits of being upside down
    tones: NDArray[np.float64]  # log odds of Vietnamese among Latin, at most 3

    def joined(self, other: _Look) -> _Look:
        """These lines, then the other ones."""
        return _Look(*map(np.concatenate, zip(self, other, strict=True)))

    def ordered(self, order: NDArray[np.int64]) -> _Look:
        """The lines in another order."""
        return _Look(*(of[order] for of in self))


class Engine(Protocol):
    """The script network, see `ScriptEngine`."""

    def __call__(self, windows: NDArray[np.uint8]) -> Callable[[], Scores]:
        """What waits for the scores of windows [n, 40, 256]."""

    def parameters(self) -> int:
        """Of the network."""


class ScriptDetector:
    """Chooses the script of lines. `load` once; calls neither raise nor keep state."""

    def __init__(self, config: ScriptConfig | None = None) -> None:
        self.config = config or ScriptConfig()
        self._engine: Engine | None = None

    def load(self, device: str = "cpu") -> None:
        """Load the network."""
        self._engine = ScriptEngine(device)

    def use(self, engine: Engine) -> None:
        """Have the network that somebody else has loaded."""
        self._engine = engine

    def parameters(self) -> int:
        """Parameters of the network; 0 before `load`."""
        return self._engine.parameters() if self._engine else 0

    @staticmethod
    def checkpoint() -> str:
        """sha256 of the weights, for fingerprints. Needs no loading."""
        return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()

    def __call__(self, image: NDArray[np.uint8], quads: Sequence[Quad]) -> list[str]:
        """ISO 15924 code per line of an RGB page [h, w, 3]; a line without letters takes its neighbours' script."""
        return list(self.look(image, quads).scripts)

    def look(self, image: NDArray[np.uint8], quads: Sequence[Quad]) -> PageScripts:
        """The script of each line of an RGB page [h, w, 3], and which way up the text is."""
        return self.look_at([(image, quads)], HostCropper())[0]

    def look_at(self, pages: Sequence[tuple[Sheet, Sequence[Quad]]], cropper: Cropper) -> list[PageScripts]:
        """`look` at several pages, where their cropper has them; they share the network's batches."""
        marked = [(sheet, list(np.array(quads, np.float32).reshape(-1, 4, 2))) for sheet, quads in pages]
        samples = [_sample(corners, self.config.sample_lines) for _, corners in marked]
        looks = self._see(marked, samples, cropper)
        mixed = [self._looks_mixed(look) for look in looks]
        rests = [
            sorted(set(range(len(corners))) - set(sample)) if is_mixed else []
            for (_, corners), sample, is_mixed in zip(marked, samples, mixed)
        ]
        more = self._see(marked, rests, cropper)
        found = []
        for (_, corners), sample, rest, is_mixed, look, other in zip(marked, samples, rests, mixed, looks, more):
            if is_mixed:
                found.append(self._line_by_line(corners, look.joined(other).ordered(np.argsort([*sample, *rest]))))
            else:
                found.append(self._as_one(look, len(corners)))
        return found

    def _looks_mixed(self, look: _Look) -> bool:
        """Whether a line of the sample is clearly in another recogniser's script than the page."""
        page = self._page_script(look.scores, look.weights)
        odd = _ROUTES[look.scores.argmax(1)] != _ROUTES[page]
        odd &= np.exp(look.scores.max(1)) >= self.config.odd_line
        return bool((odd & (look.weights > 0.5)).any())

    def _as_one(self, look: _Look, lines: int) -> PageScripts:
        """A page of one script."""
        page = self._page_script(look.scores, look.weights)
        name = self._latin(look.tones, look.weights) if page == _LATIN else _SCRIPTS[page]
        return PageScripts((name,) * lines, _upside_down(look.upside, look.weights), len(look.scores))

    def _line_by_line(self, corners: Sequence[Corners], look: _Look) -> PageScripts:
        """A page of several scripts, with all of its lines looked at."""
        chosen = _smooth(corners, look.scores, look.weights, self.config.latin_prior)
        chosen = _without_strays(chosen, look.weights)
        latin = self._latin(look.tones[chosen == _LATIN], look.weights[chosen == _LATIN])
        names = tuple(latin if k == _LATIN else _SCRIPTS[k] for k in chosen)
        return PageScripts(names, _upside_down(look.upside, look.weights), len(corners))

    def _page_script(self, scores: NDArray[np.float64], weights: NDArray[np.float64]) -> int:
        votes = (np.maximum(scores, _FLOOR) * weights[:, None]).sum(0)
        votes[_LATIN] += self.config.latin_prior
        return int(votes.argmax())

    def _latin(self, tones: NDArray[np.float64], weights: NDArray[np.float64]) -> str:
        """Latin or Vietnamese, for all Latin lines of a page together: one line may happen to have no tone mark."""
        return VIETNAMESE if float((tones * weights).sum()) > self.config.latin_prior else "Latn"

    def _see(
        self, marked: Sequence[tuple[Sheet, Sequence[Corners]]], wanted: Sequence[Sequence[int]], cropper: Cropper
    ) -> list[_Look]:
        """The wanted lines of each page through the network."""
        if self._engine is None:
            raise RuntimeError("load() first")
        lines = [[corners[i] for i in mine] for (_, corners), mine in zip(marked, wanted)]
        greys = cropper.greys([(sheet, _middles(some)) for (sheet, _), some in zip(marked, lines)])()
        windows = [_window(grey) for page in greys for grey in page]
        scores, upside = self._engine(np.stack(windows))() if windows else (np.zeros((0, len(CLASSES))), np.zeros(0))
        ends = np.cumsum([len(some) for some in lines])[:-1]
        return [_look(*of) for of in zip(lines, np.split(scores, ends), np.split(upside, ends))]


def _look(corners: Sequence[Corners], scores: NDArray[np.float64], upside: NDArray[np.float64]) -> _Look:
    """What the network said of these lines, as votes."""
    long = np.array([max(size) / max(1.0, min(size)) / _LONG for size in sizes_of(corners)]).clip(0.2, 1.0)
    weights = (1.0 - np.exp(scores[:, -1])) * long
    letters = scores[:, :-2].copy()
    letters[:, _LATIN] = np.logaddexp(letters[:, _LATIN], scores[:, -2])
    letters -= np.log(np.exp(letters).sum(1, keepdims=True) + 1e-12)
    tones = np.clip(scores[:, -2] - scores[:, _LATIN], -3, 3) * np.exp(letters[:, _LATIN])
    return _Look(letters, weights, upside, tones)


def _middles(lines: Sequence[Corners]) -> list[Corners]:
    """The middle of each line, no more of it than is looked at, along its longer side."""
    corners = np.array(lines, np.float32).reshape(-1, 4, 2)
    sizes = extents_of(corners)
    tall = sizes[:, 1] >= TALL * sizes[:, 0]
    corners[tall] = read_upwards(corners[tall])
    width, height = np.where(tall[:, None], sizes[:, ::-1], sizes).T
    longest = 1.1 * height * WIDTH / HEIGHT
    long = width > longest
    width, longest = width[long], longest[long]
    top, after, _, bottom = corners[long].transpose(1, 0, 2)
    along = (after - top) / width[:, None].astype(np.float32)
    start = along * ((width - longest) / 2)[:, None].astype(np.float32)
    stop = along * ((width + longest) / 2)[:, None].astype(np.float32)
    corners[long] = np.stack([top + start, top + stop, bottom + stop, bottom + start], axis=1)
    return list(corners)


def _window(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey crop as the network sees it: [40, 256], paper where the line is shorter."""
    columns = max(1, round(crop.shape[1] * HEIGHT / crop.shape[0]))
    grey = cv2.resize(crop, (columns, HEIGHT), interpolation=cv2.INTER_AREA)
    start = max(0, (columns - WIDTH) // 2)
    grey = grey[:, start : start + WIDTH]
    window = np.full((HEIGHT, WIDTH), _median(grey), np.uint8)
    window[:, : grey.shape[1]] = grey
    return window


def _median(grey: NDArray[np.uint8]) -> int:
    """`int(np.median(grey))`, by counting: it need not sort ten thousand pixels."""
    below = np.cumsum(cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(np.int64))
    middle = np.searchsorted(below, [(grey.size - 1) // 2, grey.size // 2], side="right")
    return int(middle.sum()) // 2


def _sample(corners: Sequence[Corners], count: int) -> list[int]:
    """Lines from all over the page, longer ones first: they hold the most letters."""
    if len(corners) <= count:
        return list(range(len(corners)))
    lengths = np.array([max(size) / max(1.0, min(size)) for size in sizes_of(corners)])
    chosen: list[int] = []
    by_height = np.argsort([float(quad[:, 1].mean()) for quad in corners])
    for band in np.array_split(by_height, count):
        chosen.append(int(band[lengths[band].argmax()]))
    return chosen


def _smooth(
    corners: Sequence[Corners], scores: NDArray[np.float64], weights: NDArray[np.float64], latin_prior: float
) -> NDArray[np.int64]:
    """The script of each line of a mixed page: its own look, its neighbours' and the page's."""
    votes = np.maximum(scores, _FLOOR) * weights[:, None]
    share = np.exp(votes)[weights > 0.5].mean(0) if (weights > 0.5).any() else np.exp(votes).mean(0)
    boxes = np.array([(*quad.min(0), *quad.max(0)) for quad in corners])
    own = votes.copy()
    usual = float(np.median(np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])))
    for index, (x0, y0, x1, y1) in enumerate(boxes):
        reach = 1.5 * max(usual, min(x1 - x0, y1 - y0))  # to the next line of the block, and over a column's gap
        near = (
            (boxes[:, 0] < x1 + reach)
            & (boxes[:, 2] > x0 - reach)
            & (boxes[:, 1] < y1 + reach)
            & (boxes[:, 3] > y0 - reach)
        )
        near[index] = False
        if near.any():
            own[index] += 0.6 * votes[near].mean(0)
    own += 0.3 * np.log(share + 1e-3)
    own[:, _LATIN] += 0.25 * latin_prior
    return np.asarray(own.argmax(1), np.int64)


def _without_strays(chosen: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """A recogniser that would get less than one full line of the page gets none: stray short lines are mistakes."""
    routes = _ROUTES[chosen]
    shares = {int(route): float(weights[routes == route].sum()) for route in np.unique(routes)}
    largest = max(shares, key=lambda route: shares[route])
    main = np.bincount(chosen[routes == largest]).argmax()
    stray = np.array([shares[int(route)] < 1.2 and route != largest for route in routes])
    return np.where(stray, main, chosen)


def _upside_down(logits: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Probability that the text stands on its head, every line with letters voting."""
    votes = float((np.clip(logits, -3, 3) * weights).sum())
    return float(1 / (1 + np.exp(-votes))) if weights.max(initial=0) > 0.5 else 0.5
