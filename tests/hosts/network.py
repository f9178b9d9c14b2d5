"""Hosts of a small network on one machine: each a network, process and mount namespace with an address of its own.

A bridge joins them. Each has its own /dev/shm, so that no object store is shared, and its own folder for everything
that a host keeps; the rest of the disk is this machine's. Where the machine forbids namespaces, hosts are addresses
of loopback in one namespace: `Network.real` says which, and what a test of those cannot show.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LOOPBACK = "HOSTS_ON_LOOPBACK"  # set, hosts are addresses of loopback although namespaces could be had
NOT_SHOWN = (
    "this machine allows no namespaces, so hosts were addresses of loopback. NOT shown: links that are cut (the host's "
    "processes were stopped instead), power that goes without a closed connection, hosts that share no memory or disk"
)
_INIT = """
mount -t tmpfs -o size=600m tmpfs /dev/shm && mount -t tmpfs tmpfs {folder} && mkdir -p {folder}/tmp && echo up
while :; do sleep 1000 & wait; done
"""  # its last line takes in orphans, as the first process of a host has to


_NUMBERS = itertools.count()  # of this process' networks


@dataclass
class Host:
    """One host. Processes that are started on it end with it."""

    name: str
    address: str
    folder: str  # the same path on every host; what lies there is each host's own
    init: subprocess.Popen[str] | None = None  # the parent of its first process; None on loopback
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def command(self, *command: str) -> list[str]:
        """A command line that runs this on the host."""
        if self.init is None:
            return list(command)
        first = psutil.Process(self.init.pid).children()[0].pid
        return ["nsenter", "-t", str(first), "-n", "-m", "-p", *command]

    def start(self, *command: str, environment: Mapping[str, str], output: Path) -> subprocess.Popen[str]:
        """Start a command on the host; what it prints goes into a file of this machine."""
        with output.open("a") as stream:
            process = subprocess.Popen(
                self.command(*command), env=self._own(environment), text=True, stdout=stream, stderr=subprocess.STDOUT
            )
        self.started.append(process)
        return process

    def call(self, *command: str, environment: Mapping[str, str], seconds: float = 120) -> str:
        """What a command prints that is run on the host. It must succeed."""
        ended = subprocess.run(
            self.command(*command), env=self._own(environment), text=True, capture_output=True, timeout=seconds
        )
        assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def _own(self, environment: Mapping[str, str]) -> dict[str, str]:
        return {**environment, "TMPDIR": f"{self.folder}/tmp"}

    def end(self) -> None:
        """End every process on it at once, as a power cut does."""
        if self.init is not None and self.init.poll() is None:
            for process in psutil.Process(self.init.pid).children():
                process.kill()  # the first of its process namespace: the kernel ends all others
            self.init.wait()
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for started in self.started:
            started.wait()

    def processes(self) -> list[psutil.Process]:
        """What was started on it and all that came of it; in a process namespace, the way in alone."""
        parents = [psutil.Process(started.pid) for started in self.started if started.poll() is None]
        return [process for parent in parents for process in (parent, *parent.children(recursive=True))]


class Network:
    """A bridge and the hosts at it. Use `network`, which takes everything away again."""

    def __init__(self, folder: Path, real: bool) -> None:
        self.real = real
        self.hosts: dict[str, Host] = {}
        self._folder = folder
        number = next(_NUMBERS)
        self._mark = f"{os.getpid() % 0xFFFF:x}{number % 16:x}"
        self._subnet = f"10.{200 + os.getpid() % 50}.{(os.getpid() // 50 + number) % 256}"
        self._bridge = f"ilb{self._mark}"
        self.address = f"{self._subnet}.1" if real else "127.0.0.1"
        """This machine's, where hosts reach what runs beside them."""

    def up(self) -> None:
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self.address}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")

    def add(self, name: str) -> Host:
        """One more host at the bridge."""
        number = len(self.hosts) + 2
        if not self.real:
            folder = self._folder / name
            (folder / "tmp").mkdir(parents=True)
            self.hosts[name] = Host(name, f"127.0.0.{number}", str(folder))
            return self.hosts[name]
        host = Host(name, f"{self._subnet}.{number}", str(self._folder))
        space, link = f"{self._bridge}-{number}", self._link(host)
        _ip("netns", "add", space)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", link, "master", self._bridge, "up")
        _ip("-n", space, "addr", "add", f"{host.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", space, "link", "set", device, "up")
        inner = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c"]
        command = ["ip", "netns", "exec", space, *inner, _INIT.format(folder=self._folder)]
        host.init = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert host.init.stdout is not None and host.init.stdout.readline() == "up\n"
        self.hosts[name] = host
        return host

    def cut(self, host: Host) -> None:
        """Nothing passes between this host and all others any more, and nobody is told. On loopback its processes are
        stopped instead: they answer nobody, but do not work on either."""
        if self.real:
            _ip("link", "set", self._link(host), "down")
        for process in () if self.real else host.processes():
            process.suspend()

    def mend(self, host: Host) -> None:
        """Undo `cut`."""
        if self.real:
            _ip("link", "set", self._link(host), "up")
        for process in () if self.real else host.processes():
            process.resume()

    def power_off(self, host: Host) -> None:
        """The host is gone between two packets: no connection is closed. On loopback they are."""
        if self.real:
            self.cut(host)
        host.end()

    def down(self) -> None:
        for host in self.hosts.values():
            host.end()
        if self.real:
            for number in range(2, len(self.hosts) + 2):
                _ip("link", "del", f"il{self._mark}-{number}", strict=False)
                _ip("netns", "del", f"{self._bridge}-{number}", strict=False)
            _ip("link", "del", self._bridge, strict=False)

    def _link(self, host: Host) -> str:
        return f"il{self._mark}-{host.address.rpartition('.')[2]}"


def _ip(*arguments: str, strict: bool = True) -> None:
    ended = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if strict and ended.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {ended.stderr.strip()}")


@contextmanager
def network() -> Iterator[Network]:
    """A network without hosts. Of namespaces where the machine allows them, else on loopback."""
    folder = Path("/tmp") / f"ilh-{uuid.uuid4().hex[:6]}"  # short: Ray's sockets lie below it
    folder.mkdir()
    found = Network(folder, real=not os.environ.get(LOOPBACK))
    try:
        if found.real:
            try:
                found.up()
                found.add("first").end()
            except (OSError, AssertionError) as error:
                print(f"hosts on loopback: this machine allows no namespaces ({error})", file=sys.stderr)
                found.down()
                found = Network(folder, real=False)
            else:
                found.down()
                found = Network(folder, real=True)
                found.up()
        yield found
    finally:
        found.down()
        subprocess.run(["rm", "-rf", folder], check=False)


def wait_for(output: Path, words: str, process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Until a process has printed these words."""
    end = time.monotonic() + seconds
    while words not in (output.read_text() if output.exists() else ""):
        assert process.poll() is None and time.monotonic() < end, f"no {words!r}: {output.read_text()}"
        time.sleep(0.05)
