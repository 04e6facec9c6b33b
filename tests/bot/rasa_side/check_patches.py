"""The patched action call behaves as Rasa's own. Run inside `.venv-bot` by `test_rasa_side.py`."""

# ruff: noqa: PT009, PT027  # unittest: pytest is not in `.venv-bot`

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import json
import logging
import random
import time
import unittest
from typing import Any, ClassVar
from unittest import mock

import aiohttp
import jsonschema
import rasa
import rasa.core.policies.rule_policy
import rasa.core.processor
from rasa.core.actions.action import RemoteAction
from rasa.core.policies.rule_policy import RulePolicy
from rasa.engine.exceptions import GraphRunError
from rasa.engine.graph import ExecutionContext, GraphComponent, GraphSchema, SchemaNode
from rasa.engine.runner.dask import DaskGraphRunner
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, ActiveLoop, Event, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import RasaException
from rasa.shared.utils.common import all_subclasses
from rasa.shared.utils.schemas.events import EVENTS_SCHEMA
from rasa.utils.endpoints import ClientResponseError, EndpointConfig

ORIGINAL = RemoteAction._validate_action_result
ORIGINAL_RESOLVE = Event.resolve_by_type
ORIGINAL_GRAPH = DaskGraphRunner.run
ORIGINAL_KEYS = RulePolicy._get_possible_keys
ORIGINAL_REQUEST = EndpointConfig.request
ORIGINAL_FORMAT = RemoteAction._action_call_format
ORIGINAL_IS_EMPTY = Domain.is_empty
ORIGINAL_IN_WORDS = RulePolicy.format_tracker_states

from bot import rasa_patches  # noqa: E402  # after the original was taken
from kit.calls import BlockingLine, Place  # noqa: E402  # stands below what must come after the originals were taken

GOOD = [
    {},
    {"events": [], "responses": []},
    {"events": [{"event": "slot", "name": "email", "value": None}], "responses": [{"custom": {"type": "text"}}]},
    {"events": [{"event": "bot", "text": "x", "data": {}, "metadata": {}}]},
    {"events": None or [], "responses": [{"text": "hello"}]},
]
BAD = [
    [],
    {"responses": "text"},
    {"responses": ["text"]},
    {"events": {}},
    {"events": [{"event": "slot"}]},
    {"events": [{"name": "email"}]},
    {"events": [{"event": "no such event"}]},
    {"events": [{"event": ["slot"], "name": "email", "value": 1}]},
    {"events": [{"event": "slot", "name": "email", "value": None}, "text"]},
    {"events": [{"event": "slot", "name": "email", "value": None, "timestamp": "now"}]},
    {"events": None},
]
ANSWER = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
NAMES = [one["properties"]["event"]["const"] for one in EVENTS_SCHEMA["items"]["oneOf"]]
FIELDS: dict[str, Any] = {
    "name": "email",
    "value": None,
    "entities": [],
    "timestamp": 1.0,
    "text": 7,
    "policy": None,
    "data": [],
}


class Validation(unittest.TestCase):
    """Same verdict and same words as the original."""

    def setUp(self) -> None:
        rasa_patches.apply()
        self.action = RemoteAction("action_any", None)

    def test_what_the_original_accepts_is_accepted(self) -> None:
        for result in GOOD:
            with self.subTest(result=result):
                self.assertTrue(ORIGINAL(self.action, result))
                self.assertTrue(self.action._validate_action_result(result))

    def test_what_the_original_refuses_is_refused_in_the_same_words(self) -> None:
        for result in BAD:
            with self.subTest(result=result):
                with self.assertRaises(jsonschema.ValidationError) as before:
                    ORIGINAL(self.action, result)
                with self.assertRaises(jsonschema.ValidationError) as after:
                    self.action._validate_action_result(result)
                self.assertEqual(str(before.exception), str(after.exception))

    def test_every_kind_of_event_gets_the_verdict_of_the_original(self) -> None:
        for name in NAMES:
            for count in range(len(FIELDS) + 1):
                result = {"events": [{"event": name, **dict(list(FIELDS.items())[:count])}]}
                with self.subTest(result=result):
                    self.assertEqual(self.verdict(ORIGINAL, result), self.verdict(None, result))

    def verdict(self, original: Any, result: Any) -> str:
        """What is said of a result; nothing where it is valid."""
        try:
            if original is None:
                self.action._validate_action_result(result)
            else:
                original(self.action, result)
        except jsonschema.ValidationError as error:
            return str(error)
        return ""


