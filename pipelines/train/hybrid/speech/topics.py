"""What calls are about: per topic, exchanges in order, each in several wordings. {slots} are filled with the facts.

A wording is turns of the agent ("a:") and the caller ("c:"), separated by " / ". An exchange conveys the facts whose
slots it has. The last wording of every exchange is kept for the evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    """``needed`` exchanges are in every call, in order; of ``optional`` ones some, after them. ``want``: what the
    caller wants, as a question would put it ("Which speaker wants to ...")."""

    name: str
    thing: str
    want: str
    needed: tuple[tuple[str, ...], ...]
    optional: tuple[tuple[str, ...], ...]


OPENING = (
    "a: {company}, good morning. How can I help you? / c: Hello, my name is {caller}.",
    "a: Thank you for calling {company}. This is {agent} speaking. / c: Hello {agent}, this is {caller}.",
    "a: Good afternoon, {company}. / c: Good afternoon. This is {caller} calling.",
    "a: {company}, {agent} here. What can I do for you? / c: Hello, I am {caller}.",
    "a: Welcome to {company}. Who am I speaking with? / c: My name is {caller}.",
    "a: Good morning, you have reached {company}. My name is {agent}. / c: Good morning. I am {caller}.",
)
INTRODUCTIONS = (
    "a: {company}. My name is {agent}, how can I help you? / c: Hi, {caller} here.",
    "a: Hello, my name is {agent}, from {company}. / c: Hi {agent}, my name is {caller}.",
    "a: This is {company}, I am {agent}. What can I do for you? / c: Good afternoon, this is {caller}.",
    "a: {agent} at {company}. Good day. / c: Good day. I am {caller}.",
    "a: {company}, hello. You are speaking with {agent}. / c: My name is {caller}, hello.",
    "a: {company}, good evening. I am {agent}. / c: Good evening, {caller} speaking.",
    "a: Thanks for calling {company}. My name is {agent}. Who is calling? / c: It is {caller}.",
    "a: Good day, {company}, {agent} speaking. / c: Good day. My name is {caller}. I am a customer of yours.",
    OPENING[-1],
)
"""Openings of calls that are read but not spoken. In `OPENING` but for its last only callers say "my name is", and with
that as the rule the agent of the evaluation's opening was taken for the caller, or said not to be named."""
CLOSING = (
    "a: Is there anything else? / c: No, that is all. Thank you.",
    "c: Great, thank you very much. / a: You are welcome. Goodbye.",
    "a: Can I help you with anything else? / c: No, thanks. Goodbye.",
    "c: Perfect. Have a nice day. / a: You too. Goodbye.",
    "c: Thanks for your help. / a: My pleasure. Have a good day.",
)
EXTENSION = (
    "c: How can I reach you directly? / a: Dial extension {extension}.",
    "a: If there is a problem, call extension {extension}. / c: Extension {extension}, I have noted that.",
    "c: Is there a direct number? / a: Yes, it is extension {extension}.",
)
PAYMENT = (
    "a: How would you like to pay? / c: I will pay by {payment}.",
    "c: Can I pay by {payment}? / a: Yes, that works.",
    "a: And the payment? / c: By {payment}, please.",
)
CITY = (
    "a: Which city do you live in? / c: I live in {city}.",
    "c: I am calling from {city}, by the way. / a: Oh, I know {city} well.",
    "a: Where are you calling from? / c: From {city}.",
)
MANAGER = (
    "c: Who can I ask for next time? / a: Please ask for {manager}.",
    "a: The person in charge is {manager}. / c: Thank you, I will remember that.",
    "c: Who is the manager? / a: That would be {manager}.",
)

