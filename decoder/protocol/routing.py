"""Which specialists a plain chat needs: from the user's words alone, by stated words and no network.

A question about text needs OCR, one that asks where, how many or whether there are things needs the object detector,
one about an element of an interface the GUI detector, and one may ask for several. `routing.toml` states the words,
in eleven languages. Rules, for each clause of the turn:

1. something is to be pressed, or an element of an interface is asked for: `gui_detection`
2. a mark of documents (stamp, signature, chart), a thing of the detector's vocabulary, or "objects": `object_detection`
3. something written, or anything on a page with writing: `ocr`
4. what there is to see at all, a thing that is none of these, or one that is only spoken of: both; a needless reading
   costs less than a lost one
5. no clause says anything: the turn before decides, and without any, `ocr`

Phrases to look for are taken from English questions, since the phrase encoder knows English; elements that are listed
without a phrase have no names, so OCR reads them too. Documents are always read, and looked at for 2.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from decoder.protocol.request import CompletionRequest
from encoders.detection.vocabulary import everything

OCR, OBJECTS, GUI = "ocr", "object_detection", "gui_detection"
_WORDS = Path(__file__).with_name("routing.toml")
_LONGEST = 2000  # characters of a turn's beginning, and of its end, that are looked at
_CLAUSE = 300
_PHRASES = 16  # of one turn
_CLAUSES = re.compile(
    r"[.!?;]+(?:\s|$)|[。！？；\n]|,?\s+(?:and|then|or)\s+(?=(?:what|how|where|which|who|when|tell|read|is|are|count|find|click|list)\b)",
    re.I,
)
_URL = re.compile(r"https?://\S+")
_CUT = re.compile(
    r"\s+(?:is|are|was|were|be|do|does|did|can|could|would|should|have|has|in|on|at|inside|within|from|there|that|which|who|"
    r"located|placed|visible|shown|displayed|listed|mentioned|you|i|we|appear|appears|here|please|if|so|by)\b.*",
    re.I,
)
_TARGETS = tuple(
    re.compile(rf"(?<!\w)(?:{ask})\s+(?:me\s+|us\s+)?(?P<target>.+)", re.I)
    for ask in (
        r"how many|count|number of",
        r"where(?:'s|\s+(?:is|are)|\s+(?:do|can|could|would|should)\s+i\s+(?:see|find))",
        r"locate|find|detect|locali[sz]e|segment|highlight|outline|circle|mark|spot|identify|enumerate|show",
        r"point (?:to|at|out)",
        r"(?:positions?|locations?|coordinates?|box(?:es)?|bbox(?:es)?) (?:of|for|around)",
        r"(?:is|are) there|there (?:is|are)",
        r"(?:do|can|could) you (?:see|spot|recogni[sz]e)",
        r"(?:does|do) (?:the|this|these|that)(?: \w+){1,3} (?:show|contain|include|have|depict|bear|carry)",
    )
)
_PRESSED = re.compile(
    r"(?:click|tap|press|push|hover|swipe|tick|toggle)(?:ing)?(?:\s+(?:on|over|at))?\s+"
    r"(?:(?:in order\s+)?(?:to|if i want to|for)\s+)?(?P<target>.+)",
    re.I,
)
_KIND_FOR = re.compile(
    r"(?:which|what)\s+(?P<kind>button|link|icon|tab|menu item)\s+(?:(?:do|should|must|can)\s+i\s+\w+\s+(?:to|for)\s+|"
    r"is\s+for\s+|(?:lets|allows)\s+me\s+(?:to\s+)?|will\s+|to\s+)?(?!(?:is|are|do|does|can|should)\b)(?P<target>.+)",
    re.I,
)
_NAMED = re.compile(
    r"\b(?:the|a|an|my)\s+(?P<target>(?:(?!the\b|a\b|an\b|in\b|into\b|on\b|from\b)[\w\"'-]+\s+){0,4}"
    r"(?:button|box|checkbox|field|input|menu|tab|icon|link|switch|toggle|slider|dropdown|dialog|"
    r"(?:search|address|menu|navigation|tool|side) ?bar)s?)\b",
    re.I,
)
_DEED = re.compile(
    r"(?:where|how)\s+(?:do|can|could|should|would|must)\s+i\s+(?!do\s+(?:that|this|it)\b)(?P<target>.+)", re.I
)
_ON_SCREEN = re.compile(
    r"\s+(?:(?:in|on|at|from)\s+(?:this|the)\s+(?:screen(?:shot)?|page|image|picture|window|app|site|website)|here)\b.*",
    re.I,
)
_QUOTED = re.compile(r"[\"“„«']([^\"”“»']{1,60})[\"”“»'](?!\w)")
_DETERMINER = re.compile(
    r"^(?:all|any|every|each|some|the|a|an|of|my|this|that|these|those|different|various)\s+", re.I
)
_HEAD = re.compile(
    r"\s+(?:with|wearing|holding|of|to|for|behind|under|near|next|beside|between|riding|sitting|standing)\b.*"
)
_WORD = re.compile(r"[a-z]{3,}", re.I)
_AFTER = re.compile(r"\s(?:at|of|in|on|with|without|showing|over)\s.*")
_STATED = {"signed": "signature", "stamped": "stamp"}


@dataclass(slots=True)
class Route:
    """The specialists of a turn by task, each with the phrases it looks for (none: everything), for images and for
    documents. ``because``: the words that decided. Empty: nothing was said, the file's kind decides."""

    images: dict[str, tuple[str, ...]] = field(default_factory=dict)
    documents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    because: tuple[str, ...] = ()

    def of(self, modality: str) -> Mapping[str, tuple[str, ...]]:
        """Those that look at files of a modality."""
        return {"image": self.images, "document": self.documents}.get(modality, {})


