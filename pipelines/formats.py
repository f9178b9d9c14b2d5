"""The format of the tables, and how an older one becomes today's.

Each table carries its format as a property. A change that only adds columns is made in place, in the table's log: no
file is written, old rows read as null. What cannot be added so is refused, with what to do instead.
"""

from __future__ import annotations

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError

from encoders.failures import InterlaceError
from pipelines.lease import Lease
from pipelines.storage import Storage, told
from pipelines.tables import FORMAT, FORMAT_KEY, SCHEMAS, open_table
from pipelines.transactions import TABLES, fenced

ADDED: dict[int, dict[str, tuple[str, ...]]] = {2: {"parts": ("read_at",)}, 3: {"parts": ("features",)}}
"""Format -> table -> the columns that it added to the format before."""


class FormatError(InterlaceError):
    """The tables have a format that this version cannot write."""


def table_format(table: DeltaTable) -> int:
    """The format of a table; the first version left no mark."""
    return int(table.metadata().configuration.get(FORMAT_KEY, "1"))


def check_format(storage: Storage, name: str, table: DeltaTable) -> int:
    """The table's format. Raises FormatError when it is newer than this version, or older than it can migrate."""
    found = table_format(table)
    if found > FORMAT:
        raise FormatError(
            f"{storage.table_uri(name)} has format {found}, written by a newer Interlace; this one knows formats up to "
            f"{FORMAT}: upgrade with pip install --upgrade interlace"
        )
    if any(version not in ADDED for version in range(found + 1, FORMAT + 1)):
        raise FormatError(
            f"{storage.table_uri(name)} has format {found}, from which nothing leads to format {FORMAT} in place; "
            "read the sources into a new OUT with: interlace run SOURCE --out NEW_OUT"
        )
    return found


def migrate(storage: Storage, lease: Lease) -> list[str]:
    """Bring every table of OUT to today's format; returns a sentence for each that was not there yet."""
    sentences = []
    for name in TABLES:
        table = open_table(storage, name)
        if table is None:
            continue
        found = check_format(storage, name, table)
        if found == FORMAT:
            continue
        added = [column for version in range(found + 1, FORMAT + 1) for column in ADDED[version].get(name, ())]
        there = {field.name for field in table.schema().fields}
        missing = [SCHEMAS[name].field(column) for column in added if column not in there]
        lease.check()
        with told("bring to today's format", storage.table_uri(name), DeltaError):
            if missing:
                fields = Schema.from_arrow(pa.schema(missing)).fields
                table.alter.add_columns(fields, commit_properties=fenced(lease))
                table = open_table(storage, name) or table
            # The mark comes last: whoever dies in between adds no column twice.
            table.alter.set_table_properties(
                {FORMAT_KEY: str(FORMAT)}, raise_if_not_exists=False, commit_properties=fenced(lease)
            )
        sentences.append(
            f"{name} was brought from format {found} to {FORMAT}" + (f" (+ {', '.join(added)})" if added else "")
        )
    return sentences