class Events(unittest.TestCase):
    """Names lead to the same classes, and to the same errors."""

    def setUp(self) -> None:
        rasa_patches.apply()

    def test_every_name_leads_to_the_class_of_the_original(self) -> None:
        names = {kind.type_name for kind in all_subclasses(Event)} | {"topic"}
        for name in sorted(filter(None, names)):
            for _ in range(2):
                self.assertIs(Event.resolve_by_type(name), ORIGINAL_RESOLVE(name))

    def test_an_unknown_name_is_refused_or_gets_the_default_each_time(self) -> None:
        for _ in range(2):
            self.assertIs(Event.resolve_by_type("no such event", Event), Event)
            with self.assertRaisesRegex(ValueError, "no such event"):
                Event.resolve_by_type("no such event")


class Step(GraphComponent):
    """Adds its own name to what it is given."""

    def __init__(self, name: str, error: Any) -> None:
        self.name, self.error = name, error

    @classmethod
    def create(cls, config: Any, model_storage: Any, resource: Any, execution_context: Any) -> Step:
        """A step of the name in the configuration."""
        return cls(config["name"], config.get("error"))

    def run(self, **given: Any) -> list:
        """What was given, by parameter, and its own name."""
        if self.error is not None:
            raise self.error
        return [*(item for key in sorted(given) for item in given[key]), self.name]


class Graph(unittest.TestCase):
    """Same outputs and same errors as by Dask."""

    NEEDS: ClassVar = {
        "tokens": {"a": "__message__"},
        "features": {"a": "tokens"},
        "joined": {"a": "features", "b": "tokens", "c": "__message__"},
        "other": {"a": "__tracker__"},
        "last": {"b": "joined", "a": "other"},
        "aside": {"a": "last"},
    }

    def setUp(self) -> None:
        rasa_patches.apply()

    def runner(self, **errors: Exception) -> DaskGraphRunner:
        """A runner of these steps, declared in another order than they can run in."""
        nodes = {
            name: SchemaNode(
                needs,
                Step,
                "create",
                "run",
                {"name": name, "error": errors.get(name)},
                eager=True,
                is_target=name == "last",
            )
            for name, needs in reversed(list(self.NEEDS.items()))
        }
        schema = GraphSchema(nodes)
        return DaskGraphRunner(schema, None, ExecutionContext(schema), [])

    def said(self, run: Any, runner: DaskGraphRunner, targets: Any, inputs: Any) -> Any:
        """Its outputs, or the kind of error."""
        try:
            return run(runner, inputs, targets)
        except Exception as error:  # noqa: BLE001  # of which kind it is, is what is compared
            return type(error)

    def test_every_target_gets_what_it_got(self) -> None:
        inputs = {"__message__": ["hello"], "__tracker__": ["tracker"]}
        runner = self.runner()
        for targets in (None, ["tokens"], ["last"], ["aside", "joined"], ["last", "__message__"], ["nothing"]):
            for given in (
                inputs,
                {"__message__": ["hello"]},
                {**inputs, "tokens": ["instead"]},
                {"__message__": "tokens"},
            ):
                with self.subTest(targets=targets, given=given):
                    before = self.said(ORIGINAL_GRAPH, runner, targets, given)
                    for _ in range(2):
                        self.assertEqual(before, self.said(DaskGraphRunner.run, runner, targets, given))

    def test_an_error_of_a_step_is_the_same(self) -> None:
        for error in (ValueError("x"), RasaException("x"), GraphRunError("x")):
            runner = self.runner(joined=error)
            before = self.said(ORIGINAL_GRAPH, runner, ["last"], {"__message__": [], "__tracker__": []})
            after = self.said(DaskGraphRunner.run, runner, ["last"], {"__message__": [], "__tracker__": []})
            self.assertTrue(isinstance(before, type) and before is after, f"{before} {after}")