def route(request: CompletionRequest) -> Route:
    """The route of a chat: what the last user turn asks for, or the one before when that says nothing."""
    for message in reversed(request.messages):
        if message.role == "user" and (found := route_of(message.text)).because:
            return found
    return Route()


def route_of(text: str) -> Route:
    """The route of one text."""
    if len(text) > 2 * _LONGEST:
        text = f"{text[:_LONGEST]}\n{text[-_LONGEST:]}"
    found = Route()
    for clause in _CLAUSES.split(_URL.sub(" ", text)):
        words = " ".join(clause.replace("\u2019", "'").split())[:_CLAUSE]
        if words:
            _add(found, words)
    if GUI in found.images and not found.images[GUI]:
        found.images.setdefault(OCR, ())  # elements that no phrase chose have no names
    if found.because:
        found.documents.setdefault(OCR, ())
    return found


def _add(found: Route, clause: str) -> None:
    """What one clause asks for."""
    says = {name: words.search(clause) for name, words in _meanings().items()}
    asks, scene = says["asks"], says["scene"]
    target = _target(clause) if asks else ""
    element, mark, written = (_meanings()[name].search(target or clause) for name in ("elements", "marks", "texts"))
    if says["acts"] and not element:
        element = _NAMED.search(clause)
    if says["press"] or (element and (asks or says["acts"] or (says["lists"] and not says["reads"]))):
        _need(found, GUI, _elements(clause, target), says["press"] or element)
    elif says["marked"]:
        _need(
            found, OBJECTS, filter(None, [_STATED.get(says["marked"].group(0).lower(), "")]), says["marked"], pages=True
        )
        _need(found, OCR, (), says["marked"])
    elif asks and mark:
        _need(found, OBJECTS, _marks(target, mark.group(0)), mark, pages=True)
    elif asks and written and not says["deeds"]:
        _need(found, OCR, (), written)
    elif says["things"] and (asks or says["lists"]):
        _need(found, OBJECTS, (), says["things"], pages=True)
    elif scene:
        _need(found, GUI if says["screen"] else OBJECTS, (), scene)
        _need(found, OCR, (), scene)
    elif target and all(map(_is_seen, _phrases(target))):
        _need(found, OBJECTS, _phrases(target), asks, pages=True)
    elif says["deeds"] or (asks and says["screen"]):
        _need(found, GUI, _deed(clause) or _phrases(target), says["deeds"] or asks)
        _need(found, OCR, (), says["deeds"] or asks)
    elif asks and not says["texts"] and not says["reads"]:
        _need(found, OBJECTS, _phrases(target), asks)
        _need(found, OCR, (), asks)
    elif says["texts"] or says["reads"]:
        _need(found, OCR, (), says["reads"] or says["texts"])
    elif order := _order().match(clause):
        _need(found, GUI, filter(None, [_bare(_ON_SCREEN.sub("", clause))]), order)
        _need(found, OCR, (), order)
    elif spoken := tuple(word for word in _WORD.findall(clause) if _is_seen(word)):
        _need(found, OBJECTS, spoken, _WORD.search(spoken[0]))
        _need(found, OCR, (), _WORD.search(spoken[0]))


