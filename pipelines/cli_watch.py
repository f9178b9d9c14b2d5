"""Commands that look at a lake from outside, while others write to it."""

from __future__ import annotations

import signal
import threading
from typing import Annotated, Any

import typer

from pipelines.cli_options import Out
from pipelines.consoles import stderr, stdout

app = typer.Typer()
Every = Annotated[float, typer.Option(min=0.5, metavar="SECONDS", help="time between two looks at OUT")]


@app.command(epilog="Example: interlace status s3://lake/archive --watch")
def status(
    out: Out,
    watch: Annotated[bool, typer.Option("--watch", help="follow the run that works on OUT, until Ctrl-C")] = False,
    every: Every = 2.0,
) -> None:
    """Print the ledger of OUT, and the networks that its newest run took; exit 1 when it does not balance.

    With --watch, pools, queues and time left as well."""
    from pipelines.storage import Storage

    storage = Storage(out)
    if watch:
        from pipelines.watching import watch as follow

        follow(stdout(), storage, every, _until_a_signal())
        raise typer.Exit(0)
    from pipelines.ledger import read_ledger
    from pipelines.summary import print_ledger, print_networks
    from pipelines.view import newest_figures, run_names

    ledger = read_ledger(storage)
    print_ledger(stdout(), ledger)
    if (figures := newest_figures(storage, run_names(storage))) is not None:
        print_networks(stdout(), figures)
    raise typer.Exit(0 if ledger.balanced else 1)


@app.command(epilog="Example: interlace metrics s3://lake/archive --port 9464")
def metrics(
    out: Out,
    host: Annotated[str, typer.Option(help="address to listen on; whoever reaches it may read")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on")] = 9464,
    every: Every = 5.0,
) -> None:
    """Tell Prometheus at http://HOST:PORT/metrics of OUT: its runs, pools, failures and ledger. Ctrl-C ends it."""
    from encoders.failures import InterlaceError
    from pipelines.metrics import serve_metrics

    stderr().print(f"metrics of {out} at http://{host}:{port}/metrics", soft_wrap=True, markup=False)
    try:
        serve_metrics(out, host, port, every, _until_a_signal())
    except OSError as error:
        raise InterlaceError(f"cannot listen on {host}:{port} ({error.strerror}); choose --port") from error


def _until_a_signal() -> threading.Event:
    """Set by SIGINT and SIGTERM."""
    came = threading.Event()

    def note(number: int, frame: Any) -> None:
        came.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return came
