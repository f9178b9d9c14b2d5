"""Questions about a call and their answers, in many wordings, and schemas with names of many styles."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping

from pipelines.train.hybrid.samples import REFUSAL, Task
from pipelines.train.hybrid.speech import fillers

Accepts = Callable[[str], tuple[str, ...]]

WORDINGS: dict[str, tuple[str, ...]] = {
    "caller": (
        "What is the name of the caller?", "Who is calling?", "What is the caller's name?", "Name the person who calls.",
        "Who made the call?", "What does the customer say their name is?", "Give the full name of the caller.",
        "Under which name does the caller introduce themselves?", "Which customer is on the phone?",
    ),
    "agent": (
        "What is the name of the person who answers the phone?", "Who answers the call?", "What is the agent's name?",
        "Who takes the call?", "Name the employee who picks up.", "What does the person who answers call themselves?",
        "Which employee is speaking?", "Give the first name of the agent.",
    ),
    "company": (
        "Which company is called?", "What is the name of the company?", "Which business answers the phone?",
        "Who did the caller reach: which company?", "What company does the agent work for?", "Name the company.",
        "Which firm is this call with?", "What is the business called?",
    ),
    "amount": (
        "What amount is mentioned?", "How much money is it?", "What is the price?", "How much is it?",
        "Which sum of money do they speak of?", "What amount do they talk about?", "How many dollars is it?",
        "Name the amount in {thing}.", "What does it come to?", "What sum is given for {thing}?",
    ),
    "items": (
        "What is {thing} about?", "Which goods are mentioned?", "What kind of product is it?", "Which product is it?",
        "What did the caller order?", "Name the product.", "What article do they talk about?", "Which item is meant?",
    ),
    "color": (
        "Which color is it?", "What color is mentioned?", "In which color?", "What is the color of the product?",
        "What color does the caller name?", "Name the color.", "Which color do they speak of?", "What is its color?",
    ),
    "quantity": (
        "How many are there?", "What quantity is mentioned?", "How many does the caller speak of?", "What is the number?",
        "Which quantity does the caller give?", "How many of them?", "What number does the caller say?", "How many is it?",
    ),
    "day": (
        "On which day is it?", "Which day is mentioned?", "What day of the week do they name?", "Which weekday is it?",
        "What day do they talk about?", "On what day?", "Name the day.", "Which day of the week is it about?",
    ),
    "date": (
        "Which date is mentioned?", "What is the date?", "On what date is it?", "Name the date.", "What date do they say?",
        "Which date do they talk about?", "Which date do they give for {thing}?", "What date belongs to {thing}?",
    ),
    "hour": (
        "At what time?", "Which time is mentioned?", "What time do they say?", "At what hour is it?", "Name the time.",
        "What time of day is given?", "What is the time of {thing}?", "When on that day, at what time?",
    ),
    "manager": (
        "Which other person is mentioned?", "Which employee is named for later?", "Name the person they refer to.",
        "Who else is mentioned by name?", "Which colleague is mentioned?", "Whose name does the agent give the caller?",
        "Who is named besides the two speakers?", "What is the name of the other person?",
    ),
    "city": (
        "Which city is mentioned?", "What city do they speak of?", "Name the city.", "In which city?", "Which town is it?",
        "What is the name of the city?", "Which place on the map is mentioned?", "What city comes up in the call?",
    ),
    "extension": (
        "Which extension is mentioned?", "What is the extension?", "What extension should be dialed?", "Name the extension.",
        "Which extension does the agent give?", "Under which extension can they be reached?", "What number is the extension?",
        "At which extension can the person be reached?",
    ),
    "payment": (
        "How does the caller pay?", "What is the way of payment?", "Which payment method is chosen?", "How is it paid?",
        "By what means does the caller pay?", "Name the method of payment.", "How will the customer pay?",
        "What will be used to pay?",
    ),
    "visit": (
        "What is the appointment for?", "What does the caller come for?", "Why does the caller need an appointment?",
        "What kind of appointment is it?", "Name the purpose of the appointment.", "What is booked?",
        "What does the caller want done?", "For what does the caller make an appointment?",
    ),
    "place": (
        "Where should it be left?", "At which place should the driver leave it?", "Where is the parcel to be put?",
        "Name the place for the delivery.", "Where will the driver leave it?", "Which place does the caller name?",
        "Where does the caller want it?", "At what place is it handed over?",
    ),
    "fault": (
        "What is wrong with it?", "What is the problem?", "What is the reason for the complaint?", "Name the problem.",
        "Why does the caller complain?", "What does the caller say about its condition?", "Why is the caller unhappy?",
        "What went wrong?",
    ),
    "guests": (
        "How many people will stay?", "For how many people is the room?", "What is the number of guests?",
        "How many guests are there?", "How many people come?", "Name the number of people.", "How big is the group?",
        "How many persons are they?",
    ),
    "nights": (
        "How many nights are booked?", "For how many nights is the room?", "How long is the stay in nights?",
        "How many nights will the caller stay?", "What is the number of nights?", "Name the number of nights.",
        "How many nights does the caller want?", "How long does the caller stay?",
    ),
}  # fmt: skip
ABSENT: dict[str, tuple[str, ...]] = {
    "email": ("What is the email address?", "Which email address does the caller give?"),
    "discount": ("How much discount is given?", "What discount do they agree on?"),
    "age": ("How old is the caller?", "What is the caller's age?"),
    "tracking_number": ("What is the tracking number?", "Which tracking number is given?"),
    "weight": ("How heavy is it?", "What is the weight?"),
    "birthday": ("When was the caller born?", "What is the caller's birthday?"),
    "street": ("In which street does the caller live?", "What is the street address?"),
    "warranty": ("How long is the warranty?", "Until when is it under warranty?"),
}
NAMES: dict[str, tuple[str, ...]] = {
    "caller": ("caller", "caller_name", "callerName", "customer", "name of caller", "client"),
    "agent": ("agent", "agent_name", "employee", "answered by", "agentName", "clerk"),
    "company": ("company", "company_name", "companyName", "business", "firm"),
    "amount": ("amount", "total_amount", "totalAmount", "price", "sum", "amount in dollars"),
    "items": ("item", "product", "product_name", "productName", "article", "goods"),
    "color": ("color", "product_color", "productColor", "colour"),
    "quantity": ("quantity", "count", "number_of_units", "numberOfUnits", "how many"),
    "day": ("day", "weekday", "day_of_week", "dayOfWeek"),
    "date": ("date", "calendar_date", "calendarDate", "day and month"),
    "hour": ("time", "time_of_day", "timeOfDay", "hour"),
    "manager": ("other_person", "contact", "contact_person", "contactPerson", "person mentioned"),
    "city": ("city", "town", "city_name", "cityName"),
    "extension": ("extension", "phone_extension", "phoneExtension", "internal number"),
    "payment": ("payment", "payment_method", "paymentMethod", "paid by"),
    "visit": ("purpose", "reason_of_visit", "reasonOfVisit", "appointment for"),
    "place": ("place", "drop_off_place", "dropOffPlace", "leave at"),
    "fault": ("problem", "reason", "complaint_reason", "complaintReason", "defect"),
    "guests": ("guests", "number_of_guests", "numberOfGuests", "people"),
    "nights": ("nights", "number_of_nights", "numberOfNights", "stay in nights"),
    "email": ("email", "email_address", "emailAddress"),
    "discount": ("discount", "discount_given"),
    "age": ("age", "caller_age"),
    "tracking_number": ("tracking_number", "trackingNumber"),
    "weight": ("weight", "weight_kg"),
    "birthday": ("birthday", "date_of_birth"),
    "street": ("street", "street_address", "streetAddress"),
    "warranty": ("warranty", "warranty_period"),
}


def accepted(fact: str, answer: str) -> tuple[str, ...]:
    """Other spellings of an answer that whisper may have printed for what was said."""
    found: list[str] = []
    if fact == "amount":
        found = [answer.lstrip("$") + " dollars", answer + ".00"]
    elif fact == "date":
        found = [re.sub(r"(st|nd|rd|th)$", "", answer)]
    elif fact == "hour":
        clock, half = answer.split()
        clocks = [clock, clock.replace(":", ".")] if ":" in clock else [clock, f"{clock}:00", f"{clock}.00"]
        halves = [
            f" {half}",
            half,
            f" {half.replace('.', '')}",
            half.replace(".", ""),
            f" {half.replace('.', '').upper()}",
        ]
        found = [a + b for a in clocks for b in halves]
    elif fact in ("quantity", "guests", "nights"):
        found = [str(fillers.NUMBERS.index(answer))]
    elif fact in ("visit", "place"):
        found = [re.sub(r"^(an?|the) ", "", answer), answer.replace("checkup", "check-up")]
    return tuple(dict.fromkeys(spelling for spelling in found if spelling != answer))


def field(rng: random.Random, fact: str, answer: str, thing: str) -> Task:
    """One fact asked for in words."""
    kind = "when" if fact in ("day", "date", "hour") else "who" if fact in ("caller", "agent", "manager") else "field"
    question = rng.choice(WORDINGS[fact]).format(thing=thing)
    return Task(kind, question, None, answer, accepted(fact, answer))


def unanswerable(rng: random.Random, missing: list[str], thing: str) -> Task:
    """A fact asked for that nobody mentions."""
    if missing and rng.random() < 0.5:
        question = rng.choice(WORDINGS[rng.choice(missing)]).format(thing=thing)
    else:
        question = rng.choice(ABSENT[rng.choice(sorted(ABSENT))])
    return Task("unanswerable", question, None, REFUSAL)


def extraction(rng: random.Random, facts: Mapping[str, str], missing: list[str]) -> Task:
    """A schema of 2 to 6 properties, absent ones among them, and the JSON that it asks for."""
    chosen = rng.sample(sorted(facts), min(len(facts), rng.randint(2, 5)))
    if rng.random() < 0.4:
        chosen.insert(rng.randrange(len(chosen) + 1), rng.choice([*missing, *sorted(ABSENT)]))
    nullable, described = rng.random() < 0.5, rng.random() < 0.3
    properties: dict[str, object] = {}
    answer: dict[str, str | None] = {}
    for fact in chosen:
        name = rng.choice([name for name in NAMES[fact] if name not in properties] or [fact])
        kind: object = ["string", "null"] if nullable else "string"
        properties[name] = {"type": kind, "description": fact.replace("_", " ")} if described else {"type": kind}
        answer[name] = facts.get(fact, None if nullable else "")
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    ask = rng.choice((None, None, "Summarize the call.", "Extract the facts of the call.", "Fill in the call report."))
    return Task("json", ask, json.dumps(schema), json.dumps(answer, ensure_ascii=False))
