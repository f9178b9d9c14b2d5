"""What else stands on receipts and is none of the fields that are asked for: slogans above the name, names of other
companies, notes on tax and savings, a second date. For training alone."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.train.hybrid.documents import words
from pipelines.train.hybrid.documents.draft import Draft
from pipelines.train.hybrid.documents.kinds import malaysia
from pipelines.train.hybrid.documents.kinds.goods import Basket

Print = Callable[[str], object]
_GREETINGS = ("Thank you for shopping with {x}", "Welcome to {x}", "{x}.com", "{x}", "SALE", "ORIGINAL", "COPY",
              "* DUPLICATE *", "Customer copy", "Reprint", "{x} rewards you", "Your {x} store", "www.{x}.com",
              "Always fresh - {x}")  # fmt: skip
_SLOGANS = ("Everything for your home", "Quality you can trust", "Low prices every day", "Since {n}",
            "Serving you with care", "The friendly place", "Good food, good mood", "Your one stop centre",
            "We make it easy", "More for less", "Est. {n}", "Always near you")  # fmt: skip
_OTHERS = ("Operated by {x}", "Managed by {x}", "f.k.a. {x}", "(formerly {x})", "A member of {x}", "Franchise of {x}",
           "Owned by {x}", "Head office: {x}", "Licensee: {x}", "c/o {x}")  # fmt: skip
_HOURS = ("MON-SUN 10:00 - 22:00", "Open daily 9 am - 9 pm", "Shopping hours: 1000 HRS - 2200 HRS", "24 hours")
_INITIALS = ("{a}.{b}.", "{a}.{b}.{c}.", "{a}{b}{c}", "{a} & {b}", "MR. {a}", "{n}-{a}", "{a}{n}", "DR. {a}")
_WITHIN = ("(M)", "(UK)", "Cash & Carry", "24", "No. 1", "(KL)", "Group", "D.I.Y.", "1-Stop")


def spelled(draft: Draft, name: str) -> str:
    """A company's name with initials, an owner's s, a number or a country in it."""
    rng = draft.rng
    if draft.held_out or draft.lang.wide:
        return name
    a, b, c = (rng.choice("ABDEFGHKLMNPRSTVY") for _ in range(3))
    initials = rng.choice(_INITIALS).format(a=a, b=b, c=c, n=rng.randint(2, 99))
    first, _, rest = name.partition(" ")
    how = rng.random()
    if how < 0.55:
        return name
    if how < 0.7:
        return f"{initials} {rest or first}"
    if how < 0.8:
        return f"{first}'s {rest}".strip()
    if how < 0.9:
        return f"{first} {initials} {rest}".strip()
    return f"{first} {rng.choice(_WITHIN)} {rest}".strip()


def above(draft: Draft, put: Print) -> None:
    """Up to two lines over the company's name."""
    rng = draft.rng
    if draft.held_out or rng.random() > 0.35:
        return
    english = (*_GREETINGS, *rng.sample(_SLOGANS, 5))
    for text in rng.sample(english if draft.lang.code == "en" else ("{x}", "{x}.com"), rng.choice((1, 1, 2))):
        put(text.format(x=words.made_up(rng, False, 2).capitalize(), n=rng.randint(1900, 2019)))


def parted(draft: Draft, name: str) -> list[str]:
    """A company's name in one row, now and then in two."""
    if draft.held_out or draft.lang.wide or " " not in name or draft.rng.random() > 0.15:
        return [name]
    parts = name.split(" ")
    at = draft.rng.randint(1, len(parts) - 1)
    return [" ".join(parts[:at]), " ".join(parts[at:])]


def behind(draft: Draft, capitals: bool, put: Print) -> None:
    """The firm behind a shop, right under the shop's name, with nothing that says so."""
    if draft.held_out or draft.lang.wide:
        return
    if draft.lang.code == "en" and draft.rng.random() < 0.08:
        slogan = draft.rng.choice(_SLOGANS).format(n=draft.rng.randint(1900, 2019))
        put(slogan.upper() if capitals else slogan)
    if draft.rng.random() > 0.15:
        return
    local = "malaysia" in draft.lang.data and draft.rng.random() < 0.65
    name = malaysia.company(draft)[0] if local else words.company(draft.rng, draft.lang, False)
    name = name.upper() if capitals else name
    put(draft.rng.choice(("({x})", "({x})", "{x}", "By {x}", "- {x} -")).format(x=name))


def below(draft: Draft, put: Print) -> None:
    """Other companies, opening hours and fax numbers, in English receipts."""
    rng = draft.rng
    if draft.held_out or draft.lang.code != "en":
        return
    if rng.random() < 0.15:
        put(rng.choice(_OTHERS).format(x=words.company(rng, draft.lang, False)))
    if rng.random() < 0.12:
        put(rng.choice(_HOURS))
        _noted(draft, "opening_hours")
    if rng.random() < 0.15:
        put(f"{rng.choice(('Branch', 'Outlet', 'Store'))}: {rng.choice(words.part(draft.lang.names['city'], False))}")
        _noted(draft, "branch")


def after_sums(draft: Draft, goods: Basket, put: Print) -> None:
    """Notes that repeat or nearly repeat amounts, after what was paid."""
    rng = draft.rng
    if draft.held_out or draft.lang.code != "en":
        return
    tax = draft.money(goods.tax, bare=True)
    saved = draft.money(round(rng.uniform(0.2, goods.total * 0.4 + 1), 2), bare=True)
    count = sum(line.quantity for line in goods.lines)
    for key, text, chance in (
        ("tax", f"(Total included GST {goods.rate}% {tax})", 0.12),
        ("tax", f"Total includes {goods.rate}% tax: {tax}", 0.08),
        ("savings", f"Total savings {saved}", 0.1),
        ("savings", f"You have saved {saved} today", 0.05),
        ("quantity", f"Total Qty : {count}", 0.15),
        ("quantity", f"Item count {len(goods.lines)}", 0.1),
        ("points", f"Points {rng.randint(1, 900)} - Balance {rng.randint(900, 9000)}", 0.06),
    ):
        if rng.random() < chance:
            put(text)
            _noted(draft, key)


def second_date(draft: Draft, put: Print) -> None:
    """The receipt's own day again in another form, or another day that is no date of the receipt."""
    rng = draft.rng
    if draft.held_out or draft.lang.code != "en" or rng.random() > 0.2:
        return
    day = draft.days["date"]
    if rng.random() < 0.5:
        form = rng.choice(("{d:02}{m:02}{y:02}", "{Y}{m:02}{d:02}"))
        put(f"{rng.choice(('Trans', 'Bill', 'Ref', '#'))} {draft.lang.day(form, day)}{words.code(rng, '9999999')}")
    else:
        label = rng.choice(("Card expiry", "Member since", "Promotion ends", "Return by", "Software", "Points expire"))
        put(f"{label} {draft.dated(draft.day(2012, 2030))}")
        _noted(draft, "return_date")


def _noted(draft: Draft, key: str) -> None:
    """It is printed, so nobody says that it is lacking; nor is it asked for, unless it was noted with a value."""
    if all(fact.key != key for fact in draft.facts):
        draft.note(key, "", [], asked=False)
