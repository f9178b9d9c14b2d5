"""Train adapters and decoder together: every stage of a recipe on every GPU of this machine.

    python -m pipelines.train.hybrid.train recipe.toml --corpus FOLDER --out FOLDER --devices cuda:0 cuda:1
    python -m pipelines.train.hybrid.train recipe.toml --base HuggingFaceTB/SmolLM2-360M-Instruct --corpus ...

Needs what `pipelines.train.hybrid.perceive` wrote. Goes on from an ended training with --resume and --stages. The
gradients of all devices are averaged, so each device sees other samples. Writes `log.jsonl`, a line every few steps.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from encoders.adapters.base import Adapter
from pipelines.train.hybrid.batches import Batch
from pipelines.train.hybrid.model import Hybrid
from pipelines.train.hybrid.parcels import Parcel
from pipelines.train.hybrid.recipe import Recipe, Stage, read_recipe
from pipelines.train.hybrid.schedule import factor
from pipelines.train.hybrid.source import Conditions, Source, collate, held, taken_away

_LOG_EVERY = 20  # steps
_AGREED_EVERY = 5  # steps: asking the first process for the time waits for the device
_LOOKS_AHEAD = 0.7  # of a stage: then loaders begin with the next one's batches
_CLIP = 1.0  # of the gradient's norm


@dataclass(slots=True)
class Run:
    """One process of a training."""

    recipe: Recipe
    corpus: Path
    held: Path | None
    speech: Path | None
    chats: Path | None
    screens: Path | None
    out: Path
    rank: int
    world: int
    device: torch.device
    loaders: int
    conditions: Conditions
    resume: Path | None = None
    validated: int = 512
    validate_once: bool = False
    anew: tuple[str, ...] = ()
    started: float = field(default_factory=time.monotonic)

    def say(self, **values: Any) -> None:
        """A line of the log, from the first process."""
        if self.rank:
            return
        line = json.dumps({"time": round(time.monotonic() - self.started, 1), **values})
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        print(line, flush=True)


def train(run: Run, stages: list[Stage]) -> None:
    """All stages one after another, a validation after each. Raises ValueError where what a stage wants is missing."""
    if run.chats is None and (wanting := [stage.name for stage in stages if stage.chats]):
        raise ValueError(f"stages {', '.join(wanting)} want chats: name the file that chats.answer wrote by --chats")
    if run.screens is None and any(stage.screens for stage in stages):
        run.say(event="without screens: the adapter of detections learns nothing; name their file by --screens")
    torch.manual_seed(run.recipe.seed)
    adapters = {task: Adapter(config) for task, config in run.recipe.adapters.items()}
    model = Hybrid(run.recipe.decoder, run.recipe.rank, adapters).to(run.device)
    if run.resume:
        state = torch.load(run.resume / "state.pt", map_location=run.device, weights_only=True)
        left = model.resume(state, run.anew)
        run.say(event="resumed", anew=left)
    if run.device.type == "cuda":
        model.compile()
    ears = _ears(run)
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    run.say(event="start", parameters=sum(p.numel() for p in trainable.values()), rank=run.recipe.rank)
    batches = _batches(run, stages[0])
    for stage, later in zip(stages, [*stages[1:], None]):
        batches = _stage(run, stage, model, ears, batches, later)
        if run.rank == 0:
            _keep({n: p.detach() for n, p in model.named_parameters() if p.requires_grad}, run.out, stage.name)
        if run.held and (not run.validate_once or stage is stages[-1]):
            validate(run, stage, model, run.validated)
    if run.world > 1:
        distributed.barrier()


def _keep(state: dict[str, torch.Tensor], out: Path, stage: str) -> None:
    """The state after a stage under the stage's name, to go on from there another way, and as the newest."""
    (out / stage).mkdir(exist_ok=True)
    torch.save(state, out / stage / "state.pt")
    (out / "state.pt").unlink(missing_ok=True)
    (out / "state.pt").symlink_to(Path(stage) / "state.pt")


def _ears(run: Run) -> Any:
    """Whisper's encoder, when there are recordings."""
    if run.speech is None:
        return None
    from pipelines.train.hybrid.hearing import Ears

    return Ears(run.device)


