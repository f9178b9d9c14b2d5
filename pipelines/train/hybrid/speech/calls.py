"""Two-speaker calls of known content: what is said, by whom, and what can be asked about it."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from pipelines.train.hybrid.samples import Sample, Task, Turn
from pipelines.train.hybrid.speech import fillers
from pipelines.train.hybrid.speech.comparing import call_tasks
from pipelines.train.hybrid.speech.questions import WORDINGS, extraction, field, unanswerable
from pipelines.train.hybrid.speech.topics import CLOSING, INTRODUCTIONS, OPENING, TOPICS, Topic

SPEAKERS = {"a": "SPEAKER_00", "c": "SPEAKER_01"}
"""The agent speaks first, and speakers are numbered in the order of their first words."""

ASKABLE = ("amount", "color", "day", "hour", "city", "extension", "payment", "place", "fault", "guests", "nights")
"""Facts that a call may lack so that a question for them has no answer. Of the others something similar is said."""


def call(seed: int, *, held_out: bool = False, introduced: bool = False) -> Sample:
    """A call of 4 to 12 turns with 5 to 8 questions. ``held_out``: names, goods and half of the wordings are those that
    training never sees. ``introduced``: both say who they are in more ways, and are asked for. Turns carry no times: they
    are known once the call is synthesised."""
    rng = random.Random(f"call {seed}")
    topic = rng.choice(TOPICS)
    facts = draw_facts(rng, held_out)
    wordings = chosen_wordings(rng, topic, held_out, optional=rng.choice((0, 0, 1, 1, 2)))
    if introduced:
        wordings[0] = _wording(rng, INTRODUCTIONS, held_out)
    turns, said = spoken(wordings, facts)
    known = stated(facts, said)
    tasks = _tasks(rng, topic, turns, known)
    if introduced:
        tasks += [field(rng, fact, known[fact], topic.thing) for fact in ("agent", "caller")]
    if not held_out:
        other = stated(draw_facts(rng, held_out), said)
        tasks += call_tasks(rng, known, other)
    return Sample(seed, "call", "en", topic.name, (), (turns,), tuple(tasks), held_out, known)


def chosen_wordings(rng: random.Random, topic: Topic, held_out: bool, optional: int) -> list[str]:
    """A wording for every exchange of a call, with so many optional ones."""
    exchanges = [OPENING, *topic.needed, *rng.sample(topic.optional, optional)]
    if rng.random() < 0.6:
        exchanges.append(CLOSING)
    return [_wording(rng, exchange, held_out) for exchange in exchanges]


def draw_facts(rng: random.Random, held_out: bool) -> dict[str, str]:
    """A value for every slot that a wording may have."""
    one, many = fillers.item(rng, held_out)
    quantity = rng.choice(fillers.SMALL)
    people = [fillers.person(rng, held_out) for _ in range(2)]
    hour = f"{rng.randint(1, 11)}{rng.choice(('', '', ':30'))} "
    return {
        "company": fillers.pick(rng, fillers.COMPANIES, held_out),
        "caller": people[0],
        "manager": people[1],
        "agent": rng.choice([name for name in fillers.FIRST if name not in " ".join(people)]),
        "item": one,
        "items": many,
        "quantity": quantity,
        "quantity_up": quantity.capitalize(),
        "color": rng.choice(fillers.COLOURS),
        "amount": f"${fillers.amount(rng)}",
        "day": rng.choice(fillers.DAYS),
        "date": f"{rng.choice(fillers.MONTHS)} {fillers.ordinal(rng.randint(1, 30 if rng.random() < 0.9 else 28))}",
        "hour": hour + ("a.m." if int(hour.split(":")[0]) > 7 else "p.m."),
        "city": rng.choice(fillers.CITIES),
        "extension": str(rng.randint(21, 99)),
        "payment": rng.choice(fillers.PAYMENTS),
        "visit": rng.choice(fillers.VISITS),
        "place": rng.choice(fillers.PLACES),
        "fault": rng.choice(fillers.FAULTS),
        "guests": rng.choice(fillers.SMALL),
        "nights": rng.choice(fillers.SMALL),
    }


def spoken(wordings: Sequence[str], facts: dict[str, str]) -> tuple[tuple[Turn, ...], set[str]]:
    """The turns, neighbours of one speaker joined, and the names of the slots that were filled."""
    said: list[tuple[str, str]] = []
    slots: set[str] = set()
    for wording in wordings:
        for turn in wording.split(" / "):
            who, text = turn.split(": ", 1)
            slots.update(name for name in facts if "{" + name + "}" in text)
            text = re.sub(r"(?<=[ap]\.m\.)\.", "", text.format(**facts))
            text = re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", text)  # an orange ladder
            text = text[0].upper() + text[1:]
            if said and said[-1][0] == who:
                said[-1] = (who, f"{said[-1][1]} {text}")
            else:
                said.append((who, text))
    return tuple(Turn(SPEAKERS[who], text) for who, text in said), slots


def stated(facts: dict[str, str], said: set[str]) -> dict[str, str]:
    """The facts that the call really states; goods by the form in which they were said."""
    known = {name: facts[name] for name in WORDINGS if name in said and name != "items"}
    if "items" in said or "item" in said:
        known["items"] = facts["items" if "items" in said else "item"]
    return known


def _wording(rng: random.Random, exchange: Sequence[str], held_out: bool) -> str:
    """One wording; the last is only in held-out calls, and is half of those."""
    return exchange[-1] if held_out and rng.random() < 0.5 else rng.choice(exchange[:-1])


def _tasks(rng: random.Random, topic: Topic, turns: tuple[Turn, ...], known: dict[str, str]) -> list[Task]:
    missing = [name for name in ASKABLE if name not in known and not (name == "day" and "date" in known)]
    asked = rng.sample(sorted(known), min(len(known), 3))
    tasks = [field(rng, fact, known[fact], topic.thing) for fact in asked]
    tasks += [speaker_of(rng, topic, turns, known), unanswerable(rng, missing, topic.thing)]
    tasks.append(extraction(rng, known, missing))
    if rng.random() < 0.5:
        tasks.append(_counted(rng, turns))
    return tasks


def speaker_of(rng: random.Random, topic: Topic, turns: tuple[Turn, ...], known: dict[str, str]) -> Task:
    """Which speaker said or wanted something."""
    roll = rng.random()
    if roll < 0.35:
        ask = rng.choice(("Which speaker wants to {want}?", "Who wants to {want}, by speaker label?",
                          "Which of the speakers calls to {want}?", "Give the label of the speaker who wants to {want}."))  # fmt: skip
        return Task("who", ask.format(want=topic.want), None, SPEAKERS["c"])
    if roll < 0.55:
        ask = rng.choice(("Which speaker works for {company}?", "Who answers the phone, by speaker label?",
                          "Which speaker is the agent?", "Which of the speakers takes the call?"))  # fmt: skip
        return Task("who", ask.format(company=known["company"]), None, SPEAKERS["a"])
    only = []
    for value in known.values():
        speakers = {turn.speaker for turn in turns if value in turn.text}
        if len(speakers) == 1 and len(value) > 2:
            only.append((value, speakers.pop()))
    if roll < 0.85 and only:
        value, speaker = rng.choice(only)
        ask = rng.choice(("Which speaker says “{value}”?", "Who mentions {value}, by speaker label?",
                          "Which speaker talks about {value}?", "By which speaker is {value} mentioned?"))  # fmt: skip
        return Task("who", ask.format(value=value), None, speaker)
    last = rng.random() < 0.5
    ask = rng.choice(("Which speaker speaks {place}?", "Who speaks {place}, by speaker label?",
                      "Give the label of the speaker who speaks {place}."))  # fmt: skip
    return Task("who", ask.format(place="last" if last else "first"), None, turns[-1 if last else 0].speaker)


def _counted(rng: random.Random, turns: tuple[Turn, ...]) -> Task:
    if rng.random() < 0.5:
        ask = rng.choice(("How many people speak?", "How many speakers are there?", "How many voices are in the call?",
                          "Count the speakers.", "How many people take part in the call?"))  # fmt: skip
        return Task("count", ask, None, "2", ("two",))
    speaker = rng.choice(sorted(SPEAKERS.values()))
    ask = rng.choice(("How many times does {speaker} speak?", "How often does {speaker} take a turn?",
                      "How many turns does {speaker} have?", "Count the turns of {speaker}."))  # fmt: skip
    return Task("count", ask.format(speaker=speaker), None, str(sum(turn.speaker == speaker for turn in turns)))