TOPICS: tuple[Topic, ...] = (
    Topic(
        "order", "the order", "place an order",
        (
            (
                "c: I would like to order {quantity} {color} {items}. / a: Certainly. {quantity_up} {items}.",
                "c: I need {quantity} {items} in {color}. / a: Yes, we have those in stock.",
                "c: Can I order {quantity} {color} {items}, please? / a: Of course.",
                "c: I want to buy {quantity} {items}, the {color} ones. / a: Good choice.",
            ),
            (
                "a: The total comes to {amount}. / c: That sounds fine.",
                "c: How much is it all together? / a: That will be {amount}.",
                "c: And what does that cost? / a: It costs {amount} in total.",
                "a: All together that is {amount}. / c: Okay, {amount}.",
            ),
            (
                "a: You will get it on {day}. / c: {day} is good.",
                "c: When will it arrive? / a: It should arrive on {day}.",
                "c: I need it by {day}. / a: That is no problem.",
                "a: Is {day} okay for the delivery? / c: Yes, {day} works for me.",
            ),
        ),
        (PAYMENT, CITY, EXTENSION, MANAGER),
    ),
    Topic(
        "invoice", "the invoice", "ask about an invoice",
        (
            (
                "c: I have a question about an invoice for {quantity} {items}. / a: What would you like to know?",
                "c: I received your invoice for {quantity} {items}. / a: Yes, I see it here.",
                "c: You sent me a bill for {quantity} {items}. / a: Let me look at it.",
            ),
            (
                "c: The amount is {amount}. Is that right? / a: Yes, {amount} is correct.",
                "c: How much do I have to pay? / a: The amount due is {amount}.",
                "a: The invoice says {amount}. / c: Yes, that is what I see too.",
                "c: It says that I owe {amount}. / a: That is correct.",
            ),
            (
                "c: When do I have to pay? / a: It is due on {date}.",
                "a: Please pay it by {date}. / c: I will pay it before {date}.",
                "c: Can I pay it on {date}? / a: Yes, {date} is fine.",
            ),
        ),
        (PAYMENT, MANAGER, EXTENSION, CITY),
    ),
    Topic(
        "appointment", "the appointment", "make an appointment",
        (
            (
                "c: I would like to make an appointment for {visit}. / a: Sure, let me check the calendar.",
                "c: I need an appointment for {visit}. / a: We can do that.",
                "c: Do you have time for {visit} this week? / a: Yes, I think so.",
            ),
            (
                "a: How about {day} at {hour}? / c: {day} at {hour} is perfect.",
                "c: Is {day} possible? / a: Yes, {day} at {hour} is free.",
                "a: I can offer you {day} at {hour}. / c: I will take it.",
                "c: I am free on {day}. / a: Then please come at {hour}.",
            ),
            (
                "a: You will see {manager}. / c: Good, I know {manager}.",
                "c: Who will I see? / a: You will see {manager}.",
                "a: Your appointment is with {manager}. / c: Okay, with {manager}.",
            ),
        ),
        (
            EXTENSION,
            (
                "c: What does it cost? / a: It costs {amount}.",
                "a: The price is {amount}. / c: All right.",
                "c: How much will I pay? / a: You will pay {amount}.",
            ),
            PAYMENT,
            CITY,
        ),
    ),
    Topic(
        "delivery", "the delivery", "ask about a delivery",
        (
            (
                "c: I am waiting for a {color} {item}. / a: Let me find your delivery.",
                "c: Where is the {color} {item} that I ordered? / a: One moment, I will check.",
                "c: My {item} has not arrived yet. It is {color}. / a: I am sorry to hear that.",
            ),
            (
                "a: It is in {city} at the moment. / c: And when will I get it?",
                "a: The truck left {city} this morning. / c: When will it be here?",
                "a: I can see that it is still in {city}. / c: When does it come?",
            ),
            (
                "a: It will come on {day} at {hour}. / c: I will be at home.",
                "a: The driver comes on {day}, around {hour}. / c: Thank you.",
                "a: You will have it on {day} by {hour}. / c: Good.",
            ),
        ),
        (
            (
                "c: Please leave it at {place}. / a: I will tell the driver.",
                "a: Where should we leave it? / c: At {place}, please.",
                "c: The driver can leave it at {place}. / a: I have noted that.",
            ),
            EXTENSION,
            (
                "a: There is a fee of {amount}. / c: I will pay the driver.",
                "c: What is the fee? / a: The fee is {amount}.",
                "c: Do I have to pay for it? / a: Yes, {amount} for the delivery.",
            ),
            MANAGER,
        ),
    ),
    Topic(
        "complaint", "the complaint", "make a complaint",
        (
            (
                "c: I bought a {color} {item} from you on {day}. / a: Yes, I remember.",
                "c: I want to complain about the {color} {item} that I bought on {day}. / a: I am sorry. What happened?",
                "c: On {day} I bought a {item} from you, a {color} one. / a: What is the problem?",
            ),
            (
                "c: The problem is that {fault}. / a: I am very sorry about that.",
                "c: When I opened the box, I saw that {fault}. / a: That should not happen.",
                "c: I am not happy, because {fault}. / a: I understand.",
            ),
            (
                "c: I want my money back. / a: We will send you {amount}.",
                "a: I can give you a refund of {amount}. / c: Yes, please do that.",
                "c: I would like a refund. I paid {amount}. / a: You will get {amount} back.",
            ),
        ),
        (
            (
                "a: The refund will take until {date}. / c: That is a long time.",
                "c: When will I have the money? / a: You will have it by {date}.",
                "a: We will send it on {date}. / c: Good.",
            ),
            MANAGER,
            EXTENSION,
            CITY,
        ),
    ),
    Topic(
        "booking", "the booking", "book a room",
        (
            (
                "c: I would like to book a room for {nights} nights. / a: For what date?",
                "c: Do you have a room for {nights} nights? / a: Yes, we do. From when?",
                "c: I need a room for {nights} nights. / a: When will you arrive?",
            ),
            (
                "c: From {date}, please. / a: Yes, we have a room from {date}.",
                "c: I will arrive on {date}. / a: Very good.",
                "c: On {date}. / a: Let me see. Yes, {date} is possible.",
            ),
            (
                "a: The price is {amount} a night. / c: I will take it.",
                "c: What is the price? / a: It is {amount} for each night.",
                "c: How much is it? / a: One night costs {amount}.",
            ),
        ),
        (
            (
                "c: How many people can sleep there? / a: The room is for {guests} people.",
                "c: We are {guests} people. / a: That is fine, the room is big enough.",
                "a: For how many people? / c: For {guests} people.",
            ),
            PAYMENT,
            EXTENSION,
            (
                "c: When can we check in? / a: You can check in at {hour}.",
                "a: Check in starts at {hour}. / c: Good to know.",
                "c: We will arrive at {hour}. / a: Somebody will be there.",
            ),
        ),
    ),
)  # fmt: skip
