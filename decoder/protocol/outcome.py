"""From what the decoder answered to the reply of the chat API: text or calls, probabilities, evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from decoder.chat import ChatResult, TokenLogprob
from decoder.evidence import Evidence
from decoder.protocol.errors import ChatError, bad_request
from decoder.protocol.request import CompletionRequest
from decoder.protocol.response import Reply, Usage
from decoder.protocol.results import bounds
from decoder.sequence import DecoderError, DecoderUnavailable, Overloaded


def describe(reply: Reply, request: CompletionRequest, result: ChatResult) -> None:
    """Fill in the reply."""
    reply.content = None if result.tool_calls else result.text or ""
    reply.tool_calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in result.tool_calls
    ]
    reply.finish_reason = result.finish_reason
    usage = result.usage
    reply.usage = Usage(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
    reply.logprobs = logprobs_json(result.logprobs, request)
    reply.extras["confidence"] = round(result.confidence, 4)
    reply.extras["evidence"] = _evidence(result)
    if result.truncated:
        reply.extras["note"] = result.note


def logprobs_json(tokens: Sequence[TokenLogprob] | None, request: CompletionRequest) -> dict[str, Any] | None:
    """The probabilities of tokens as the API has them; None when they were not asked for."""
    if not request.logprobs:
        return None
    return {"content": [_token(token) | {"top_logprobs": [_token(t) for t in token.top]} for token in tokens or ()]}


def refused(error: DecoderError) -> ChatError:
    """What the decoder cannot or will not do, as an error of the API."""
    if isinstance(error, Overloaded):
        return ChatError(429, str(error), retry_after=error.retry_after)
    if isinstance(error, DecoderUnavailable):
        return ChatError(503, str(error), retry_after=5)
    return bad_request(getattr(error, "field", None), str(error))


def _token(token: TokenLogprob) -> dict[str, Any]:
    return {"token": token.token, "bytes": list(token.bytes), "logprob": token.logprob}


def _evidence(result: ChatResult) -> list[dict[str, Any]]:
    """One item per value of a structured answer, or one for a text, whose path is ""."""
    places: Mapping[str, list[dict[str, Any]]] = defaultdict(list)
    for evidence in result.evidence:
        places[evidence.path].append(_place(evidence))
    if result.leaves:
        return [
            {
                "path": leaf.path,
                "value": leaf.value,
                "confidence": round(leaf.confidence, 4),
                "places": places.get(leaf.path) if leaf.seen else None,
            }
            for leaf in result.leaves
        ]
    if not result.evidence:
        return []
    return [{"path": "", "value": result.text, "confidence": round(result.confidence, 4), "places": places[""]}]


def _place(evidence: Evidence) -> dict[str, Any]:
    """Page and bounds, or a stretch of time and who speaks."""
    place: dict[str, Any] = {
        "part_id": evidence.part_id,
        "text": evidence.value,
        "confidence": round(evidence.confidence, 4),
    }
    if evidence.start is not None:
        place["timestamp"] = [evidence.start, evidence.end]
        place["speaker"] = evidence.speaker
    else:
        place["page"] = evidence.page
        place["bounds"] = bounds(evidence.quad) if evidence.quad is not None else None
    return place
