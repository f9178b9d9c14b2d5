"""A part's trace: one tree over driver, actors and decoder, in a collector and in a file, and named in the log."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from cluster.decoder_app import DecoderReplica
from decoder.handle import Handle, unread
from decoder.sequence import Finish, SequenceRequest, TextSegment
from encoders.tracing import OFF, Tracing, span
from pipelines.log_lines import LogLines
from pipelines.run import Run
from pipelines.settings import load_settings
from tests.decoder.tiny import save_tiny
from tests.faults.arming import wait_until
from tests.pipelines.letters import LETTERS
from tests.pipelines.letters.config import LettersConfig
from tests.tracing import collector, from_file, tree

STEPS = {"part", "list", "probe", "perceive", "download", "open", "answer", "decode", "write", "publish"}


@pytest.mark.full
def test_a_part_is_one_tree_over_all_processes(
    ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.txt").write_text(f"letter {number}\n")
    given = {
        "run.prompt": "What?",
        "decoder.checkpoint": str(save_tiny(tmp_path / "tiny", "llama")),
        "decoder.max_new_tokens": 4,
        "decoder.prompt_tokens": 128,
        "trace.file": str(tmp_path / "spans"),
    }
    with collector() as (address, spans), (tmp_path / "log").open("w") as log:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        settings = load_settings(None, given, {}).settings
        lines = LogLines(Console(file=log))
        job = Run(settings, [str(tmp_path / "in")], str(tmp_path / "out"), lines, {"ocr": LETTERS})
        job.configs = {"ocr": LettersConfig(calls=tmp_path / "calls")}
        assert job.execute().ledger.balanced
        wait_until(lambda: sum(span.name == "decode" for span in spans) == 3, "the decoder's spans came", 30)
    logged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    parts = [event for event in logged if event["event"] == "part"]
    assert len({event["trace_id"] for event in parts}) == 3
    for event in parts:
        named = tree(spans, event["trace_id"])
        assert set(named) == STEPS and all(len(found) == 1 for found in named.values())
        [root], [reading], [answer] = named["part"], named["perceive"], named["answer"]
        assert root.parent == "" and reading.parent == root.span
        assert named["open"][0].parent == named["download"][0].parent == reading.span
        assert named["decode"][0].parent == answer.span
        order = [named[name][0] for name in ("list", "probe", "perceive", "answer", "write", "publish")]
        assert all(before.end <= after.start for before, after in pairwise(order))
        assert all(root.start <= span.start <= span.end <= root.end for span in order)
        assert len({span.process for found in named.values() for span in found}) == 4  # driver, reader, writer, decoder
        assert set(tree(from_file(tmp_path / "spans"), event["trace_id"])) == STEPS
    [run] = [span for span in spans if span.name == "run"]
    assert set(tree(spans, run.trace)) == {"run", "list", "probe", "publish"}


def test_a_batch_takes_its_spans_along_also_where_its_first_request_has_none() -> None:
    request = SequenceRequest((TextSegment.of([1, 2]),))

    def done(request: SequenceRequest) -> Handle:
        handle = Handle(request, None)
        handle.future.set_result(unread(request, Finish.STOP, ""))
        return handle

    replica = object.__new__(DecoderReplica)
    replica._engine = SimpleNamespace(submit_or_fail=done, close=lambda: None)  # type: ignore[assignment]
    with collector() as (address, spans):
        place = Tracing(endpoint=address).named("run", "part")
        asyncio.run(replica.generate([request, request], [OFF, place]))
        assert [span.name for span in spans] == ["decode"]


def test_a_share_of_parts_is_traced_and_the_same_ones_everywhere() -> None:
    tracing = Tracing("/dev/null", sample=0.25)
    traced = [bool(tracing.named("run", f"part {number}")) for number in range(400)]
    assert 60 < sum(traced) < 140 and traced == [bool(tracing.named("run", f"part {n}")) for n in range(400)]
    assert tracing.named("run", "part 1") == Tracing("/dev/null", sample=0.25).named("run", "part 1")
    for header in (None, "00-nonsense", f"00-{'a' * 32}-{'b' * 16}-00"):
        assert Tracing().request(header) is OFF
    assert Tracing("/dev/null").request(f"00-{'a' * 32}-{'b' * 16}-00") is OFF  # who asks does not want it
    asked = Tracing("/dev/null").request(f"00-{'a' * 32}-{'b' * 16}-01")
    assert (asked.name, asked.span_id) == ("a" * 32, int("b" * 16, 16))


def test_without_a_place_to_go_nothing_is_loaded() -> None:
    code = (
        "import sys; from encoders.tracing import Tracing, flush, span\n"
        "with span('x') as opened: opened.trace.add_stages({'y': 1.0}, 0)\n"
        "Tracing().named('a').open('b').end(); flush(Tracing())\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with span("nothing") as opened:
        assert opened.trace is OFF
