"""Word error through soft tokens on voices that training never heard: a training and an evaluation for each group.

    python -m benchmarks.hybrid.folds RECIPE --corpus CORPUS --speech SPEECH --kit .train/eval --out OUT \\
        --begin RUN/read --devices cuda:0 cuda:1 cuda:2 cuda:3

Fold A leaves group A's voices out of training and is judged by them, fold B group B's. The devices are shared out, and
both folds go on at once. Each learns from recordings alone, --seconds in all: single sentences, then up to three, then
whole windows; at once it learned windows late or not at all. It begins with the base, which has heard nobody, or where
``--begin`` says: what a training kept after a stage that heard nobody either (every stage before has ``unheard = 1``,
which is checked). With ``--fresh`` that may be any state: the adapter of speech begins anew then, and what is left of
the voices is what the decoder's difference learned beside another adapter, which the line says.
Prints a line a fold; OUT/A and OUT/B have logs and tables, OUT/foldA.jsonl and OUT/foldA.table.json the losses
and the table once more.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipelines.train.hybrid.recipe import Recipe, Stage, read_recipe
from pipelines.train.hybrid.speech.voices import GROUPS

_STAGES = (("sentences", 1, 0.2, 0.3, 0.8), ("some", 3, 0.25, 0.2, 0.6), ("windows", 8, 0.55, 0.1, 0.4))
"""Name, most sentences at once, share of the time, weight of the letters that frames must spell, share that is words
alone: of single sentences a batch needs most, and sound is what loaders wait for."""
_FRESH = ("adapters.speech_to_text", "spelling")


def recipe_of(recipe: Recipe, fold: str, seconds: float) -> Recipe:
    """The recipe of a fold: adapters and sizes of the whole training, stages of its own."""
    (first, *_) = recipe.stages
    shared: dict[str, Any] = {
        "rows": first.rows,
        "row_tokens": first.row_tokens,
        "rates": first.rates,
        "modes": {"soft": 1.0, "text": 0.05},  # what is to be copied, in its plainest form
        "speech": 1.0,
        "decoder_rate": 2e-3,
        "adapter_rate": 1e-3,
        "longest_answer": 300,
    }
    stages = tuple(
        Stage(name=name, seconds=seconds * share, lines_at_once=most, ctc=ctc, unheard=unheard, **shared)
        for name, most, share, ctc, unheard in _STAGES
    )
    return recipe.model_copy(update={"fold": fold, "stages": stages})


def hears_nobody(recipe: Recipe, begin: Path) -> bool:
    """Whether what a training kept after a stage, in a folder of its name, has heard no voice at all."""
    names = [stage.name for stage in recipe.stages]
    if begin.name not in names:
        return False
    return all(stage.unheard == 1 for stage in recipe.stages[: names.index(begin.name) + 1])


def run(recipe: Recipe, fold: str, devices: Sequence[str], port: int, options: argparse.Namespace) -> str:
    """Train and judge a fold; the line that is said of it."""
    started = time.monotonic()
    folder: Path = options.out / fold
    folder.mkdir(parents=True, exist_ok=True)
    own, model, table = folder / "recipe.json", folder / "model", folder / "eval"
    own.write_text(recipe_of(recipe, fold, options.seconds).model_dump_json(indent=1), encoding="utf-8")
    begin = ["--resume", options.begin] if options.begin else []
    begin += ["--anew", *_FRESH] if options.fresh else []
    steps: list[tuple[str, list[Any]]] = [
        ("pipelines.train.hybrid.train",
         [own, "--corpus", options.corpus, "--speech", options.speech, "--out", folder, "--devices", *devices,
          "--loaders", options.loaders, "--port", port, *begin]),
        ("pipelines.train.hybrid.export", [own, folder / "state.pt", model, "--decoder", model / "decoder"]),
        ("benchmarks.hybrid",
         ["--model", model, "--kit", options.kit, "--rows", "aloud", "--modes", "soft", "--baseline", "",
          "--device", devices[0], "--out", table, *(["--limit", options.limit] if options.limit else [])]),
    ]  # fmt: skip
    try:
        for module, arguments in steps:
            _called(module, arguments, folder / f"{module.rpartition('.')[2]}.log")
    finally:  # where a machine's owner collects them, whatever happened
        for kept, name in (
            (folder / "log.jsonl", f"fold{fold}.jsonl"),
            (table / "table.json", f"fold{fold}.table.json"),
        ):
            if kept.exists():
                shutil.copyfile(kept, options.out / name)
    rows = json.loads((table / "table.json").read_text("utf-8"))["rows"]
    begun = f"begun with {options.begin} and a fresh adapter; " if options.fresh else ""
    return f"{line(fold, rows)}; {begun}{time.monotonic() - started:.0f} s"


def _called(module: str, arguments: Iterable[Any], log: Path) -> None:
    with log.open("w", encoding="utf-8") as out:
        subprocess.run([sys.executable, "-m", module, *map(str, arguments)], stdout=out, stderr=out, check=True)


def line(fold: str, rows: Mapping[str, Any]) -> str:
    """What a fold came to, by the rows of its table.json."""
    found = {group: _row(rows, group) for group in GROUPS}
    (heard,) = set(GROUPS) - {fold}
    own = found[fold]
    text = f"fold {fold}, without {', '.join(GROUPS[fold])}: word error {_cell(own['soft'])}"
    text += f" on {own['soft']['count']} windows"
    return f"{text}; voices that training heard {_cell(found[heard]['soft'])}; whisper itself {_cell(own['encoder'])}"


def _row(rows: Mapping[str, Any], group: str) -> Mapping[str, Any]:
    beginning = f"aloud: words, voices {group}, "
    return next(cells for name, cells in rows.items() if name.startswith(beginning) and "encoder" in cells)


def _cell(own: Mapping[str, Any]) -> str:
    return f"{100 * own['value']:.1f} % ({100 * own['low']:.1f}-{100 * own['high']:.1f})"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.hybrid.folds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path, help="of the whole training: adapters, rank, sizes")
    parser.add_argument("--corpus", type=Path, required=True, help="what perceive wrote")
    parser.add_argument("--speech", type=Path, required=True, help="what speech.synthesise wrote")
    parser.add_argument("--kit", type=Path, required=True, help="what benchmarks.hybrid.kit read")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--begin", type=Path, help="RUN/STAGE of a training, whose voices nobody has heard by then")
    parser.add_argument("--fresh", action="store_true", help="--begin may have heard everyone: speech begins anew")
    parser.add_argument("--folds", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument("--devices", nargs="+", default=["cpu"], help="shared out among the folds; one: one by one")
    parser.add_argument("--seconds", type=float, default=110, help="of training, each")
    parser.add_argument("--loaders", type=int, default=7, help="processes that make batches, for each device")
    parser.add_argument("--limit", type=int, help="windows of each group that are read aloud")
    parser.add_argument("--port", type=int, default=29531)
    options = parser.parse_args()
    recipe = read_recipe(options.recipe)
    if options.fresh and not options.begin:
        parser.error("--fresh says what of --begin is left out: name the training or stage to begin with")
    if options.begin and not options.fresh and not hears_nobody(recipe, options.begin):
        parser.error(
            f"--begin {options.begin}: a stage of {options.recipe} up to there hears voices (unheard < 1); see --fresh"
        )
    each = max(1, len(options.devices) // len(options.folds))
    failed: list[str] = []

    def take(number: int, fold: str) -> None:
        devices = (options.devices * len(options.folds))[number * each : (number + 1) * each]
        try:
            print(run(recipe, fold, devices, options.port + number, options), flush=True)
        except (subprocess.CalledProcessError, StopIteration, KeyError) as error:
            failed.append(fold)
            print(f"fold {fold}: FAILED, {error}; see the logs in {options.out / fold}", flush=True)

    with ThreadPoolExecutor(min(len(options.devices), len(options.folds))) as pool:
        list(pool.map(take, range(len(options.folds)), options.folds))
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
