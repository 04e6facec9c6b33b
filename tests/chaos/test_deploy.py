"""What is in deploy/ is what its readers take: Compose, Kubernetes, HAProxy; and it names what there is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import yaml

from cli import processes
from deploy import local
from kit.settings import Settings
from tests.support import KOTAE, ROOT

DEPLOY = ROOT / "deploy"
OF_OTHERS = {"KOTAE_IMAGE", "KOTAE_COMPANY_FOLDER"}
"""Variables of compose.yml itself, not of Kotae."""


def documents() -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yml").read_text()) if one]


def compose() -> str:
    """compose.yml as Compose reads it, each variable replaced."""

    def value(found: re.Match[str]) -> str:
        return found.group(1) or "given"

    return re.sub(r"\$\{[A-Z_]+(?::-([^}]*)|:\?[^}]*)?\}", value, (DEPLOY / "compose.yml").read_text())


def checked(text: str) -> list[str]:
    """Services of a Compose file.

    Raises:
        ValueError: the Compose specification does not allow it.
    """
    read = compose_spec.PyOptions(apply_merge=True).from_yaml(text)
    read.validate()
    return list(read.service_names())


def test_the_compose_file_is_one() -> None:
    """By the Compose specification."""
    assert {"postgres", "redis", "migrate", "haproxy"} < set(checked(compose()))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("    stop_grace_period: 30s", "    stop_grace: 30s"),
        ("condition: service_healthy", "condition: service_fine"),
        ("networks: [inside]", "networks: [elsewhere]"),
        ("restart: on-failure", "restart: sometimes"),
    ],
)
def test_a_wrong_compose_file_is_refused(right: str, wrong: str) -> None:
    """So that the test above means something: an unknown key, value or network."""
    assert right in compose()
    with pytest.raises(ValueError, match=r"\S"):
        checked(compose().replace(right, wrong))


def test_compose_runs_two_of_each_process() -> None:
    """Every process of the stack, twice, each at the address HAProxy knows."""
    services = yaml.safe_load((DEPLOY / "compose.yml").read_text())["services"]
    for name in local.SERVICES:
        both = [one for one in services.values() if one.get("command") == ["serve", name]]
        assert len(both) == 2, name
        for number in (1, 2):
            address = services["haproxy"]["environment"][f"KOTAE_{name.upper()}_{number}"]
            assert address.partition(":")[0] in services


def test_compose_gives_every_process_any_setting() -> None:
    """Whatever stands in the file that is named beside the secrets: a process would start, and go without what its company has set."""
    services = yaml.safe_load((DEPLOY / "compose.yml").read_text())["services"]
    ours = [one for one in services.values() if "kotae" in one["image"]]
    assert len(ours) == 1 + 2 * len(local.SERVICES)
    assert [one for one in ours if one["env_file"] != [".env"]] == []


@pytest.mark.parametrize("document", documents(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_a_kubernetes_object_is_one(document: dict[str, Any]) -> None:
    """By the schema of its kind, strictly: an unknown field is refused."""
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**document, "spce": {}}, kubernetes_validate.latest_version(), strict=True)


def test_kubernetes_runs_two_of_each_process_and_finds_them() -> None:
    """Each deployment serves a process there is, on the port its probes, its service and its neighbours use."""
    found = {one["metadata"]["name"]: one for one in documents() if one["kind"] == "Deployment"}
    services = {one["metadata"]["name"]: one for one in documents() if one["kind"] == "Service"}
    (config,) = [one["data"] for one in documents() if one["kind"] == "ConfigMap"]
    defaults = Settings()
    for name in local.SERVICES:
        deployment = found[f"kotae-{name.replace('_', '-')}"]
        service = services[deployment["metadata"]["name"]]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert deployment["spec"]["replicas"] == 2
        assert container["args"] == ["serve", name]
        port = getattr(defaults, f"{name}_port")
        assert container["ports"][0]["containerPort"] == service["spec"]["ports"][0]["port"] == port
        labels = deployment["spec"]["template"]["metadata"]["labels"].items()
        assert service["spec"]["selector"].items() <= labels
        if name != "api":
            assert config[f"KOTAE_{name.upper()}_SERVER"] == f"http://{service['metadata']['name']}:{port}"


def test_no_service_of_kubernetes_changes_a_setting() -> None:
    """It gives each pod `<SERVICE>_PORT=tcp://…` of every service there is, by names that some of ours have: no process would start."""
    links = {
        f"{one['metadata']['name'].upper().replace('-', '_')}_PORT" for one in documents() if one["kind"] == "Service"
    }
    assert links & {f"KOTAE_{field.upper()}" for field in Settings.model_fields}
    pods = [one["spec"]["template"]["spec"] for one in documents() if "template" in one.get("spec", {})]
    assert len(pods) == 1 + len(local.SERVICES)
    assert [pod for pod in pods if pod["enableServiceLinks"]] == []


@pytest.mark.parametrize("name", ["compose.yml", "kubernetes.yml", "Containerfile"])
def test_every_variable_is_a_setting(name: str) -> None:
    """A misspelt one would be ignored."""
    known = {f"KOTAE_{field.upper()}" for field in Settings.model_fields} | OF_OTHERS
    known |= {f"KOTAE_{service.upper()}_{number}" for service in local.SERVICES for number in (1, 2)}
    known |= {f"KOTAE_FRONT_{service.upper()}" for service in local.SERVICES}
    assert set(re.findall(r"\bKOTAE_[A-Z0-9_]+", (DEPLOY / name).read_text())) <= known


def test_haproxy_takes_its_configuration() -> None:
    """The same file as in compose.yml, with addresses of loopback; a wrong word is refused."""
    local.need("haproxy")
    addresses = {f"KOTAE_FRONT_{one.upper()}": f"127.0.0.1:{8000 + at}" for at, one in enumerate(local.SERVICES)}
    addresses |= {f"KOTAE_{one.upper()}_{number}": "127.0.0.1:9" for one in local.SERVICES for number in (1, 2)}

    def check(file: Path) -> int:
        command = [local.need("haproxy"), "-c", "-q", "-f", str(file)]
        return subprocess.run(command, env={**os.environ, **addresses}, check=False, capture_output=True).returncode

    assert check(DEPLOY / "haproxy.cfg") == 0
    assert check(DEPLOY / "compose.yml") != 0


def test_the_image_copies_what_there_is() -> None:
    """The container image cannot be built in a test; what it copies and runs exists."""
    text = (DEPLOY / "Containerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for word in line.split():
            assert word == "${COMPANY}" or (ROOT / word).exists(), word
    packages = re.search(r"^packages = (\[.*?\])", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert packages is not None
    for name in {one.partition(".")[0] for one in yaml.safe_load(packages.group(1))}:
        assert f"COPY {name} {name}\n" in text


EVERYTHING = """
import importlib, pathlib, pkgutil, sys
for room in sys.argv[1:]:
    package = importlib.import_module(room)
    assert pathlib.Path(package.__file__).is_relative_to(pathlib.Path.cwd()), package.__file__
    for found in pkgutil.walk_packages(package.__path__, room + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
"""


def test_what_the_image_copies_is_enough(tmp_path: Path) -> None:
    """With those files alone, and without what .containerignore keeps out, every module is found and the sample company is read."""
    ignored = shutil.ignore_patterns(
        *(word.removeprefix("**/") for word in (ROOT / ".containerignore").read_text().split())
    )
    text = (DEPLOY / "Containerfile").read_text().replace("${COMPANY}", "demo")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            into = tmp_path / (source if target == "./" else target)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, into, ignore=ignored)
            else:
                shutil.copy(ROOT / source, into)
    rooms = [
        "kit",
        "knowledge_base",
        "accounts",
        "conversations",
        "escalations",
        "actions",
        "api",
        "cli",
        "deploy",
    ]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "KOTAE_HOME": str(tmp_path / "home")}
    environment["KOTAE_COMPANY"] = str(tmp_path / "company")
    for command in (
        ["-c", EVERYTHING, *rooms],
        ["-c", "import migrations.upgrade"],
        ["-m", "cli.main", "policy", "check"],
    ):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-2000:]


def test_what_the_image_runs_is_a_process() -> None:
    """`kotae serve` knows each process of the stack."""
    assert set(processes.stack(Settings(), "postgresql://x", Path("m"))) == set(local.SERVICES)


def test_a_process_by_itself_needs_a_server(tmp_path: Path) -> None:
    """It does not start an embedded database of its own; the line names what is missing."""
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    environment["KOTAE_HOME"] = str(tmp_path)
    done = subprocess.run(
        [*KOTAE, "serve", "api"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1), done.stderr
    assert "DATABASE_URL" in done.stderr