class Rules(unittest.TestCase):
    """The same rules fit a conversation."""

    def test_any_conversation_is_fitted_by_the_same_rules(self) -> None:
        rasa_patches.apply()
        draw = random.Random(7)
        policy = RulePolicy.__new__(RulePolicy)

        def state(begins: bool) -> dict:
            made: dict = {} if begins else {"prev_action": {"action_name": draw.choice("lmn")}}
            if draw.random() < 0.7:
                made["user"] = {draw.choice(["intent", reads]): draw.choice("xyz")}
            if draw.random() < 0.3:
                made["slots"] = {"offer": draw.choice(["should_not_be_set", [1.0, 0.0]])}
            return made

        reads = "intent"

        def states(length: int) -> list:
            return [state(begins=number == 0 and draw.random() < 0.5) for number in range(length)]

        fitting = 0
        for _ in range(300):
            reads = draw.choice(["intent", "text"])
            lookup = {json.dumps(states(draw.randint(1, 4))): "action" for _ in range(draw.choice([0, 20]))}
            reads = "text"  # conversations have texts, most rules do not
            said = json.loads(json.dumps(states(draw.randint(0, 6))))
            for _ in range(2):
                before = ORIGINAL_KEYS(policy, lookup, said)
                self.assertEqual(before, RulePolicy._get_possible_keys(policy, lookup, said))
                fitting += bool(before)
                if lookup:  # rules are taken out while they are learnt
                    del lookup[draw.choice(sorted(lookup))]
        self.assertGreater(fitting, 50)


class Failures(unittest.TestCase):
    """A failed action is noted, and raises as before."""

    def test_a_failed_action_is_noted_and_still_raises(self) -> None:
        rasa_patches.apply()
        noted: list = []
        token = rasa_patches.failed_actions.set(noted)
        try:
            with self.assertRaises(AttributeError):  # no tracker
                asyncio.run(RemoteAction("action_any", None).run(None, None, None, None))
        finally:
            rasa_patches.failed_actions.reset(token)
        self.assertEqual(noted, ["action_any"])


