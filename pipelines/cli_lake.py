"""Commands that write to a lake that is already there, and how every command that writes ends."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import typer

from pipelines.consoles import stderr, stdout
from pipelines.stopping import Interrupted
from pipelines.storage import StorageError

if TYPE_CHECKING:
    from pipelines.run import Run


def finish(run: Run, *, strict: bool) -> None:
    """Execute a run and exit: 0, 1 when the ledger does not balance (or, ``strict``, when a part failed), 130 after a
    signal, 2 for an error. Where the same command goes on, it says so."""
    from pipelines.summary import print_summary

    try:
        outcome = run.execute()
    except Interrupted:
        _say_how_to_resume("interrupted before anything was read")
        raise typer.Exit(130) from None
    except StorageError as error:
        stderr().print(f"[red]error:[/red] {error}", soft_wrap=True)
        _say_how_to_resume("stopped; once that is mended")
        raise typer.Exit(2) from None
    print_summary(stdout(), outcome, run.storage.out)
    if outcome.interrupted:
        _say_how_to_resume("interrupted")
        raise typer.Exit(130)
    raise typer.Exit(1 if not outcome.ledger.balanced or (strict and outcome.ledger.failed_parts) else 0)


def _say_how_to_resume(what: str) -> None:
    command = " ".join(["interlace", *(shlex.quote(argument) for argument in sys.argv[1:])])
    stderr().print(f"{what}; the same command resumes:", f"  {command}", sep="\n", markup=False, soft_wrap=True)
