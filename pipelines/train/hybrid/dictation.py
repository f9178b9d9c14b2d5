"""What a trained state writes down of soft tokens alone: character error of printed lines, word error of recordings.

    python -m pipelines.train.hybrid.dictation RECIPE RUN/state.pt --held HELD --speech SPEECH --device cuda:0

Written greedily and unconstrained, without the engine, so that a training can be judged where it ran. Lines are the
first of a folder that `perceive --held-out` wrote; recordings are read sentences by the voices of one fold, A.
Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from encoders.adapters.base import Adapter
from encoders.checkpoints.resolve import resolve
from pipelines.train.hybrid.batches import batch_of
from pipelines.train.hybrid.items import Saying
from pipelines.train.hybrid.listening import Listening
from pipelines.train.hybrid.model import Hybrid
from pipelines.train.hybrid.perceived import load, stored
from pipelines.train.hybrid.prompts import Example, Prompter
from pipelines.train.hybrid.recipe import Recipe, read_recipe
from pipelines.train.hybrid.samples import READ_ALOUD
from pipelines.train.hybrid.source import Conditions, taken_away
from pipelines.train.word_errors import edits, normalised

OTHERS = {"A": "B", "B": "A"}
_TOGETHER = 32


class Dictation:
    """A trained model that writes down what it is given."""

    def __init__(self, recipe: Recipe, state: Path, device: str, conditions: Conditions) -> None:
        self._recipe, self._conditions, self._device = recipe, conditions, torch.device(device)
        adapters = {task: Adapter(config) for task, config in recipe.adapters.items()}
        model = Hybrid(recipe.decoder, recipe.rank, adapters).to(self._device)
        weights = torch.load(state, map_location=self._device, weights_only=True)
        model.load_state_dict(weights, strict=False)
        for layer in model.layers.values():
            layer.settle()
        self._model = model.eval()
        self.prompter = Prompter(recipe.decoder, recipe.prompt_tokens, recipe.speech_rates)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(resolve(recipe.decoder))
        self._ears: Any = None

    @torch.inference_mode()
    def written(self, examples: Sequence[Example], rate: int) -> list[str]:
        """What is written for the first question of each example, of at most a quarter more tokens than the answer."""
        found: list[str] = []
        for at in range(0, len(examples), _TOGETHER):
            found += self._together(examples[at : at + _TOGETHER], rate)
        return found

    def _together(self, examples: Sequence[Example], rate: int) -> list[str]:
        single = [replace(one, branches=one.branches[:1]) for one in examples]
        length = max(map(len, single))
        saying = Saying(self.prompter.tokens, self._recipe.slots)
        rows = [[one] for one in single]
        batch = batch_of(rows, length, rate, self._recipe.speech_rates, {}, saying).to(self._device)
        taken_away(batch, self._conditions)
        begins = [len(one.prefix) + len(one.branches[0].question) for one in single]
        most = max(len(one.branches[0].answer) for one in single)
        with torch.autocast(self._device.type, torch.bfloat16):
            vectors = self._model.embedded(batch, self._model.given(batch, self._heard(batch)))
            prompts = torch.zeros(len(single), max(begins), vectors.shape[-1], device=self._device, dtype=vectors.dtype)
            mask = torch.zeros(prompts.shape[:2], device=self._device, dtype=torch.long)
            for row, (prompt, seen, begin) in enumerate(zip(prompts, mask, begins, strict=True)):
                prompt[len(prompt) - begin :] = vectors[row, :begin]
                seen[len(seen) - begin :] = 1
            end = single[0].branches[0].answer[-1]
            tokens = self._model.decoder.generate(
                inputs_embeds=prompts, attention_mask=mask, max_new_tokens=most + most // 4 + 4, do_sample=False,
                eos_token_id=end, pad_token_id=end,
            )  # fmt: skip
        return self._tokenizer.batch_decode(tokens, skip_special_tokens=True)  # type: ignore[no-any-return]

    def _heard(self, batch: Any) -> torch.Tensor | None:
        if batch.audio is None:
            return None
        if self._ears is None:
            from pipelines.train.hybrid.hearing import Ears

            self._ears = Ears(self._device)
        features: torch.Tensor = self._ears(batch.audio, batch.audio_samples)
        return features


def lines(dictation: Dictation, folder: Path, rate: int, count: int) -> dict[str, float]:
    """Character error of prose ("read") and of random words ("scramble"), over the first ``count`` samples of lines."""
    found = list(islice(_lines(dictation.prompter, folder, rate), count))
    written = dictation.written([example for example, _, _ in found], rate)
    return _shares((kind, " ".join(text.split()), truth) for (_, kind, truth), text in zip(found, written, strict=True))


def _lines(prompter: Prompter, folder: Path, rate: int) -> Iterator[tuple[Example, str, str]]:
    for path in stored(folder):
        for one in load(path):
            if one.sample.kind != "lines" or not all(perception.result for perception in one.documents):
                continue
            task = replace(one.sample.tasks[0], question=READ_ALOUD[0])
            example = prompter.example(list(one.documents), [task], "soft", rate)
            if example.soft:
                yield example, task.kind, " ".join(task.answer.split())


def words(dictation: Dictation, folder: Path, fold: str, count: int) -> float | None:
    """Word error of ``count`` recordings of read sentences by the voices that a fold leaves out."""
    found: list[tuple[Example, str]] = []
    rng = random.Random(7)
    for inputs, tasks in islice(Listening(folder, OTHERS[fold]).alone(rng), 40 * count):
        if len(tasks) == 1 and len(found) < count:
            task = replace(tasks[0], question=READ_ALOUD[0])
            found.append((dictation.prompter.example(inputs, [task], "soft", None), task.answer))
    if not found:
        return None
    written = dictation.written([example for example, _ in found], 8)
    pairs = zip(found, written, strict=True)
    return _shares(("hear", normalised(text), normalised(truth)) for (_, truth), text in pairs)["hear"]


def _shares(pairs: Iterator[tuple[str, Sequence[str], Sequence[str]]]) -> dict[str, float]:
    """Edits over lengths, by kind."""
    wrong: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for kind, text, truth in pairs:
        wrong[kind] += edits(truth, text)
        total[kind] += len(truth)
    return {kind: round(wrong[kind] / max(1, total[kind]), 4) for kind in sorted(total)}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("state", type=Path)
    parser.add_argument("--held", type=Path, required=True, help="what perceive --held-out wrote")
    parser.add_argument("--speech", type=Path, help="what speech.synthesise wrote")
    parser.add_argument("--count", type=int, default=48, help="samples of lines, at every rate of the adapter")
    parser.add_argument("--recordings", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--without-geometry", action="store_true")
    parser.add_argument("--without-confidence", action="store_true")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe)
    conditions = Conditions(not arguments.without_geometry, not arguments.without_confidence)
    dictation = Dictation(recipe, arguments.state, arguments.device, conditions)
    rates = recipe.adapters["ocr"].rates if arguments.count else ()
    found: dict[str, Any] = {"characters": {r: lines(dictation, arguments.held, r, arguments.count) for r in rates}}
    if arguments.speech is not None:
        found["words"] = words(dictation, arguments.speech, recipe.fold or "A", arguments.recordings)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