def _heard(batch: Batch, ears: Any) -> torch.Tensor | None:
    """The features [windows, frames, d] of a batch's recordings, those that came with theirs last."""
    heard = ears(batch.audio, batch.audio_samples) if batch.audio is not None and ears is not None else None
    if batch.kept is None or heard is None:
        return batch.kept if heard is None else heard
    return torch.cat([heard, batch.kept.to(heard.dtype)])


def _batches(run: Run, stage: Stage) -> Iterator[Parcel[Batch]]:
    """A stage's batches, whose making begins now."""
    loader = DataLoader(
        Source(run.recipe, stage, run.corpus, run.speech, run.chats, run.recipe.seed * 1000 + run.rank, run.screens),
        batch_size=1,
        num_workers=run.loaders,
        collate_fn=collate,
        prefetch_factor=3 if run.loaders else None,
        pin_memory=run.device.type == "cuda",
        multiprocessing_context="fork" if run.loaders else None,  # they touch no device, and start at once
    )
    return iter(loader)


def _stage(
    run: Run, stage: Stage, model: Hybrid, ears: Any, batches: Iterator[Parcel[Batch]], later: Stage | None
) -> Iterator[Parcel[Batch]]:
    """Train a stage; returns the batches of the ``later`` one, which are made while this one still goes on: its first
    steps would wait for them as long as for hundreds of others."""
    learn_decoder = stage.decoder_rate > 0
    low, rest = [], [p for n, p in model.named_parameters() if n.startswith(("adapters.", "spelling."))]
    for name, parameter in model.decoder.named_parameters():
        own = name.endswith((".a", ".b")) or (run.recipe.rank == 0 and ".layers." in name and name.endswith("weight"))
        if own:
            parameter.requires_grad_(learn_decoder)
            low.append(parameter)
    groups = [{"params": rest, "lr": stage.adapter_rate}]
    if learn_decoder:
        groups.append({"params": [p for p in low if p.requires_grad], "lr": stage.decoder_rate})
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01, fused=run.device.type == "cuda")
    peaks = [group["lr"] for group in optimiser.param_groups]
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    meter = _Meter()
    batch = next(batches).to(run.device)
    begun, step, share = time.monotonic(), 0, 0.0
    following: Iterator[Parcel[Batch]] | None = None
    while True:
        if step % _AGREED_EVERY == 0 or step < _AGREED_EVERY:
            share = _agreed((time.monotonic() - begun) / stage.seconds, run)
        if share >= 1:
            break
        if share > _LOOKS_AHEAD and following is None and later is not None:
            following = _batches(run, later)
        now = factor(share, stage.warmup)
        for group, peak in zip(optimiser.param_groups, peaks):
            group["lr"] = peak * now
        _step(run, stage, model, ears, batch, meter)
        _averaged(parameters, run)
        norm = nn.utils.clip_grad_norm_(parameters, _CLIP)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        if step == 1:
            begun = time.monotonic()  # compiling took half of a stage of 45 seconds, and all of its warm-up
        batch = next(batches).to(run.device)
        if step % _LOG_EVERY == 0:
            run.say(stage=stage.name, step=step, share=round(share, 4), norm=round(float(norm), 3), **meter.read())
    run.say(stage=stage.name, event="end", steps=step, seconds=round(time.monotonic() - begun, 1))
    if following is None:
        following = _batches(run, later) if later is not None else iter(())
    return following


def _step(run: Run, stage: Stage, model: Hybrid, ears: Any, batch: Batch, meter: _Meter) -> None:
    """Forward and backward of one batch."""
    taken_away(batch, run.conditions)
    with torch.autocast(run.device.type, torch.bfloat16):
        speech = _heard(batch, ears)
        given = model.given(batch, speech)
        losses = model.losses(batch, given)
        loss = (losses * batch.weight).sum() / batch.weight.sum().clamp(min=1)
        if stage.ctc and speech is not None:
            spelled = model.spelled(batch, speech)
            meter.add("ctc", spelled.detach())
            loss = loss + stage.ctc * spelled
    loss.backward()
    meter.add_kinds(batch, losses.detach())


