"""Schemathesis against the endpoint's own OpenAPI document: whatever it sends is answered as the document says."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serving.conftest import Endpoint

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def test_answers_follow_the_document(endpoint: Endpoint) -> None:
    schema = schemathesis.openapi.from_url(
        f"{endpoint.url}/openapi.json", headers={"authorization": f"Bearer {endpoint.key}"}
    )
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert {(operation.method, operation.path) for operation in operations} == {
        *(("get", "/health"), ("get", "/metrics"), ("get", "/v1/models"), ("get", "/v1/models/{model}")),
        *(("post", "/v1/chat/completions"), ("post", "/v1/pictures")),
    }
    statuses: set[tuple[str, int]] = set()
    for operation in operations:

        @settings(
            max_examples=40 if operation.method == "post" else 8,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def conforms(case: schemathesis.Case) -> None:
            case.headers["authorization"] = f"Bearer {endpoint.key}"
            if isinstance(case.body, dict):  # answers of any length would say nothing more
                case.body |= {"max_tokens": 2} if case.body.get("max_tokens") else {}
            response = case.call(base_url=endpoint.url, timeout=60)
            statuses.add((case.operation.path, response.status_code))
            case.validate_response(response, checks=CHECKS)

        given(case=operation.as_strategy())(conforms)()
    assert ("/v1/chat/completions", 400) in statuses and ("/health", 200) in statuses
