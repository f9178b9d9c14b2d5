"""Bytes read over bytes listed on a first run, counted on the wire: the demo archive in a bucket, read through a proxy.

    python -m benchmarks.first_reads [--repeats 3]

Everything that the S3 server sends is counted, the listing and all headers included. OUT is a folder, so that only the
source is read through the proxy.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from benchmarks.figures import floor_and_goal, must_be_zero
from pipelines.ledger import read_ledger
from pipelines.storage import Storage, s3_client
from tests.s3_server import s3_server

ARCHIVE = Path(__file__).resolve().parent.parent / "examples" / "archive"


class CountingProxy:
    """Passes bytes on between clients and one server, and counts those that the server sends."""

    def __init__(self, port: int) -> None:
        self.received = 0
        self._port = port
        self._counting = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Take no further connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            for source, target, counted in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=(source, target, counted), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if counted:
                    with self._counting:
                        self.received += len(data)
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def measure(folder: Path, endpoint: str, bucket: str, size: int) -> tuple[float, float]:
    """Bytes read over bytes listed, and failures of the kind that a lost download makes."""
    proxy = CountingProxy(int(endpoint.rpartition(":")[2]))
    temporary = folder / "tmp"  # a spool of its own, empty
    temporary.mkdir(parents=True)
    environment = os.environ | {"AWS_ENDPOINT_URL": proxy.endpoint, "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "pipelines.cli", "run", f"s3://{bucket}/archive", "--out", str(folder / "out")]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    proxy.close()
    ledger = read_ledger(Storage(str(folder / "out")))
    lost = ledger.categories["download_failed"] + (not ledger.balanced)
    return proxy.received / size, lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="interlace-reads-"))
    files = [path for path in ARCHIVE.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    (folder / "s3").mkdir()
    with s3_server(folder / "s3") as endpoint:
        s3_client().create_bucket(Bucket="reads")
        for path in files:
            s3_client().upload_file(str(path), "reads", f"archive/{path.relative_to(ARCHIVE)}")
        found = [measure(folder / str(n), endpoint, "reads", size) for n in range(options.repeats)]
    print(f"{len(files)} assets, {size:,} bytes listed")
    print(floor_and_goal("bytes read / bytes listed, first run", [ratio for ratio, _ in found], 2, 1.1, digits=3))
    print(must_be_zero("assets lost", sum(lost for _, lost in found)))
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
