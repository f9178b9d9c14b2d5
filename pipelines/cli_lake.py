"""Commands that write to a lake that is already there, and how every command that writes ends."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from encoders.redaction import redact
from pipelines.cli_options import ConfigFile, Out, PasswordFile, Prompt, Schema, Set, Wait, load
from pipelines.consoles import stderr, stdout
from pipelines.stopping import Interrupted
from pipelines.storage import StorageError

if TYPE_CHECKING:
    from pipelines.run import Run

app = typer.Typer()


@app.command(epilog="Example: interlace ask ./lake --prompt 'Who signed this?'")
def ask(
    out: Out,
    prompt: Prompt = None,
    schema: Schema = None,
    wait: Wait = False,
    config: ConfigFile = None,
    settings: Set = [],  # noqa: B006  typer copies defaults
) -> None:
    """Answer another question from what the tables hold. No asset is opened."""
    from pipelines.ask import Ask
    from pipelines.log_lines import progress_for

    flags = {"run.prompt": prompt, "run.answer_schema": str(schema) if schema else None}
    loaded = load(config, settings, flags)
    progress = progress_for(loaded.settings.run.log, stderr())
    finish(Ask(loaded.settings, out, progress, wait=wait), strict=False)


@app.command(epilog="Example: interlace retry ./lake --category password_required --passwords passwords.tsv")
def retry(
    out: Out,
    category: Annotated[
        list[str],
        typer.Option(help="failures to retry, due or not; again for more; default: those that may pass"),
    ] = [],  # noqa: B006
    passwords: PasswordFile = None,
    max_attempts: Annotated[int, typer.Option(min=1, help="leave parts that failed so often")] = 5,
    now: Annotated[bool, typer.Option("--now", help="also parts whose next attempt is not due yet")] = False,
    wait: Wait = False,
    config: ConfigFile = None,
    settings: Set = [],  # noqa: B006
) -> None:
    """Read failed parts again, with the settings of the last run, and replace their rows."""
    from pipelines.log_lines import progress_for
    from pipelines.passwords import Passwords
    from pipelines.retry import PASSING, Retry, last_settings
    from pipelines.storage import Storage

    words = Passwords.read(passwords)
    wanted = category or [*PASSING, *(["password_required"] if words else [])]
    loaded = load(config, settings, {}, base=last_settings(Storage(out)))
    job = Retry(
        loaded.settings,
        out,
        progress_for(loaded.settings.run.log, stderr()),
        categories=wanted,
        max_attempts=max_attempts,
        now=now or bool(category),
        wait=wait,
        passwords=words,
    )
    finish(job, strict=False)


@app.command(epilog="Example: interlace compact s3://lake/archive --keep-hours 24")
def compact(
    out: Out,
    keep_hours: Annotated[
        float, typer.Option(min=0, help="files that were replaced stay so long, for readers of older snapshots")
    ] = 168,
    wait: Wait = False,
) -> None:
    """Merge the tables' small files, and delete files that no table names any more."""
    from pipelines.compact import compact as merge
    from pipelines.lease import Lease
    from pipelines.storage import Storage
    from pipelines.tables import require_tables

    storage = Storage(out)
    require_tables(storage)
    with stderr().status("compacting"), Lease(storage, "compact", wait=wait, note=stderr().print) as lease:
        for done in merge(storage, lease, keep_hours=keep_hours, note=stderr().print):
            size = f"{done.bytes_deleted / 1e6:.1f} MB"
            stdout().print(
                f"{done.table}: {done.files_before} files became {done.files_after}; {done.deleted} deleted ({size})"
            )


def finish(run: Run, *, strict: bool) -> None:
    """Execute a run and exit: 0, 1 when the ledger does not balance (or, ``strict``, when a part failed), 130 after a
    signal, 2 for an error. Where the same command goes on, it says so."""
    from pipelines.summary import print_summary

    try:
        outcome = run.execute()
    except Interrupted as early:
        _say_how_to_resume(f"interrupted {early}")
        raise typer.Exit(130) from None
    except StorageError as error:
        stderr().print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        _say_how_to_resume("stopped; once that is mended")
        raise typer.Exit(2) from None
    print_summary(stdout(), outcome, run.storage.out)
    if outcome.interrupted:
        _say_how_to_resume("interrupted")
        raise typer.Exit(130)
    raise typer.Exit(1 if not outcome.ledger.balanced or (strict and outcome.ledger.failed_parts) else 0)


def _say_how_to_resume(what: str) -> None:
    command = redact(" ".join(["interlace", *(shlex.quote(argument) for argument in sys.argv[1:])]))
    stderr().print(f"{what}; the same command resumes:", f"  {command}", sep="\n", markup=False, soft_wrap=True)