class Returns(unittest.TestCase):
    """An action server that is away is asked again; one that fails is not."""

    def setUp(self) -> None:
        rasa_patches.apply()

    def run_against(self, *answers: bytes) -> tuple[int, list[str], Any]:
        """Runs an action whose server gives these answers one after the other, the last one for ever; empty: it hangs up.

        Returns:
            how often it was asked, the actions that were noted as failed, what came of it.
        """

        async def call() -> tuple[int, list[str], Any]:
            asked = 0

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                nonlocal asked
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answers[min(asked, len(answers) - 1)])
                asked += 1
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            endpoint = EndpointConfig(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            noted: list[str] = []
            token = rasa_patches.failed_actions.set(noted)
            tracker = DialogueStateTracker.from_events("c", [])
            try:
                made: Any = await RemoteAction("action_any", endpoint).run(None, None, tracker, Domain.empty())
            except RasaException as error:
                made = error
            finally:
                rasa_patches.failed_actions.reset(token)
                server.close()
            return asked, noted, made

        return asyncio.run(call())

    def test_it_is_asked_again_until_it_is_back(self) -> None:
        for away in (b"", ANSWER % (b"502 Bad Gateway", 0, b""), ANSWER % (b"503 Service Unavailable", 0, b"")):
            asked, noted, made = self.run_against(away, away, ANSWER % (b"200 OK", 14, b'{"events": []}'))
            self.assertEqual((asked, noted, made), (3, [], []))

    def test_what_fails_is_not_tried_again(self) -> None:
        asked, noted, made = self.run_against(ANSWER % (b"500 Internal Server Error", 0, b""))
        self.assertEqual((asked, noted), (1, ["action_any"]))
        self.assertIsInstance(made, RasaException)

    def test_it_is_not_waited_for_longer_than_the_front_door_waits(self) -> None:
        with mock.patch.object(rasa_patches, "ACTION_RETURN_SECONDS", 0.5):
            asked, noted, made = self.run_against(b"")
        self.assertGreater(asked, 1)
        self.assertEqual(noted, ["action_any"])
        self.assertIsInstance(made, RasaException)


ANSWERS = {
    "json": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n" + b'{"events": []}',
    "pieces": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n',
    "last": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "text": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
    "refused": b'HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"error": "x"}',
    "failed": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    "garbage": b"garbage\r\n\r\n",
    "nothing": b"",
    "silence": None,
}


class Server:
    """Answers every call of a path as `ANSWERS` has it; keeps what was sent and how many connections there were."""

    async def __aenter__(self) -> Server:
        self.opened: list = []
        self.bodies: list = []
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self.opened:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened.append(writer)
        while line := await reader.readline():
            answer = ANSWERS[line.split()[1].decode().lstrip("/")]
            length = 0
            while (header := await reader.readline()).strip():
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            self.bodies.append(json.loads(await reader.readexactly(length)))
            if answer is not None:
                writer.write(answer)
            if answer in (b"", ANSWERS["garbage"], ANSWERS["last"]):
                writer.close()
                return


class Calls(unittest.TestCase):
    """Calls of one endpoint share their connection, and answer and fail as before."""

    BODY: ClassVar = {"text": "日本語 / \u2028", "numbers": [1, 0.1, 1e-9, None, True], "nested": {"a": {}}}

    def setUp(self) -> None:
        rasa_patches.apply()

    async def said(self, request: Any, endpoint: EndpointConfig, **more: Any) -> Any:
        """What is answered, or the kind of error with what is known of it."""
        try:
            return await request(endpoint, json=self.BODY, method="post", compress=False, **more)
        except aiohttp.ClientConnectionError:
            return "connection"
        except ClientResponseError as error:
            return error.status, error.message, error.text
        except asyncio.TimeoutError:  # noqa: UP041  # Python 3.10, where it is none of the built-in ones
            return "timeout"
        except aiohttp.ClientError:
            return "connection"

    def test_calls_answer_and_fail_as_before(self) -> None:
        async def calls() -> None:
            async with Server() as server:
                for path in ANSWERS:
                    endpoint = EndpointConfig(f"{server.url}/{path}", headers={"X-Any": "1"})
                    before = await self.said(ORIGINAL_REQUEST, endpoint, timeout=0.3)
                    for _ in range(2):
                        with self.subTest(path=path):
                            self.assertEqual(before, await self.said(EndpointConfig.request, endpoint, timeout=0.3))
                self.assertTrue(all(body == self.BODY for body in server.bodies))

        asyncio.run(calls())

    def test_calls_share_a_connection_until_it_is_lost(self) -> None:
        async def calls() -> None:
            async with Server() as server:
                endpoint = EndpointConfig(f"{server.url}/json")
                for _ in range(3):
                    self.assertEqual(await endpoint.request(json={}), {"events": []})
                self.assertEqual(len(server.opened), 1)
                server.opened[0].close()  # the other end is started again, and this end hears of it
                (lines,) = endpoint._lines.values()
                while lines._idle[0].open:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                self.assertEqual(await endpoint.request(json={}), {"events": []})
                both = await asyncio.gather(*(endpoint.request(json={}) for _ in range(2)))
                self.assertEqual(both, [{"events": []}] * 2)
                self.assertEqual(len(server.opened), 3)

        asyncio.run(calls())

    def test_nobody_there_is_told_as_before(self) -> None:
        async def call() -> None:
            with self.assertRaises(aiohttp.ClientConnectionError):
                await EndpointConfig("http://127.0.0.1:9").request(json={})

        asyncio.run(call())

    def test_what_is_more_than_a_plain_call_goes_the_old_way(self) -> None:
        async def call(endpoint: EndpointConfig, **how: Any) -> None:
            went = AssertionError("the old way")
            with (
                mock.patch.object(rasa_patches, "_original_request", side_effect=went),
                self.assertRaises(AssertionError),
            ):
                await endpoint.request(**how)

        plain = "http://127.0.0.1:9"
        asyncio.run(call(EndpointConfig(plain, params={"a": "b"}), json={}))
        asyncio.run(call(EndpointConfig(plain, token="secret"), json={}))
        asyncio.run(call(EndpointConfig("https://127.0.0.1:9"), json={}))
        asyncio.run(call(EndpointConfig(plain), json={}, compress=True))
        asyncio.run(call(EndpointConfig(plain), method="get"))


class WaitingCalls(unittest.TestCase):
    """The line of code that waits, to a server in another thread."""

    def test_a_line_is_kept_and_a_lost_one_is_made_again(self) -> None:
        async def serve(path: str, calls: Any) -> Any:
            async with Server() as server:
                line = BlockingLine(Place(f"{server.url}/{path}"))
                made = await asyncio.to_thread(calls, line)
                line.close()
                return made, len(server.opened)

        def twice(line: BlockingLine) -> list:
            return [line.post(b"{}", 1.0) for _ in range(2)]

        self.assertEqual(asyncio.run(serve("json", twice)), ([(200, b'{"events": []}')] * 2, 1))
        self.assertEqual(asyncio.run(serve("last", twice)), ([(200, b"{}")] * 2, 2))
        self.assertEqual(asyncio.run(serve("failed", twice)), ([(500, b"")] * 2, 1))

    def test_what_is_no_answer_is_an_error(self) -> None:
        async def serve(path: str) -> None:
            async with Server() as server:
                line = BlockingLine(Place(f"{server.url}/{path}"))
                with self.assertRaises(OSError):
                    await asyncio.to_thread(line.post, b"{}", 0.2)

        for path in ("garbage", "nothing", "silence"):
            with self.subTest(path=path):
                asyncio.run(serve(path))

    def test_an_answer_that_drips_is_late(self) -> None:
        """All that Rasa does waits for this line."""

        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            with contextlib.suppress(ConnectionError):
                for _ in range(30):
                    writer.write(b"x: y\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.1)
            writer.close()

        async def call() -> float:
            async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
                line = BlockingLine(Place(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
                began = time.monotonic()
                with self.assertRaises(OSError):
                    await asyncio.to_thread(line.post, b"{}", 0.3)
                return time.monotonic() - began

        self.assertLess(asyncio.run(call()), 1)


class Patience(unittest.TestCase):
    """An action is waited for as long as the setting says."""

    def test_an_action_that_says_nothing_fails_in_time(self) -> None:
        async def call() -> list:
            noted: list = []
            rasa_patches.failed_actions.set(noted)
            async with Server() as server:
                action = RemoteAction("action_any", EndpointConfig(f"{server.url}/silence"))
                with self.assertRaises(asyncio.TimeoutError):
                    await action.run(None, None, DialogueStateTracker.from_events("c", []), Domain.empty())
            return noted

        self.addCleanup(rasa_patches.apply)
        with mock.patch.dict("os.environ", KOTAE_ACTION_TIMEOUT_SECONDS="0.2"):
            rasa_patches.apply()
            self.assertEqual(asyncio.run(asyncio.wait_for(call(), 5)), ["action_any"])


class CallFormat(unittest.TestCase):
    """What an action is sent."""

    DOMAIN = Domain.from_dict({"forms": {"form_a": {"required_slots": []}}, "actions": ["action_any"]})

    def tracker(self, *events: Event) -> DialogueStateTracker:
        """A conversation."""
        said = [ActionExecuted("action_listen"), UserUttered("hello", {"name": "greet"}), *events]
        return DialogueStateTracker.from_events("x", said, self.DOMAIN.slots)

    def sent(self, original: bool, tracker: DialogueStateTracker) -> dict:
        """To an action of an endpoint that is sent no domain."""
        action = RemoteAction("action_any", EndpointConfig("http://127.0.0.1:9", enable_selective_domain=True))
        form = ORIGINAL_FORMAT if original else RemoteAction._action_call_format
        return form(action, tracker, self.DOMAIN)

    def test_events_are_sent_while_a_form_is_active(self) -> None:
        rasa_patches.apply()
        active = self.tracker(ActiveLoop("form_a"))
        self.assertEqual(self.sent(True, active), self.sent(False, active))
        over = self.tracker(ActiveLoop("form_a"), ActiveLoop(None))
        before, after = self.sent(True, over), self.sent(False, over)
        self.assertEqual(len(before["tracker"].pop("events")), 4)
        self.assertEqual(after["tracker"].pop("events"), [])
        self.assertEqual(before, after)

    def test_an_empty_domain_is_empty_still(self) -> None:
        rasa_patches.apply()
        for domain in (Domain.empty(), self.DOMAIN):
            for _ in range(2):
                self.assertEqual(domain.is_empty(), ORIGINAL_IS_EMPTY(domain))


class Copies(unittest.TestCase):
    """Where nothing is copied any more, only debug lines were given the copies."""

    def test_every_copy_is_for_a_debug_line(self) -> None:
        for module in (rasa.core.processor, rasa.core.policies.rule_policy):
            tree = ast.parse(inspect.getsource(module))
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            debug = [call for call in calls if ast.unparse(call.func).endswith("logger.debug")]
            inside = {id(node) for call in debug for node in ast.walk(call)}
            copies = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "copy"]
            self.assertTrue(copies)
            for copy in copies:
                self.assertIn(id(copy), inside, f"{module.__name__}, line {copy.lineno}")

    def test_a_debug_line_that_is_written_has_a_copy(self) -> None:
        rasa_patches.apply()
        thing: list = [[]]
        self.assertIs(rasa.core.processor.copy.deepcopy(thing), thing)
        with mock.patch.object(logging.getLogger("rasa"), "isEnabledFor", return_value=True):
            self.assertIsNot(rasa.core.processor.copy.deepcopy(thing), thing)

    def test_states_are_put_into_words_for_a_debug_line_alone(self) -> None:
        tree = ast.parse(inspect.getsource(rasa.core.policies.rule_policy))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        debug = {
            id(node) for call in calls if ast.unparse(call.func).endswith("logger.debug") for node in ast.walk(call)
        }
        named = {
            ast.unparse(node.targets[0])
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and "format_tracker_states(" in ast.unparse(node.value)
        }
        self.assertEqual(len([call for call in calls if ast.unparse(call.func).endswith("format_tracker_states")]), 1)
        (words,) = named
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == words and isinstance(node.ctx, ast.Load):
                self.assertIn(id(node), debug)

    def test_a_debug_line_that_is_written_has_the_words(self) -> None:
        rasa_patches.apply()
        states = [{"user": {"intent": "greet"}, "slots": {"lang": (1.0,)}}, {}]
        self.assertFalse(RulePolicy.format_tracker_states(states))
        with mock.patch.object(logging.getLogger("rasa"), "isEnabledFor", return_value=True):
            self.assertEqual(RulePolicy.format_tracker_states(states), ORIGINAL_IN_WORDS(states))


class Version(unittest.TestCase):
    """Written for one version."""

    def test_another_rasa_is_refused(self) -> None:
        with mock.patch.object(rasa, "__version__", "3.6.22"), self.assertRaisesRegex(RasaException, "3.6.22"):
            rasa_patches.apply()


if __name__ == "__main__":
    unittest.main()
