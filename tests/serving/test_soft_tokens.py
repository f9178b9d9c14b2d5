"""The endpoint's encoders make soft tokens where the decoder reads them, and the answer is the one of a run."""

from __future__ import annotations

from typing import Any

from decoder.answer import Answerer, AnswerTask
from decoder.precontext import Precontext
from encoders.adapters.adapting import Adapting, with_features
from encoders.base import MediaInput
from encoders.ocr.encoder import OcrEncoder
from pipelines.settings import load_settings
from tests.serving.conftest import Endpoint
from tests.serving.site import image_part, receipt

QUESTION = "What is the total?"


def told(endpoint: Endpoint, **more: Any) -> Any:
    status, body, _ = endpoint.chat([{"type": "text", "text": QUESTION}, image_part()], **more)
    assert status == 200, body
    return body


def test_an_answer_through_the_endpoint_is_the_one_of_the_same_parts_here(endpoint: Endpoint) -> None:
    settings = load_settings(None, {**endpoint.decoder, "ocr.opening.ocr": "always"}, {}).settings
    encoder = OcrEncoder(with_features(settings.encoder("ocr"), settings.adapters["ocr"]))
    encoder.load()
    [seen] = encoder([MediaInput("p", "receipt.png", "image/png", data=receipt())])
    soft = Adapting("ocr", settings.adapters["ocr"], "cpu")(seen)
    encoder.close()
    assert len(soft) > 10 and seen.result is not None and not seen.failures
    answerer = Answerer(settings.decoder)
    answerer.load()
    entries = [Precontext("ocr", seen.result, "p", tokens) for tokens in (soft, None)]
    here, blind = answerer.answer([AnswerTask("receipt.png", QUESTION, None, (entry,)) for entry in entries])
    answerer.close()
    assert here.text != blind.text and here.prompt_tokens == blind.prompt_tokens + len(soft)
    body = told(endpoint)
    assert body["choices"][0]["message"]["content"].strip() == here.text
    assert body["usage"]["prompt_tokens"] == here.prompt_tokens
    assert body["active_parameters"]["ocr_adapter"] > 100_000


def test_a_task_makes_no_soft_tokens(endpoint: Endpoint) -> None:
    messages = [{"role": "system", "content": "<task>ocr</task>"}, {"role": "user", "content": [image_part()]}]
    status, body, _ = endpoint.chat(messages=messages)
    assert status == 200 and "ocr_adapter" not in body["active_parameters"]
