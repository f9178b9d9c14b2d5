"""The table: a row for each task, a column for each mode, with intervals, prompt tokens and the default mode."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.hybrid.columns import MODES, ZERO_SHOT
from benchmarks.hybrid.goals import GOALS
from benchmarks.hybrid.mode_rule import default_mode
from benchmarks.hybrid.outcomes import Figure, Measure, Outcome, figure, figures

ENCODER = "encoder"
"""The column of what a specialist's own text says, without a decoder."""

_CELL = 20
_NO_ACCURACY = ("valid JSON", "occurs in the answer", "needs both signals")  # or counted in other rows already
_SHOWN_TAGS = ("half",)  # groups that the table has too; those by language and kind are in the JSON


@dataclass(slots=True)
class Report:
    """Outcomes by column, and what sections say beside the table."""

    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    extras: dict[str, Any] = field(default_factory=dict)

    def add(self, column: str, outcomes: Iterable[Outcome]) -> None:
        """More outcomes of a column."""
        self.outcomes.setdefault(column, []).extend(outcomes)

    def join(self, other: Report) -> None:
        """What another process found."""
        for column, outcomes in other.outcomes.items():
            self.add(column, outcomes)
        self.lines += [line for line in other.lines if line not in self.lines]
        self.extras |= other.extras

    def rows(self, tag: str | None = None) -> dict[str, dict[str, Figure]]:
        """Row, then column, to its figure; with a tag, of each of its values: "row (value)"."""
        found: dict[str, dict[str, Figure]] = {}

        def name(outcome: Outcome) -> str | None:
            if tag is None:
                return outcome.row
            return f"{outcome.row} ({outcome.tags[tag]})" if tag in outcome.tags else None

        for column in sorted(self.outcomes, key=_place):
            for row, own in figures(self.outcomes[column], name).items():
                found.setdefault(row, {})[column] = own
        return found

    def default_of(self, section: str) -> str | None:
        """The mode that the rule picks over all rates of a section together; valid JSON is no accuracy."""
        pooled = {}
        for column, outcomes in self.outcomes.items():
            own = [o for o in outcomes if o.measure is Measure.RATE and o.row.startswith(f"{section}: ")]
            own = [o for o in own if not o.row.endswith(_NO_ACCURACY)]
            if own:
                pooled[column] = figure(own)
        return default_mode(modes_of(pooled))

    def text(self) -> str:
        """All that is printed."""
        rows = self.rows()
        parts = [_table(rows)]
        for tag in _SHOWN_TAGS:
            if groups := self.rows(tag):
                parts.append(f"By {tag}:\n{_table(dict(sorted(groups.items())))}")
        parts += self.lines
        picked = [f"{section} {mode}" for section in sections(rows) if (mode := self.default_of(section)) is not None]
        if picked:
            parts.append(f"Default mode by the rule, over all rates of a section: {', '.join(picked)}")
        parts.append("\n".join(_verdicts(rows)))
        return "\n\n".join(part for part in parts if part)

    def write(self, file: Path, settings: Mapping[str, Any]) -> None:
        """The same and the groups by language and kind as JSON."""
        tags = sorted({tag for own in self.outcomes.values() for outcome in own for tag in outcome.tags})
        content = {
            "settings": dict(settings),
            "rows": _plain(self.rows()),
            "default_modes": {section: self.default_of(section) for section in sections(self.rows())},
            "groups": {tag: _plain(self.rows(tag)) for tag in tags},
            **self.extras,
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def sections(rows: Iterable[str]) -> list[str]:
    """What the rows are of, in order."""
    return list(dict.fromkeys(row.partition(": ")[0] for row in rows))


def modes_of(row: Mapping[str, Figure]) -> dict[str, Figure]:
    """The figures of the trained modes."""
    return {column: own for column, own in row.items() if _mode(column) in MODES}


def _mode(column: str) -> str:
    return column.partition("@")[0]


def _place(column: str) -> tuple[int, str]:
    return (ZERO_SHOT, *MODES, ENCODER).index(_mode(column)), column


def _plain(rows: Mapping[str, Mapping[str, Figure]]) -> dict[str, Any]:
    return {
        row: {**{column: asdict(own) for column, own in cells.items()}, "default": default_mode(modes_of(cells))}
        for row, cells in rows.items()
    }


def _table(rows: Mapping[str, Mapping[str, Figure]]) -> str:
    used = sorted({column for cells in rows.values() for column in cells}, key=_place)
    wide = max([len(row) for row in rows] + [10])
    head = f"{'':{wide}}{'n':>6}" + "".join(f"{column:>{_CELL}}" for column in used)
    lines = [head + f"{'prompt tokens':>22}  default"]
    for row, cells in rows.items():
        count = max(own.count for own in cells.values())
        shown = "".join(f"{_cell(cells[column]) if column in cells else '':>{_CELL}}" for column in used)
        lengths = " / ".join(f"{own.prompt_tokens:.0f}" for own in cells.values() if own.prompt_tokens)
        lines.append(f"{row:{wide}}{count:6}{shown}{lengths:>22}  {_chosen(cells)}".rstrip())
    return "\n".join(lines)


def _chosen(cells: Mapping[str, Figure]) -> str:
    """The default mode, where there is a choice."""
    modes = modes_of(cells)
    return default_mode(modes) or "" if len(modes) > 1 else ""


def _cell(own: Figure) -> str:
    if own.measure in (Measure.RATIO, Measure.LOSS):
        return f"{own.value:.2f} ({own.low:.2f}-{own.high:.2f})"
    return f"{100 * own.value:.1f} ({100 * own.low:.1f}-{100 * own.high:.1f})"


def _verdicts(rows: Mapping[str, Mapping[str, Figure]]) -> Sequence[str]:
    found = []
    for row, goal in GOALS.items():
        cells = modes_of(rows.get(row, {}))
        if (column := default_mode(cells)) is not None:
            found.append(goal.line(row, column, cells[column].value))
    return found