def _agreed(share: float, run: Run) -> float:
    """What the first process says, so that all stop after the same step."""
    if run.world == 1:
        return share
    value = torch.tensor(share, device=run.device, dtype=torch.float64)
    distributed.broadcast(value, 0)
    return float(value)


def _averaged(parameters: list[nn.Parameter], run: Run) -> None:
    """Every gradient's mean over the processes; one that a process has none of counts as zero."""
    if run.world == 1:
        return
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten().float() for p in parameters])
    distributed.all_reduce(flat)
    flat /= run.world
    at = 0
    for parameter in parameters:
        parameter.grad = flat[at : at + parameter.numel()].view_as(parameter).to(parameter.dtype)
        at += parameter.numel()


class _Meter:
    """Mean losses by kind, and tokens a second, since the last reading. What is added stays on its device until then: a
    step that waits for a number leaves the device idle while the next one is launched."""

    def __init__(self) -> None:
        self._sums: dict[str, Any] = defaultdict(float)
        self._counts: dict[str, Any] = defaultdict(float)
        self._tokens: Any = 0
        self._since = time.monotonic()

    def add(self, kind: str, value: torch.Tensor, count: float | torch.Tensor = 1.0) -> None:
        """A sum over some places."""
        self._sums[kind] = self._sums[kind] + value
        self._counts[kind] = self._counts[kind] + count

    def add_kinds(self, batch: Batch, losses: torch.Tensor) -> None:
        """The losses [n] of all places of a batch that learn."""
        kinds, empty = batch.kind.long(), torch.zeros(len(batch.kinds), device=losses.device)
        sums, counts = empty.index_add(0, kinds, losses), empty.index_add(0, kinds, torch.ones_like(losses))
        for number, kind in enumerate(batch.kinds):
            self.add(kind, sums[number], counts[number])
        self._tokens = self._tokens + (batch.example >= 0).sum()

    def read(self) -> dict[str, Any]:
        """And begin anew."""
        means = {
            kind: round(float(total) / max(1.0, float(self._counts[kind])), 4) for kind, total in self._sums.items()
        }
        rate = round(float(self._tokens) / (time.monotonic() - self._since))
        self.__init__()  # type: ignore[misc]
        return {"loss": dict(sorted(means.items())), "tokens_per_second": rate}


