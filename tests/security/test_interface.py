"""The interface as its document says: whatever is sent, what comes back is in the document, and never a fault of ours."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.security.conftest import Door, bearer
from tests.security.test_conversations import begun

EXAMPLES = 12
"""Requests of each kind that are made up in a test run; `--hypothesis-seed` and a larger number find more."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def proof_for(path: str, door: Door, key: str) -> dict[str, str]:
    """What proves a caller: a conversation of its own for each operation, since one of them ends its token; else the backend's key."""
    if path.startswith("/v1/conversations/{conversation_id}"):
        mine = begun(door)
        return bearer(mine["token"]) | {"x-conversation": mine["conversation_id"]}
    return bearer(key)


Operation = schemathesis.schemas.APIOperation


def operations(door: Door) -> list[Operation]:
    schema = schemathesis.openapi.from_url(f"{door.url}/openapi.json")
    return [each.ok() for each in schema.get_all_operations()]


class Attack:
    """Sends what is made up for one operation, proved and unproved in turn, and judges what comes back."""

    def __init__(self, operation: Operation, proof: dict[str, str]) -> None:
        self.operation, self.proof, self.tried = operation, proof, 0
        # No knowledge base and no bot run here: where they are asked, 503 is the right answer.
        away = operation.path.startswith("/v1/articles") or operation.path == "/readyz"
        self.checks = [check for check in CHECKS if not (away and check is not_a_server_error)]

    def one(self, case: Case) -> None:
        self.tried += 1
        if "conversation_id" in (case.path_parameters or {}) and self.tried % 2:
            case.path_parameters["conversation_id"] = self.proof["x-conversation"]
        proof = {} if self.tried % 5 == 0 else {"Authorization": self.proof.get("Authorization", "")}
        case.validate_response(case.call(headers=proof, timeout=20), checks=self.checks)

    def run(self) -> None:
        quick = settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        quick(given(self.operation.as_strategy())(lambda case: self.one(case)))()


def test_everything_in_the_document(door: Door, key: str) -> None:
    """Every operation, with addresses, parameters and bodies made up from the document."""
    tried = 0
    for operation in operations(door):
        attack = Attack(operation, proof_for(operation.path, door, key))
        attack.run()
        tried += attack.tried
    assert tried > 100
