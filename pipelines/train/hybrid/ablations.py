"""Short trainings side by side that differ in one thing: what geometry, confidence, the CTC loss and the number of
steps a token are worth. One GPU each, queued over the devices; a line of a table each.

    python -m pipelines.train.hybrid.ablations RECIPE --corpus CORPUS --held HELD --speech SPEECH --out OUT \\
        --begin RUN --devices cuda:0 cuda:1 cuda:2 cuda:3 --seconds 150

In so short a time a decoder that has never met a soft token learns nothing that tells two trainings apart. So all go on
from the decoder of a training that has ended, --begin, with adapters that know nothing, and each learns from what it is
judged by alone: adapters of lines from printed lines and documents, those of speech from recordings without the voices
of fold A, which the decoder's difference has heard and the adapter has not. Without --begin they begin with the base.
Adapters of more steps a token take up more words under one, or their texts would be cut.

Writes OUT/ablations.jsonl, a line as soon as a training is judged, and OUT/NAME with its logs; one that fails is named,
the others go on. A line in the table: losses (natural logarithm a token) of reading prose and random words aloud from
soft tokens alone, character errors of the same, losses of answers about layout and "where" in modes soft and both, loss
of all answers about documents in mode soft, how many of what is not there were refused in it, and word error.
"""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders.adapters.base import AdapterConfig
from pipelines.train.hybrid.recipe import Recipe, Stage, read_recipe

RATES: dict[int, tuple[int, ...]] = {8: (2, 2, 2), 16: (2, 2, 2, 2), 24: (2, 2, 2, 3), 32: (2, 2, 2, 2, 2)}
"""Steps a token, and the strides of an adapter that emits only such tokens."""
_FULL = 16  # steps a token of the adapter that the ablations of geometry and confidence are held against
_SPARE = 3 / 8  # words a step that find room: of 6 under a token of 16 steps nearly all do
_FOLD = "A"
_ANEW = ("adapters", "spelling")
_LEARNT = ("read", "scramble")  # what a loss of answers about documents leaves out


@dataclass(frozen=True, slots=True)
class Ablation:
    """A training. ``flags`` are options of training and of judging; ``hears``: it learns and is judged by recordings,
    the others by what is printed."""

    name: str
    recipe: Recipe
    flags: tuple[str, ...] = ()
    hears: bool = False


def ablations(recipe: Recipe, seconds: float) -> list[Ablation]:
    """All of them, of ``seconds`` each."""
    printed = {rate: at_rate(_printed(recipe, seconds), rate) for rate in RATES}
    heard = _heard(recipe, seconds)
    silent = heard.model_copy(update={"stages": tuple(s.model_copy(update={"ctc": 0.0}) for s in heard.stages)})
    return [
        *(Ablation(f"{rate} steps a token", printed[rate]) for rate in RATES),
        Ablation(f"{_FULL} steps without geometry", printed[_FULL], ("--without-geometry",)),
        Ablation(f"{_FULL} steps without confidence", printed[_FULL], ("--without-confidence",)),
        Ablation("speech", heard, hears=True),
        Ablation("speech without CTC", silent, hears=True),
    ]


def _printed(recipe: Recipe, seconds: float) -> Recipe:
    """Lines and documents, read from soft tokens more often than not."""
    last = recipe.stages[-1]
    stage = Stage(
        name="ablation", seconds=seconds, rows=last.rows, row_tokens=last.row_tokens, documents=0.6,
        modes={"soft": 1.0, "both": 0.4}, decoder_rate=1e-3, adapter_rate=1e-3, longest_answer=400,
        weights={"layout": 2.0, "where": 2.0, "json": 0.5, "json name": 0.1},
    )  # fmt: skip
    return recipe.model_copy(update={"stages": (stage,), "fold": _FOLD})


def _heard(recipe: Recipe, seconds: float) -> Recipe:
    """Recordings alone: single sentences, from which frames learn their letters, then windows."""
    last = recipe.stages[-1]
    stages = (
        Stage(
            name=name, seconds=share * seconds, rows=last.rows, row_tokens=last.row_tokens, lines_at_once=most, ctc=ctc,
            modes={"soft": 1.0}, speech=1.0, unheard=0.25, decoder_rate=1e-3, adapter_rate=1e-3, longest_answer=300,
        )
        for name, most, share, ctc in (("sentences", 1, 0.5, 0.3), ("windows", 4, 0.5, 0.1))
    )  # fmt: skip
    return recipe.model_copy(update={"stages": tuple(stages), "fold": _FOLD})


