"""The words of the 40-page report and the rows of the parts list: written from a seed, so that each page differs."""

from __future__ import annotations

import random
from dataclasses import dataclass

STATIONS = (
    "Signal Rock",
    "Fenner Sluice",
    "Port Ellery Pier",
    "Marsh Lane",
    "Gull Point",
    "Old Quay",
    "Brook Weir",
    "North Bar",
    "Salter's Ford",
    "Heron Flats",
    "Lantern Steps",
    "Mill Race",
)
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
KEEPERS = ("Edith Marlow", "Jonas Petrov", "Miriam Okafor", "Tomas Lindqvist", "Ada Fenwick", "Samir Haddad")

_OPENINGS = (
    "In {month} the gauge at {station} recorded {count} readings and lost {lost} of them.",
    "{station} began {month} with a clean sensor and a battery in its {ordinal} year.",
    "The quietest week at {station} came in {month}, when the level moved by only {cm} centimetres in four days.",
    "{keeper} visited {station} twice in {month}, once in fog and once in bright sun.",
    "Of all the stations, {station} had the most to say about {month}.",
)
_MIDDLES = (
    "The highest level stood at {metres} metres above chart datum, {cm} centimetres more than the forecast for it.",
    "Silt reached the intake on the {ordinal} visit and was flushed out with clean water from the hut.",
    "The difference between the two sensors stayed below {mm} millimetres, which is within what the handbook allows.",
    "A heron had chosen the mast as its lookout, and the anemometer showed a calm that nobody on the shore could feel.",
    "After the second Saturday the clock was found to run {seconds} seconds late, so that week was moved back.",
    "The radio link failed on {count} occasions, and each time the logger kept its readings until the line returned.",
    "When the sluice opened, the basin fell by {cm} centimetres in less than an hour, and the gauge followed at once.",
    "{keeper} replaced the desiccant, tightened the lower clamp, and painted the date on the battery case.",
    "Rain gauges nearby collected {mm} millimetres during the same period, most of it in one night.",
    "Three visitors asked why the tide table and the display did not agree, and the answer was the wind.",
    "Growth of weed on the pressure port was lighter than a year ago and needed only a soft brush.",
    "A cracked conduit let water into the junction box, but the terminals had been greased and nothing was lost.",
)
_CLOSINGS = (
    "No further work is planned there before the autumn inspection.",
    "The spare cable remains in store room two, on the shelf marked with the number {number}.",
    "We recommend that the ladder be repaired before anyone climbs it with tools again.",
    "The cost of the visit came to {pounds} pounds, including the hire of the boat.",
    "Readings from those days carry a flag in the archive and are left out of the monthly means.",
    "The keeper's notebook, kept in pencil, turned out to be the only complete account of that afternoon.",
)
_PARTS = (
    "Pressure sensor",
    "Logger board",
    "Float",
    "Steel wire",
    "Clamp",
    "Battery",
    "Solar panel",
    "Antenna",
    "Cable gland",
    "Desiccant",
    "Junction box",
    "Display",
    "Fuse",
    "Rain funnel",
    "Wind vane",
    "Ladder bolt",
)
_MAKERS = ("Tidewater", "Brook", "Lindal", "Orrery", "Fenwick")
_SIZES = ("small", "medium", "large", "12 V", "24 V", "2 m", "10 m", "40 m", "steel", "brass")


@dataclass(frozen=True)
class Section:
    """One section of the report: a month at a station."""

    title: str
    paragraphs: list[str]
    table: list[list[str]] | None


def sections(count: int) -> list[Section]:
    """The first ``count`` sections; the same ones every time."""
    return [_section(number) for number in range(1, count + 1)]


def _section(number: int) -> Section:
    rng = random.Random(f"section {number}")
    station = STATIONS[(number * 5) % len(STATIONS)]
    month = MONTHS[(number - 1) % 12]
    paragraphs = []
    for _ in range(3):
        sentences = [rng.choice(_OPENINGS), *rng.sample(_MIDDLES, rng.randint(3, 5)), rng.choice(_CLOSINGS)]
        paragraphs.append(" ".join(sentence.format(**_values(rng, station, month)) for sentence in sentences))
    table = _levels(rng) if number % 4 == 0 else None
    return Section(f"{number}. {station} in {month}", paragraphs, table)


def _values(rng: random.Random, station: str, month: str) -> dict[str, str]:
    return {
        "station": station,
        "month": month,
        "keeper": rng.choice(KEEPERS),
        "count": f"{rng.randint(2, 9)},{rng.randint(100, 999)}",
        "lost": str(rng.randint(2, 40)),
        "ordinal": rng.choice(("second", "third", "fourth", "fifth")),
        "cm": str(rng.randint(3, 60)),
        "mm": str(rng.randint(4, 90)),
        "metres": f"{rng.uniform(2.1, 4.8):.2f}",
        "seconds": str(rng.randint(5, 58)),
        "number": str(rng.randint(3, 48)),
        "pounds": str(rng.randint(80, 640)),
    }


def _levels(rng: random.Random) -> list[list[str]]:
    rows = [["Week", "Lowest (m)", "Mean (m)", "Highest (m)"]]
    for week in range(1, 5):
        low = rng.uniform(0.4, 1.2)
        rows.append(
            [f"Week {week}", f"{low:.2f}", f"{low + rng.uniform(0.6, 1.2):.2f}", f"{low + rng.uniform(1.9, 3):.2f}"]
        )
    return rows


PART_COLUMNS = ["Part no.", "Description", "Maker", "Shelf", "Count", "Reorder at", "Unit price", "Value"]


def part_rows(count: int) -> list[list[str]]:
    """Rows of the parts list; count times price is the value, so the columns agree with each other."""
    rng = random.Random("parts")
    rows = []
    for number in range(count):
        pieces, pence = rng.randint(0, 140), rng.randint(35, 24_999)
        rows.append(
            [
                f"P-{1000 + number * 7}",
                f"{_PARTS[number % len(_PARTS)]}, {rng.choice(_SIZES)}",
                rng.choice(_MAKERS),
                f"{rng.choice('ABCDEF')}{rng.randint(1, 30)}",
                str(pieces),
                str(rng.randint(1, 30)),
                f"{pence / 100:,.2f}",
                f"{pieces * pence / 100:,.2f}",
            ]
        )
    return rows