@torch.inference_mode()
def validate(run: Run, stage: Stage, model: Hybrid, count: int) -> None:
    """For every mode and rate, by kind: how many answers would be written exactly, greedily and unconstrained, and the
    mean loss of their tokens. An answer whose every token is the likeliest after the right ones before it is that."""
    assert run.held is not None
    settings = [("text", 8), *((mode, rate) for mode in ("soft", "both") for rate in stage.rates)]
    for number, (mode, rate) in enumerate(settings):
        if number % run.world != run.rank:
            continue
        right: dict[str, list[bool]] = defaultdict(list)
        lost: dict[str, list[float]] = defaultdict(list)
        for made in held(run.held, run.recipe, stage, mode, rate, count):
            batch = made.to(run.device)
            taken_away(batch, run.conditions)
            with torch.autocast(run.device.type, torch.bfloat16):
                logits = model.scores(batch, model.given(batch, None))
            hits = (logits.argmax(-1) == batch.answers).tolist()
            losses = functional.cross_entropy(logits, batch.answers, reduction="none").tolist()
            examples, branches = (one.flatten()[batch.learns].tolist() for one in (batch.example, batch.branch))
            rows = (batch.learns // batch.example.shape[1]).tolist()
            owner = list(zip(rows, examples, branches))
            kinds = batch.kind.tolist()
            answers: dict[tuple[int, int, int], bool] = {}
            named: dict[tuple[int, int, int], str] = {}
            for key, hit, loss, kind in zip(owner, hits, losses, kinds):
                answers[key] = answers.get(key, True) and hit
                named[key] = batch.kinds[kind]
                lost[batch.kinds[kind]].append(loss)
            for key, fine in answers.items():
                right[named[key]].append(fine)
        exact = {kind: [round(sum(found) / len(found), 4), len(found)] for kind, found in sorted(right.items())}
        means = {kind: round(sum(found) / len(found), 4) for kind, found in sorted(lost.items())}
        line = {"validation": stage.name, "mode": mode, "rate": rate, "exact": exact, "loss": means}
        with (run.out / f"validation-{run.rank}.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def _process(rank: int, arguments: argparse.Namespace) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # loaders hand over every tensor as an open file
    device = torch.device(arguments.devices[rank])
    world = len(arguments.devices)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = True
    if world > 1:
        distributed.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=f"tcp://127.0.0.1:{arguments.port}",
            rank=rank,
            world_size=world,
        )
    recipe = read_recipe(arguments.recipe)
    if arguments.base:
        recipe = recipe.for_decoder(arguments.base)
    changed = {"rank": arguments.rank} if arguments.rank is not None else {}
    recipe = recipe.model_copy(update=changed)
    if rank == 0:  # what export wants to know, whatever the options were
        (arguments.out / "recipe.json").write_text(recipe.model_dump_json(indent=1), encoding="utf-8")
    stages = [stage for stage in recipe.stages if arguments.stages is None or stage.name in arguments.stages]
    if not stages:
        names = ", ".join(stage.name for stage in recipe.stages)
        raise SystemExit(
            f"{arguments.recipe} has no stage {' or '.join(arguments.stages or ())}; it has {names or 'none'}"
        )
    if arguments.seconds:
        stages = [stage.model_copy(update={"seconds": arguments.seconds}) for stage in stages]
    if arguments.decoder_rate:
        faster = {"decoder_rate": arguments.decoder_rate}
        stages = [stage.model_copy(update=faster if stage.decoder_rate else {}) for stage in stages]
    conditions = Conditions(not arguments.without_geometry, not arguments.without_confidence)
    run = Run(
        recipe,
        arguments.corpus,
        arguments.held,
        arguments.speech,
        arguments.chats,
        arguments.screens,
        arguments.out,
        rank,
        world,
        device,
        arguments.loaders,
        conditions,
        arguments.resume,
        arguments.validated,
        arguments.validate_once,
        tuple(arguments.anew),
    )
    train(run, stages)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--corpus", type=Path, required=True, help="what perceive wrote")
    parser.add_argument("--held", type=Path, help="the same of held-out samples, for validation")
    parser.add_argument("--validated", type=int, default=512, help="how many of them")
    parser.add_argument("--validate-once", action="store_true", help="after the last stage alone")
    parser.add_argument("--speech", type=Path, help="what speech.synthesise wrote")
    parser.add_argument("--chats", type=Path, help="what chats.answer wrote; stages with a share of chats need it")
    parser.add_argument("--screens", type=Path, help="what screens.perceive wrote; without it no stage has any")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--devices", nargs="+", default=["cpu"])
    parser.add_argument("--loaders", type=int, default=2, help="processes that make batches, for each device")
    parser.add_argument("--stages", nargs="+", help="only these of the recipe")
    parser.add_argument("--base", help="another decoder in place of the recipe's: a folder, or an id of the hub")
    parser.add_argument("--seconds", type=float, help="of every stage, in place of the recipe's")
    parser.add_argument("--rank", type=int, help="of the difference, in place of the recipe's")
    parser.add_argument("--decoder-rate", type=float, help="learning rate of the difference, in place of the recipe's")
    parser.add_argument("--resume", type=Path, help="the --out of a training to go on from")
    parser.add_argument("--anew", nargs="+", default=[], metavar="PART", help="parts of it that begin anew, by "
                        "the beginning of their names: adapters.speech_to_text, decoder, spelling")  # fmt: skip
    parser.add_argument("--without-geometry", action="store_true")
    parser.add_argument("--without-confidence", action="store_true")
    parser.add_argument("--port", type=int, default=29511)
    arguments = parser.parse_args()
    if arguments.anew and not arguments.resume:
        parser.error("--anew says what of --resume is left out: name the training to go on from")
    arguments.out.mkdir(parents=True, exist_ok=True)
    if len(arguments.devices) == 1:
        _process(0, arguments)
    else:
        torch.multiprocessing.spawn(_process, (arguments,), nprocs=len(arguments.devices))  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
