"""What a client asks for in system turns: ``<task>NAME</task>`` and ``<guard>S1, S12_IMAGE</guard>``."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from decoder.protocol.errors import bad_request
from decoder.protocol.formats import schema_text
from decoder.protocol.request import CompletionRequest

ALIASES = {"stt": "speech_to_text"}
KNOWN_TASKS = (
    *("ocr", "object_detection", "gui_detection", "web_search", "scraper", "translate", "speech_to_text", "forecast"),
)
"""What the vendor's clients can ask for; a server has some of them."""
# No name has a "<" in it; what may go on for ever is looked for again from every opening tag.
_TAG = re.compile(r"<(task|guard)>([^<]*)</\1>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Directives:
    """The task that the request asks for, and the system prompt that is left without the tags.

    ``called`` is the task's name as the caller wrote it, ``task`` the encoder's.
    """

    system: str
    task: str | None = None
    called: str | None = None


def directives(request: CompletionRequest, tasks: Collection[str]) -> Directives:
    """Read the tags of all system and developer turns. Raises `ChatError` 400 for what ``tasks`` does not have.

    Tags in user turns are text like any other: a document must not choose what is done with it.
    """
    texts = [
        (f"messages[{index}].content", message.text)
        for index, message in enumerate(request.messages)
        if message.role in ("system", "developer")
    ]
    called: list[tuple[str, str]] = []
    for field, text in texts:
        for name, value in _TAG.findall(text):
            if name.lower() == "task" and value.strip():
                called.append((field, value.strip().lower()))
            elif name.lower() == "guard" and value.strip(" ,\n"):
                raise bad_request(
                    field, "this server has no guard classifiers, so it cannot promise <guard>; leave the tag out"
                )
    system = "\n\n".join(filter(None, (_TAG.sub("", text).strip() for _, text in texts)))
    if not called:
        return Directives(system)
    field, name = called[0]
    if any(other != name for _, other in called):
        raise bad_request(field, f"two tasks, {called[0][1]} and {called[1][1]}; a request runs one")
    task = ALIASES.get(name, name)
    if task not in tasks:
        offered = sorted({*tasks, *(alias for alias, of in ALIASES.items() if of in tasks)})
        known = "is not available on this server" if task in KNOWN_TASKS else "is not known"
        raise bad_request(field, f"task {name!r} {known}; it has: {', '.join(offered)}")
    if schema_text(request.response_format) is not None:
        raise bad_request("response_format", "a non-empty schema cannot be combined with a task, whose result is raw")
    return Directives(system, task, name)
