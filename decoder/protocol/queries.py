"""What a detection task is asked to look for, from the words of the user."""

from __future__ import annotations

import re

from decoder.protocol.errors import bad_request
from decoder.protocol.request import CompletionRequest

DETECTIONS = ("object_detection", "gui_detection")
"""Tasks that look for phrases."""
MOST = 200
"""Phrases of one request: a detector takes time for every few of them, and others wait."""
_URL = re.compile(r"https?://\S+")
_ASKING = re.compile(
    r"^(please\s+)?((can|could)\s+you\s+)?"
    r"(detect|find|locate|identify|mark|show|point\s+(to|at)|look\s+for|search\s+for|where\s+(is|are)|click)(\s+me)?\s+",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(all|any|every|each|the|a|an|of|my|this|that|these|those)\s+", re.IGNORECASE)
_EVERYTHING = re.compile(
    r"^(everything|(gui|ui|interface|screen|visible)?\s*(objects?|elements?|things?|items?|icons?|controls?|widgets?))?$",
    re.I,
)
_PLACE = re.compile(
    r"\s+(in|on|from|of)\s+(this|the|that)\s+(image|picture|photo|screen|screenshot|page|document)$", re.I
)


def queries(request: CompletionRequest) -> tuple[str, ...]:
    """The phrases of the last user turn, without the words that ask for them; none when everything is meant.
    Raises `ChatError` 400 for too many."""
    text = next((m.text for m in reversed(request.messages) if m.role == "user" and m.text.strip()), "")
    found = []
    for piece in re.split(r"[,;\n]|\band\b", _URL.sub(" ", text)):
        phrase = _PLACE.sub("", _ASKING.sub("", " ".join(piece.split()).strip(".?!\"' ")))
        while _ARTICLE.match(phrase):
            phrase = _ARTICLE.sub("", phrase)
        if not _EVERYTHING.match(phrase):
            found.append(phrase)
    phrases = tuple(dict.fromkeys(found))
    if len(phrases) > MOST:
        raise bad_request("messages", f"{len(phrases)} things to look for; at most {MOST} are looked for at once")
    return phrases