def at_rate(recipe: Recipe, rate: int) -> Recipe:
    """A recipe whose OCR adapter emits tokens of one rate alone."""
    ocr, strides = recipe.adapters["ocr"], RATES[rate]
    widths = (*ocr.widths, *[ocr.widths[-1]] * len(strides))[: len(strides) + 1]
    changed = {"strides": strides, "widths": widths, "rates": (rate,), "steps_per_token": rate}
    changed["slots"] = max(ocr.slots, round(_SPARE * rate)) if ocr.slots else 0
    adapters = {**recipe.adapters, "ocr": AdapterConfig.model_validate(ocr.model_dump() | changed)}
    stages = tuple(stage.model_copy(update={"rates": (rate,)}) for stage in recipe.stages)
    return recipe.model_copy(update={"adapters": adapters, "stages": stages})


class Runs:
    """Trainings, each on one of some devices."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._devices: queue.Queue[str] = queue.Queue()
        for device in arguments.devices:
            self._devices.put(device)

    def run(self, ablation: Ablation) -> dict[str, Any]:
        """Train and judge one as soon as a device is free; with what failed under "error"."""
        device = self._devices.get()
        started = time.monotonic()
        folder: Path = self._arguments.out / ablation.name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        recipe = folder / "recipe.json"
        recipe.write_text(ablation.recipe.model_dump_json(indent=1), encoding="utf-8")
        found: dict[str, Any] = {"name": ablation.name, "device": device}
        try:
            self._train(recipe, folder, device, ablation)
            if not ablation.hears:
                found |= figures(folder.glob("validation-*.jsonl"), ablation.recipe.stages[-1].name)
            found |= self._judged(recipe, folder, device, ablation)
        except subprocess.CalledProcessError as error:
            found["error"] = f"{error.cmd[2]} ended with code {error.returncode}; see {folder}"
        except (OSError, ValueError, LookupError) as error:  # the others are to go on
            found["error"] = f"{type(error).__name__}: {error}; see {folder}"
        finally:
            self._devices.put(device)
        return found | {"seconds": round(time.monotonic() - started, 1)}

    def _train(self, recipe: Path, folder: Path, device: str, ablation: Ablation) -> None:
        given = self._arguments
        for old in folder.glob("*.jsonl"):
            old.unlink()
        command: list[Any] = [recipe, "--corpus", given.corpus, "--out", folder, "--devices", device]
        command += ["--loaders", given.loaders, *ablation.flags]
        command += ["--resume", given.begin, "--anew", *_ANEW] if given.begin else []
        if ablation.hears:
            command += self._options("speech")
        else:
            command += ["--held", given.held, "--validated", given.validated, "--validate-once"]
        self._called("train", command, folder / "train.log")

    def _judged(self, recipe: Path, folder: Path, device: str, ablation: Ablation) -> dict[str, Any]:
        given = self._arguments
        command: list[Any] = [recipe, folder / "state.pt", "--held", given.held, "--device", device, *ablation.flags]
        heard = ["--count", 0, "--recordings", given.recordings, *self._options("speech")]
        command += heard if ablation.hears else ["--count", given.count]
        self._called("dictation", command, folder / "dictation.log")
        said: dict[str, Any] = json.loads((folder / "dictation.log").read_text("utf-8").splitlines()[-1])
        return said

    def _options(self, *names: str) -> list[Any]:
        given = [(name, getattr(self._arguments, name)) for name in names]
        return [part for name, value in given if value is not None for part in (f"--{name}", value)]

    @staticmethod
    def _called(module: str, arguments: Iterable[Any], log: Path) -> None:
        command = [sys.executable, "-m", f"pipelines.train.hybrid.{module}", *map(str, arguments)]
        with log.open("w", encoding="utf-8") as out, log.with_suffix(".err").open("w", encoding="utf-8") as errors:
            subprocess.run(command, stdout=out, stderr=errors, check=True)


def figures(validations: Iterable[Path], stage: str) -> dict[str, Any]:
    """Losses and exact answers of the last stage, by mode, rate and kind. Raises ValueError where there are none."""
    found: dict[str, Any] = {}
    for path in validations:
        for line in map(json.loads, path.read_text("utf-8").splitlines()):
            if line["validation"] == stage:
                key = line["mode"] if line["mode"] == "text" else f"{line['mode']}@{line['rate']}"
                found[key] = {"loss": line["loss"], "exact": line["exact"]}
    if not found:
        raise ValueError(f"nothing was validated after stage {stage}")
    return {"validation": found}


def row(found: Mapping[str, Any]) -> str:
    """A line of the table; several rates stand behind each other."""
    name = f"{found['name']:28}"
    if "error" in found:
        return f"{name} FAILED: {found['error']}"
    validation, characters = found.get("validation", {}), found.get("characters", {})
    soft, both = ([own for key, own in validation.items() if key.startswith(f"{mode}@")] for mode in ("soft", "both"))
    cells = [_cell([one["loss"].get(kind) for one in soft], "{:.2f}") for kind in _LEARNT]
    cells += [_cell([one.get(kind) for one in characters.values()], "{:.3f}") for kind in _LEARNT]
    for kind in ("layout", "where"):
        cells.append(_cell([one["loss"].get(kind) for one in (*soft, *both)], "{:.3f}"))
    cells.append(_cell([_mean(one) for one in soft], "{:.3f}"))
    cells.append(_cell([one["exact"].get("unanswerable", [None])[0] for one in soft], "{:.2f}"))
    cells.append(_cell([found.get("words")], "{:.3f}"))
    return name + "".join(f"{cell:>15}" for cell in cells) + f"{found['seconds']:8.0f}"


def _mean(one: Mapping[str, Any]) -> float | None:
    """The loss of answers about documents, every kind weighing as many as were asked."""
    kinds = [kind for kind in one["loss"] if kind not in _LEARNT and kind in one["exact"]]
    count = sum(one["exact"][kind][1] for kind in kinds)
    return sum(one["loss"][kind] * one["exact"][kind][1] for kind in kinds) / count if count else None


_COLUMNS = ("loss, prose", "loss, random", "CER prose", "CER random", "layout s/b", "where s/b", "answers, soft",
            "refused, soft", "WER, fold A")  # fmt: skip
HEAD = f"{'':28}" + "".join(f"{name:>15}" for name in _COLUMNS) + f"{'s':>8}"


def _cell(values: Sequence[float | None], shape: str) -> str:
    return " / ".join("-" if value is None else shape.format(value) for value in values) or "-"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--corpus", type=Path, required=True, help="what perceive wrote")
    parser.add_argument("--held", type=Path, required=True, help="the same of held-out samples")
    parser.add_argument("--speech", type=Path, help="what speech.synthesise wrote")
    parser.add_argument("--begin", type=Path, help="the --out of a training, or a stage's folder in it, to go on from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--devices", nargs="+", default=["cpu"], help="one named twice takes two trainings at once")
    parser.add_argument("--seconds", type=float, default=150, help="of training, each")
    parser.add_argument("--loaders", type=int, default=4, help="processes that make batches, for each training")
    parser.add_argument("--validated", type=int, default=256, help="held-out samples that are looked at after a stage")
    parser.add_argument("--count", type=int, default=48, help="samples of lines that are written down")
    parser.add_argument("--recordings", type=int, default=12, help="recordings that are written down")
    parser.add_argument("--only", nargs="+", help="names, as in the table")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    wanted = ablations(read_recipe(arguments.recipe), arguments.seconds)
    if arguments.only:
        if unknown := set(arguments.only) - {one.name for one in wanted}:
            parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(one.name for one in wanted)}")
        wanted = [one for one in wanted if one.name in arguments.only]
    if arguments.speech is None and (hearing := [one.name for one in wanted if one.hears]):
        parser.error(f"{', '.join(hearing)} learn from recordings: name them by --speech, or the others by --only")
    runs, lock, failed = Runs(arguments), threading.Lock(), []
    print(HEAD, flush=True)

    def take(ablation: Ablation) -> None:
        found = runs.run(ablation)
        with lock, (arguments.out / "ablations.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(found) + "\n")
            print(row(found), flush=True)
            failed.extend([found["name"]] if "error" in found else [])

    with ThreadPoolExecutor(len(arguments.devices)) as pool:
        list(pool.map(take, wanted))
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
