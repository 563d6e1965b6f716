"""The manifests in deploy/kubernetes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from config.load import load_settings
from config.settings import secret_keys, variable_of

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"
FROM_FILE = re.compile(r"--from-file=(\w+)")
OLDEST, NEWEST = "1.29", "1.37"
MANIFESTS = [
    pytest.param(manifest, id=f"{manifest['kind']}-{manifest['metadata']['name']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for manifest in yaml.safe_load_all(path.read_text())
]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("manifest", MANIFESTS)
def test_manifest_is_valid(manifest: dict[str, Any], version: str) -> None:
    """Each follows the schema of its kind, without a field that is not in it."""
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_wrong_field_is_found() -> None:
    """A probe with a misspelled field is not valid."""
    gateway = _manifest("Deployment", "gateway")
    gateway["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["periodSecond"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(gateway, NEWEST, strict=True)


def test_settings_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The gateways' settings file and environment are such as `parley run` takes, with secrets in files."""
    for variable in _environment("Deployment", "gateway"):
        value = variable["value"]
        if variable["name"].endswith("_FILE"):
            value = str(tmp_path / Path(value).name)
            Path(value).write_text("postgresql://parley@database/parley" if value.endswith("store_url") else "1:secret")
        monkeypatch.setenv(variable["name"], value)
    monkeypatch.setenv("PARLEY_TELEGRAM__WEBHOOK_SECRET", "secret")
    monkeypatch.delenv("PARLEY_TELEGRAM__WEBHOOK_SECRET_FILE")
    settings = load_settings(FOLDER / "parley.toml")
    assert settings.telegram.mode == "webhook"
    assert settings.store.url.get_secret_value().startswith("postgresql+psycopg://")


def test_each_model_server_is_known_to_the_gateways() -> None:
    """The gateways' list names every pod of the model servers by its name that lasts."""
    (listed,) = (
        each["value"] for each in _environment("Deployment", "gateway") if each["name"] == "PARLEY_ENGINE__URL"
    )
    model = _manifest("StatefulSet", "model")["spec"]
    port = _manifest("Service", "model")["spec"]["ports"][0]["port"]
    pods = [f"http://model-{number}.{model['serviceName']}:{port}/v1" for number in range(model["replicas"])]
    assert listed.split(",") == pods


def test_secrets_are_those_that_are_made() -> None:
    """Each secret that a pod reads is one that the command in kustomization.yaml makes, and each is read."""
    made = set(FROM_FILE.findall((FOLDER / "kustomization.yaml").read_text()))
    files = {Path(each["value"]).name for each in _environment("Deployment", "gateway") if _is_file(each["name"])}
    keys = {each["valueFrom"]["secretKeyRef"]["key"] for each in _environment("StatefulSet", "model")}
    assert files | keys == made


def test_containers_have_no_privileges() -> None:
    """No container runs as root, writes to its own files or gains a privilege."""
    for kind, name in (("Deployment", "gateway"), ("StatefulSet", "model")):
        pod = _manifest(kind, name)["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert not context["allowPrivilegeEscalation"]
            assert context["capabilities"] == {"drop": ["ALL"]}


def _manifest(kind: str, name: str) -> dict[str, Any]:
    return next(each for each in _all() if (each["kind"], each["metadata"]["name"]) == (kind, name))


def _all() -> Iterator[dict[str, Any]]:
    for path in FOLDER.glob("*.yaml"):
        yield from (each for each in yaml.safe_load_all(path.read_text()) if "metadata" in each)


def _environment(kind: str, name: str) -> list[dict[str, Any]]:
    environment: list[dict[str, Any]] = _manifest(kind, name)["spec"]["template"]["spec"]["containers"][0]["env"]
    return environment


def _is_file(variable: str) -> bool:
    """Whether it names the file of a secret."""
    return variable.removesuffix("_FILE") in {variable_of(key) for key in secret_keys()}
