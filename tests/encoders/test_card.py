"""The process that computes on a card for all who share it: how arrays travel, what is kept, and what its end costs."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import Pipe
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.card_begun import begun
from benchmarks.ocr_pages import dense_pages
from encoders.base import MediaInput
from encoders.card import channel
from encoders.card.channel import Channel, emptied
from encoders.card.client import CardClient, CardLost, outliving
from encoders.card.service import ServiceSpec
from encoders.card.starting import files_of, reach
from encoders.failures import FailureCategory, MediaError
from encoders.heartbeat import last_beat
from encoders.ocr.config import OcrConfig
from encoders.ocr.encoder import OcrEncoder
from encoders.ocr.engines import locate_networks
from encoders.ocr.networks_card import CardNetworks
from encoders.ocr.page_reader import PageReader
from encoders.ocr.script import ScriptDetector
from encoders.ocr.tesseract import TesseractReader
from tests.encoders.test_ocr_engines import lines_of


@contextlib.contextmanager
def channels() -> Iterator[tuple[Channel, Channel]]:
    one, other = Pipe()
    yield Channel(one), Channel(other)
    one.close()
    other.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300_000), st.integers(0, 5)), min_size=1, max_size=12))
def test_arrays_stay_what_they_were_for_as_long_as_they_are_kept(plan: list[tuple[int, int]]) -> None:
    with channels() as (here, there):
        kept: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for number, (size, let_go) in enumerate(plan):
            sent = np.arange(size) + number
            here.send(number, [sent, sent[:1].astype(np.float16), np.zeros((0, 3), np.uint8)])
            message, (came, half, empty) = there.receive()
            assert message == number and half.dtype == np.float16 and empty.shape == (0, 3)
            kept.append((sent, came))
            del came, half, empty
            del kept[:let_go]
            assert all(np.array_equal(*pair) for pair in kept)
            there.send("seen")
            assert here.receive() == ("seen", [])


def test_memory_is_used_again() -> None:
    with channels() as (here, there):
        for _ in range(20):
            here.send(None, [np.zeros(500_000)])
            there.receive()
            there.send(None)
            here.receive()
        assert len(here._ours) == 1


def test_what_finalizers_say_meanwhile_is_not_lost() -> None:
    numbers: deque[int] = deque()
    adding = threading.Thread(target=lambda: [numbers.append(number) for number in range(100_000)])
    adding.start()
    came = []
    while adding.is_alive() or numbers:
        came += emptied(numbers)
    assert came == list(range(100_000))


def spec(stalled: float = 300.0, **arguments: object) -> ServiceSpec:
    return ServiceSpec("tests.encoders.card_sums:Sums", f"cpu:{uuid4()}", arguments, linger=1.0, stalled=stalled)


def kept_by(client: CardClient) -> tuple[list[int], float]:
    numbers, (total,) = client.ask("sum", None)()
    return numbers, float(total)


def test_clients_share_a_process_and_nothing_that_it_keeps() -> None:
    one = spec()
    first, second, other = CardClient(one), CardClient(one), CardClient(spec())
    assert first.facts == second.facts != other.facts
    mine, yours = [first.hold() for _ in range(3)], second.hold()
    waiting = [first.ask("keep", held.number, [np.array(float(held.number))]) for held in mine]
    second.ask("keep", yours.number, [np.array(100.0)])()
    assert kept_by(second) == ([yours.number], 100.0)
    assert kept_by(first) == ([1, 2, 3], 6.0)  # answers of before are taken in on the way
    assert [wait() for wait in waiting] == [(None, [])] * 3
    del mine[1]
    assert kept_by(first) == ([1, 3], 4.0)
    counted = begun([first.facts])
    assert {verb: (of.asked, of.times, of.apart) for verb, of in counted.items()} == {"sum": (3, 3, False)}
    assert all(0 < of.seconds < 60 for of in counted.values()) and begun([os.getpid()]) == {}


def test_so_many_clients_share_a_process_and_a_place_that_is_free_is_taken_first() -> None:
    two = replace(spec(), clients=2)
    first, second, third = (CardClient(two) for _ in range(3))
    assert first.facts == second.facts != third.facts
    assert sum(of.asked for of in begun([first.facts, third.facts]).values()) == 0
    for client in (first, third):
        kept_by(client)
    assert begun([first.facts, third.facts])["sum"].asked == 2
    shared = second.facts
    del second
    gc.collect()
    assert CardClient(two).facts == shared


def test_what_fails_there_fails_here_and_only_that() -> None:
    client = CardClient(spec())
    with pytest.raises(MemoryError, match="too large"):
        client.ask("memory", None)()
    with pytest.raises(MediaError, match="not finite") as failed:
        client.ask("media", None)()
    assert failed.value.category is FailureCategory.MODEL_FAILED
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        client.ask("late", None)()
    assert kept_by(client) == ([], 0.0)


def test_a_process_that_cannot_start_says_why() -> None:
    with pytest.raises(RuntimeError, match="the weights are not here"):
        CardClient(spec(broken=True))


def test_whoever_asks_after_its_end_gets_another_process() -> None:
    one = spec()
    client, other = CardClient(one), CardClient(one)
    held = client.hold()
    client.ask("keep", held.number, [np.ones(())])()
    late, waiting = other.ask("sum", None), other.ask("end", None)
    with pytest.raises(CardLost) as lost:
        waiting()
    assert not lost.value.blamed
    with pytest.raises(CardLost):
        kept_by(client)
    with lost.value.alone():
        assert kept_by(client) == kept_by(other) == ([], 0.0)
    assert late() is not None  # it had been answered
    with pytest.raises(CardLost):
        waiting()
    assert other.ask("begun in", None)()[0] == client.ask("begun in", None)()[0]  # and the other process lives on


def test_what_was_shared_with_a_process_that_is_lost_is_freed() -> None:
    client = CardClient(spec())

    def work() -> int:
        helds = [client.hold() for _ in range(3)]
        for held in helds:
            client.ask("keep", held.number, [np.ones(10)])()
        return Path("/proc/self/maps").read_text().count("interlace-card")

    shared = work()
    gc.disable()  # it may come late
    try:
        os.kill(client.facts, signal.SIGKILL)
        assert outliving(work) == shared
    finally:
        gc.enable()


def test_only_who_ends_it_alone_is_blamed() -> None:
    one = spec()
    innocent, culprit = CardClient(one), CardClient(one)
    with innocent._careful(), pytest.raises(CardLost) as lost:
        os.kill(innocent.facts, signal.SIGKILL)
        kept_by(innocent)
    assert not lost.value.blamed
    done = threading.Event()

    def work_beside() -> int:
        count = 0
        while not done.is_set():
            count += outliving(lambda: kept_by(innocent)) == ([], 0.0)
        return count

    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(work_beside)
        try:
            with pytest.raises(CardLost) as lost:
                outliving(lambda: culprit.ask("end", None)())
        finally:
            done.set()
        assert lost.value.blamed and beside.result() > 0
    assert pickle.loads(pickle.dumps(lost.value)).category is FailureCategory.CRASHED


def test_work_that_stands_still_ends_it_however_busy_others_are() -> None:
    one = spec(stalled=0.5)
    client, other = CardClient(one), CardClient(one)
    waiting = client.ask("stand still", None)
    with pytest.raises(CardLost):
        while True:
            kept_by(other)
    with pytest.raises(CardLost):
        waiting()
    assert kept_by(client) == kept_by(other) == ([], 0.0)


def test_who_starts_it_may_be_killed_while_it_loads_and_who_waits_gives_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, loads = tmp_path / "gate", tmp_path / "loads"
    os.mkfifo(gate)
    one = spec(gate=str(gate), loads=str(loads))
    code = f"from encoders.card.client import *; CardClient(ServiceSpec(**{asdict(one)}))"
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    starter = subprocess.Popen([sys.executable, "-c", code], env=os.environ | path)
    opened = gate.open("wb")  # once the process loads
    starter.kill()
    starter.wait()
    monkeypatch.setattr(channel, "_BEAT_SECONDS", 0.01)
    before = last_beat()
    with ThreadPoolExecutor(2) as pool:
        try:
            clients = [pool.submit(CardClient, one) for _ in range(2)]
            while last_beat() == before:
                os.sched_yield()
        finally:
            opened.close()  # it has loaded
    assert len({client.result().facts for client in clients}) == 1
    assert len(loads.read_text().splitlines()) == 1


def test_many_questions_may_wait_for_their_answers() -> None:
    client = CardClient(spec())
    waiting = [client.ask("sum", None) for _ in range(2000)]  # more than both sockets hold
    assert {wait()[1][0].item() for wait in waiting} == {0.0}
    threads = [client.ask("begun in", None)() for client in (client, CardClient(client._spec))]
    assert threads[0] == threads[1]  # which has cuDNN's plans


def test_clients_that_end_in_the_middle_leave_nothing_behind() -> None:
    one = spec()
    client = CardClient(one)
    kept_by(client)
    open_files = Path(f"/proc/{client.facts}/fd")
    before = len(list(open_files.iterdir()))
    for cut in (2, 50, None):
        connection = reach(one, files_of(one))
        other = Channel(connection)
        other.send(("hello", 1.0, (), False))
        other.receive()
        other.send(("keep", 1, (), False), [np.ones(1000)])
        other.receive()
        if cut is None:  # a block is announced, and its handle never follows
            other._connection.send(channel._Letter(("keep", 2, (), False), 7, 1 << 20, [], []))
        else:
            os.write(connection.fileno(), b"\0\0\1\0" + bytes(cut)[2:])
        other.close()
    while len(list(open_files.iterdir())) > before:
        kept_by(client)
    assert kept_by(client) == ([], 0.0)


def test_without_memory_to_share_nothing_is_sent_and_nothing_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    client = CardClient(spec())
    for _ in range(3):
        client.ask("begun in", None, [np.ones(10)])()
    assert client._channel is not None and len(client._channel._ours) == 1  # each answer says that it is free
    held = client.hold()
    client.ask("keep", held.number, [np.ones(())])()
    del held
    with monkeypatch.context() as patch, pytest.raises(MemoryError, match="cannot be shared"):
        patch.setattr(os, "memfd_create", lambda *_: os.open("/none", 0))
        client.ask("keep", 2, [np.ones(1 << 20)])
    assert kept_by(client) == ([], 0.0)


def test_without_clients_it_ends_and_its_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("long" * 30)  # longer than the path of a socket may be
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    client = CardClient(spec())
    folder = client._files.parent
    watched = os.pidfd_open(client.facts)
    try:
        assert list(folder.iterdir())
        del client
        ended, _, _ = select.select([watched], [], [], 60)
        assert ended and not list(folder.iterdir())
    finally:
        os.close(watched)
    folder.chmod(0o755)
    with pytest.raises(RuntimeError, match="open to others"):
        CardClient(spec())


def as_on_a_card(folder: Path, **more: object) -> CardNetworks:
    config = OcrConfig(engine="torch")
    _, detector, recogniser = locate_networks(config, "cpu")
    arguments = {"detector": str(detector), "recogniser": str(recogniser), "features": "none", "threads": 1}
    arguments |= {"dies_once": str(folder / "died"), **more}
    return CardNetworks(ServiceSpec("tests.encoders.card_services:OcrAsOnACard", "cpu", arguments, linger=1.0))


def reader(networks: CardNetworks) -> PageReader:
    scripts = ScriptDetector()
    scripts.use(networks.scripts)
    return PageReader(networks, scripts, TesseractReader(), OcrConfig(engine="torch"))


@pytest.mark.parametrize("ends_once", [False, pytest.param(True, marks=pytest.mark.full)])
def test_pages_are_read_as_in_this_process_though_the_other_may_end(tmp_path: Path, ends_once: bool) -> None:
    images = [dense_pages(1)[0].image[:335], dense_pages(2, seed=1, scanned=True)[1].image[:261]]
    died = tmp_path / "died"
    if not ends_once:
        died.touch()
    read = reader(as_on_a_card(tmp_path)).read(images)
    assert [page.lines for page in read] == lines_of("torch as on a GPU") and died.exists()


@pytest.mark.full
def test_a_page_that_ends_the_process_fails_alone(tmp_path: Path) -> None:
    encoder = OcrEncoder(OcrConfig(engine="torch"))
    encoder.load(lazily=True)
    (tmp_path / "died").touch()
    encoder._reader = reader(as_on_a_card(tmp_path, deadly=261))
    assert encoder._reader is not None
    parts = []
    for number, height in enumerate((300, 261, 335)):
        data = cv2.imencode(".png", dense_pages(1)[0].image[:height])[1].tobytes()
        parts.append(MediaInput(str(number), f"memory://{number}", "image/png", data=data))
    first, deadly, last = encoder(parts)
    assert first.status == last.status == "ok"
    assert deadly.status == "failed" and deadly.failures[0].category is FailureCategory.CRASHED
    assert "has ended" in deadly.failures[0].message