def _need(found: Route, task: str, phrases: Iterable[str], why: re.Match[str] | None, *, pages: bool = False) -> None:
    """Note that a specialist is needed. One that is to find everything finds whatever else is asked for."""
    for wanted in (found.images, found.documents) if pages else (found.images,):
        before, new = wanted.get(task), tuple(phrases)
        both = () if before == () or not new else tuple(dict.fromkeys([*(before or ()), *new]))[:_PHRASES]
        wanted[task] = both
    if why is not None and why.group(0).lower() not in found.because:
        found.because += (why.group(0).lower(),)


def _target(clause: str) -> str:
    """What an English question asks for; "" when that cannot be told."""
    matches = [match for pattern in _TARGETS if (match := pattern.search(clause))]
    if not matches:
        return ""
    first = min(matches, key=lambda match: match.start())
    return _CUT.sub("", f" {first['target']}").strip(" ,:\"'")


def _elements(clause: str, target: str) -> tuple[str, ...]:
    """Phrases for the GUI detector: what is to be pressed, what a button is for, or the element that is named."""
    if pressed := _PRESSED.search(clause):
        return tuple(filter(None, [_bare(_ON_SCREEN.sub("", pressed["target"]))]))
    if (purpose := _KIND_FOR.search(clause)) and (name := _bare(_ON_SCREEN.sub("", purpose["target"]))):
        return (f"{name} {purpose['kind']}",)
    if _meanings()["elements"].search(target):
        return _phrases(target)
    if (named := _NAMED.search(clause)) and _meanings()["acts"].search(clause):
        return (_bare(named["target"]),)
    return tuple(f'"{text}"' for text in _QUOTED.findall(clause))


def _deed(clause: str) -> tuple[str, ...]:
    """ "Where can I change my password": the phrase is what is to be done."""
    done = _DEED.search(clause)
    return tuple(filter(None, [_bare(_ON_SCREEN.sub("", done["target"]))])) if done else ()


def _marks(target: str, word: str) -> tuple[str, ...]:
    return _phrases(target) or ((_STATED.get(word.lower(), word.lower()),) if word.isascii() else ())


def _phrases(target: str) -> tuple[str, ...]:
    pieces = map(_bare, re.split(r"\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+", target))
    return tuple(dict.fromkeys(filter(None, pieces)))


def _bare(phrase: str) -> str:
    """Without articles and punctuation."""
    phrase = phrase.strip(" ,.:;?!\"'")
    while (shorter := _DETERMINER.sub("", phrase)) != phrase:
        phrase = shorter
    return phrase


def _is_seen(phrase: str) -> bool:
    """Whether its last noun names something that is seen rather than read."""
    words = _HEAD.sub("", phrase.lower()).split()
    return bool(words) and any(form in _seen() for form in _singular(words[-1]))


def _singular(word: str) -> Iterator[str]:
    yield word
    for ending, instead in (("ies", "y"), ("ves", "f"), ("es", ""), ("s", "")):
        if word.endswith(ending):
            yield word[: -len(ending)] + instead


@cache
def _tables() -> dict[str, dict[str, str]]:
    return tomllib.loads(_WORDS.read_text("utf-8"))


@cache
def _meanings() -> dict[str, re.Pattern[str]]:
    """One pattern for each table of words."""
    return {name: _pattern(languages) for name, languages in _tables().items() if name not in ("names", "orders")}


@cache
def _order() -> re.Pattern[str]:
    return re.compile(rf"(?:{_tables()['orders']['en']})\b", re.IGNORECASE)


def _pattern(languages: Mapping[str, str]) -> re.Pattern[str]:
    lines = {language: "|".join(words.split("\n")).strip("|") for language, words in languages.items()}
    spaced = "|".join(words for language, words in lines.items() if language not in ("zh", "ja"))
    signs = "|".join(lines[language] for language in ("zh", "ja"))
    return re.compile(rf"(?<!\w)(?:{spaced})(?!\w)|{signs}", re.IGNORECASE)


@cache
def _seen() -> frozenset[str]:
    """Last words of what the detector's vocabulary and `routing.toml` name, without what is read as often."""
    names = _tables()["names"]
    ends = {_AFTER.sub("", name).split()[-1] for name in everything(interface=False)}
    return frozenset((ends | set(names["seen"].split())) - set(names["read"].split()))
