"""Short trainings side by side, each without one thing or at one rate: what geometry, confidence, the CTC warm-up,
the words read and the number of steps a token are worth. One GPU each, queued over the devices; a line of a table each.

    python -m pipelines.train.hybrid.ablations RECIPE --corpus CORPUS --held HELD --speech SPEECH --out OUT \\
        --devices cuda:0 cuda:1 cuda:2 cuda:3 --seconds 60

The recipe's stages are shortened alike, to --seconds in all. The voices of fold A are left out of all of them, and the
word error is theirs. Writes OUT/ablations.jsonl, a line as soon as a training is judged, and OUT/NAME with its logs.
A line in the table: losses (natural logarithm a token) of reading prose and random words aloud from soft tokens alone,
character errors of the same, exact answers to questions about layout and "where" in mode both, loss of hearing, word
error.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders.adapters.base import AdapterConfig
from pipelines.train.hybrid.recipe import Recipe, read_recipe

RATES: dict[int, tuple[int, ...]] = {8: (2, 2, 2), 16: (2, 2, 2, 2), 24: (2, 2, 2, 3), 32: (2, 2, 2, 2, 2)}
"""Steps a token, and the strides of an adapter that emits only such tokens."""
_FOLD = "A"


@dataclass(frozen=True, slots=True)
class Ablation:
    """A training that differs in one thing from the first; ``flags`` are options of training and of judging."""

    name: str
    recipe: Recipe
    flags: tuple[str, ...] = ()


def ablations(recipe: Recipe, seconds: float) -> list[Ablation]:
    """All of them, their stages shortened to ``seconds`` together."""
    share = seconds / sum(stage.seconds for stage in recipe.stages)
    stages = tuple(stage.model_copy(update={"seconds": stage.seconds * share}) for stage in recipe.stages)
    full = recipe.model_copy(update={"stages": stages, "fold": _FOLD})
    silent = tuple(stage.model_copy(update={"ctc": 0.0}) for stage in stages)
    guessed = tuple(stage.model_copy(update={"words_left_out": 0.15}) for stage in stages)
    features = {task: config.model_copy(update={"slots": 0}) for task, config in recipe.adapters.items()}
    return [
        Ablation("full", full),
        Ablation("without geometry", full, ("--without-geometry",)),
        Ablation("without confidence", full, ("--without-confidence",)),
        Ablation("without CTC", full.model_copy(update={"stages": silent})),
        Ablation("without words", full.model_copy(update={"adapters": features})),
        Ablation("with every seventh word left out", full.model_copy(update={"stages": guessed})),
        *(Ablation(f"{rate} steps a token", at_rate(full, rate)) for rate in RATES),
    ]


def at_rate(recipe: Recipe, rate: int) -> Recipe:
    """A recipe whose OCR adapter emits tokens of one rate alone."""
    ocr, strides = recipe.adapters["ocr"], RATES[rate]
    widths = (*ocr.widths, *[ocr.widths[-1]] * len(strides))[: len(strides) + 1]
    changed = {"strides": strides, "widths": widths, "rates": (rate,), "steps_per_token": rate}
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
            self._train(recipe, folder, device, ablation.flags)
            found |= figures(folder.glob("validation-*.jsonl"), ablation.recipe.stages[-1].name)
            found |= self._judged(recipe, folder, device, ablation.flags)
        except subprocess.CalledProcessError as error:
            found["error"] = f"{error.cmd[2]} ended with code {error.returncode}; see {folder}"
        finally:
            self._devices.put(device)
        return found | {"seconds": round(time.monotonic() - started, 1)}

    def _train(self, recipe: Path, folder: Path, device: str, flags: Sequence[str]) -> None:
        given = self._arguments
        for old in folder.glob("*.jsonl"):
            old.unlink()
        command = [
            str(recipe),
            "--corpus",
            given.corpus,
            "--held",
            given.held,
            "--validated",
            given.validated,
            "--validate-once",
        ]
        command += ["--out", folder, "--devices", device, "--loaders", given.loaders]
        self._called("train", [*command, *self._options("speech", "chats"), *flags], folder / "train.log")

    def _judged(self, recipe: Path, folder: Path, device: str, flags: Sequence[str]) -> dict[str, Any]:
        given = self._arguments
        command = [recipe, folder / "state.pt", "--held", given.held, "--device", device, "--count", given.count]
        command += ["--recordings", given.recordings, *self._options("speech"), *flags]
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
    """Losses and exact answers of the last stage, by mode, rate and kind."""
    found: dict[str, Any] = {}
    for path in validations:
        for line in map(json.loads, path.read_text("utf-8").splitlines()):
            if line["validation"] == stage:
                key = line["mode"] if line["mode"] == "text" else f"{line['mode']}@{line['rate']}"
                found[key] = {"loss": line["loss"], "exact": line["exact"]}
    return {"validation": found}


def row(found: Mapping[str, Any]) -> str:
    """A line of the table; several rates stand behind each other."""
    name = f"{found['name']:20}"
    if "error" in found:
        return f"{name} FAILED: {found['error']}"
    validation, characters = found["validation"], found.get("characters", {})
    soft = [validation[key]["loss"] for key in validation if key.startswith("soft@")]
    both = [validation[key]["exact"] for key in validation if key.startswith("both@")]
    cells = [
        _cell([one.get("read") for one in soft], "{:.2f}"),
        _cell([one.get("scramble") for one in soft], "{:.2f}"),
        _cell([one.get("read") for one in characters.values()], "{:.3f}"),
        _cell([one.get("scramble") for one in characters.values()], "{:.3f}"),
        *(_cell([one[kind][0] if kind in one else None for one in both], "{:.2f}") for kind in ("layout", "where")),
        _cell([found.get("words")], "{:.3f}"),
    ]
    return name + "".join(f"{cell:>16}" for cell in cells) + f"{found['seconds']:8.0f}"


_COLUMNS = ("loss, prose", "loss, random", "CER prose", "CER random", "layout, exact", "where, exact", "WER, fold A")
HEAD = f"{'':20}" + "".join(f"{name:>16}" for name in _COLUMNS) + f"{'s':>8}"


def _cell(values: Sequence[float | None], shape: str) -> str:
    return " / ".join("-" if value is None else shape.format(value) for value in values) or "-"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--corpus", type=Path, required=True, help="what perceive wrote")
    parser.add_argument("--held", type=Path, required=True, help="the same of held-out samples")
    parser.add_argument("--speech", type=Path, help="what speech.synthesise wrote")
    parser.add_argument("--chats", type=Path, help="what chats.answer wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--devices", nargs="+", default=["cpu"], help="one named twice takes two trainings at once")
    parser.add_argument("--seconds", type=float, default=60, help="of training, each")
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
    runs, lock, failed = Runs(arguments), threading.Lock(), []
    print(HEAD, flush=True)

    def take(ablation: Ablation) -> None:
        found = runs.run(ablation)
        with lock, (arguments.out / "ablations.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(found) + "\n")
            print(row(found), flush=True)
            failed.extend([found["name"]] if "error" in found else [])

    threads = [threading.Thread(target=take, args=(one,)) for one in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
