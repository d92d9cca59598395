"""Promoted bytes through real DVC: only what the remote truly gives back counts."""

import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from dvc.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import ExitCode, MissingArtifactError, StageError, UsageError
from evalsuite.core.identity import read_manifest, verify_manifest
from tasks.paths import ArtifactPaths
from tasks.registry.store import materialise, pointer_path, rehearse, store, write_config
from tests.tasks.registry.project import lose_bytes, make_project, run_dvc


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("store") / "project").root


@pytest.fixture
def paths(template: Path, tmp_path: Path) -> ArtifactPaths:
    shutil.copytree(template, tmp_path / "project")
    return ArtifactPaths(tmp_path / "project")


def trained(paths: ArtifactPaths) -> str:
    return read_manifest(paths.export("full"), "x").identity


def object_with(folder: Path, content: bytes) -> Path:
    return next(path for path in folder.rglob("*") if path.is_file() and path.read_bytes() == content)


def damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)
    path.chmod(0o444)


def test_plain_dvc_pull_brings_the_promoted_bytes_back(paths: ArtifactPaths) -> None:
    identity = trained(paths)
    store("full", identity, paths, None)
    lose_bytes(paths)
    run_dvc(paths.root, "pull", "-q", f"registry/models/{identity[:16]}.dvc")
    assert verify_manifest(paths.registry / "models" / identity[:16], "x").identity == identity
    assert not list((paths.root / ".dvc/tmp").glob("fetch-*"))


def test_a_damaged_cache_is_passed_by(paths: ArtifactPaths) -> None:
    identity = trained(paths)
    store("full", identity, paths, None)
    damage(object_with(paths.root / ".dvc/cache", b"first"))
    folder = materialise(identity, paths)
    assert (folder / "model.safetensors").read_bytes() == b"first"


def test_a_remote_that_holds_other_bytes_is_found_out_whatever_the_cache_holds(paths: ArtifactPaths) -> None:
    shared = paths.root.parent / "shared-cache"
    shutil.move(paths.root / ".dvc/cache", shared)
    run_dvc(paths.root, "cache", "dir", str(shared))
    run_dvc(paths.root, "push", "-q")
    damage(object_with(paths.root / ".dvc-remote", b"first"))
    with pytest.raises(StageError, match=r"gave back other bytes .*model\.safetensors has sha256"):
        store("full", trained(paths), paths, None)
    assert not pointer_path(trained(paths), paths).exists()


def test_a_remote_that_cannot_be_written_is_one_clear_error(paths: ArtifactPaths) -> None:
    (paths.root / ".dvc-remote").write_text("a file where a folder should be")
    with pytest.raises(StageError, match=r"DVC remote store: .*\.dvc-remote is a file; .*remote modify") as raised:
        store("full", trained(paths), paths, None)
    assert raised.value.exit_code is ExitCode.STAGE
    assert "\n" not in str(raised.value)
    assert not pointer_path(trained(paths), paths).exists()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param("foo://bar", r"Unsupported URL type foo:// .*; fix \.dvc/config", id="scheme"),
        pytest.param(
            "hdfs://bar/x", r"needs a plugin of DVC that is absent; `\.venv/bin/pip install dvc-hdfs`", id="plugin"
        ),
        pytest.param("{root}/dvc.yaml/sub", r"dvc\.yaml is a file, so .*sub cannot be made", id="below-a-file"),
    ],
)
def test_a_remote_that_cannot_work_is_named_with_its_cause_and_remedy(
    paths: ArtifactPaths, url: str, told: str
) -> None:
    place = url.format(root=paths.root.resolve())
    (paths.root / ".dvc/config").write_text(f"[core]\n    remote = bad\n['remote \"bad\"']\n    url = {place}\n")
    with pytest.raises(StageError, match=told) as raised:
        store("full", trained(paths), paths, None)
    assert url.startswith("foo") or "`dvc remote modify bad url URL`" in str(raised.value)
    assert not pointer_path(trained(paths), paths).exists()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param(
            '"""s3://bucket/a\nb"""', "has a line feed or another control character; .*remote modify", id="line"
        ),
        pytest.param(
            "/srv/50%(x)s", r"cannot be read: missing option .x. in interpolation.*fix \.dvc/config", id="percent"
        ),
    ],
)
def test_a_remote_that_dvc_would_read_as_another_is_refused(paths: ArtifactPaths, url: str, told: str) -> None:
    (paths.root / ".dvc/config").write_text(f"[core]\n    remote = bad\n['remote \"bad\"']\n    url = {url}\n")
    for act in (rehearse, store):
        with pytest.raises(StageError, match=told):
            act("full", trained(paths), paths, None)


@pytest.mark.parametrize("place", ["r\u00e9mote", "a b'c\"d #1", "50%"])
def test_a_remote_of_any_name_keeps_the_bytes(paths: ArtifactPaths, place: str) -> None:
    quoted = f"'''{paths.root.resolve().parent / place}'''"
    config = f"[core]\n    remote = own\n['remote \"own\"']\n    url = {quoted}\n"
    (paths.root / ".dvc/config").write_text(config, encoding="utf-8")
    store("full", trained(paths), paths, None)
    assert object_with(paths.root.parent / place, b"first")


@settings(max_examples=60, deadline=None)
@given(
    place=st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1).filter(
        lambda name: name not in (".", "..", "new") and len(name.encode()) <= 255
    ),
    bucket=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1).filter(lambda name: "%(" not in name),
)
def test_a_new_project_reads_back_the_very_place_whatever_its_letters(
    tmp_path_factory: pytest.TempPathFactory, place: str, bucket: str
) -> None:
    project = tmp_path_factory.mktemp("config") / place
    remote = project / place
    remote.mkdir(parents=True)
    (project / "new/server").mkdir(parents=True)
    write_config(project / "new/.dvc", "own", {"url": str(remote)})
    write_config(project / "new/server/.dvc", "own", {"url": f"s3://{bucket}/x", "profile": bucket})
    read = Config(str(project / "new/.dvc"), validate=False)
    assert Path(read["remote"]["own"]["url"]).resolve() == remote.resolve()
    assert Path(read["cache"]["dir"]).resolve() == (project / "new/.dvc/cache").resolve()
    server = Config(str(project / "new/server/.dvc"), validate=False)["remote"]["own"]
    assert server == {"url": f"s3://{bucket}/x", "profile": bucket}


def test_a_failure_of_dvc_itself_keeps_its_cause(paths: ArtifactPaths) -> None:
    remote = paths.root / ".dvc-remote"
    (remote / "files").mkdir(parents=True)
    (remote / "files/md5").write_text("a file where DVC makes a folder")
    with pytest.raises(
        StageError, match=r"the DVC remote cannot be written: .*(Not a directory|File exists)"
    ) as raised:
        store("full", trained(paths), paths, None)
    assert "Having any troubles" not in str(raised.value)


def test_a_lock_file_with_a_key_twice_is_refused(paths: ArtifactPaths) -> None:
    lock = paths.root / "dvc.lock"
    lock.write_text(lock.read_text() + "stages: {}\n")
    with pytest.raises(UsageError, match=r"dvc\.lock:\d+:\d+: key 'stages' appears twice"):
        store("full", trained(paths), paths, None)


def test_a_pointer_remembers_a_remote_other_than_the_default(paths: ArtifactPaths) -> None:
    run_dvc(paths.root, "remote", "add", "-q", "vault", str(paths.root.parent / "vault"))
    identity = trained(paths)
    store("full", identity, paths, "vault")
    assert not (paths.root / ".dvc-remote").exists()
    lose_bytes(paths)
    assert materialise(identity, paths) == paths.registry / "models" / identity[:16]


def test_an_unknown_remote_names_the_known_ones(paths: ArtifactPaths) -> None:
    with pytest.raises(StageError, match="no DVC remote nowhere to keep the bytes, known: store"):
        store("full", trained(paths), paths, "nowhere")


def test_other_bytes_than_the_decision_names_are_not_stored(paths: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match="the decision is about eeeeeeeeeeeeeeee"):
        store("full", "e" * 64, paths, None)


def test_a_model_without_a_pointer_is_named(paths: ArtifactPaths) -> None:
    with pytest.raises(MissingArtifactError, match=r"no pointer .*eeeeeeeeeeeeeeee"):
        materialise("e" * 64, paths)


class _Bucket(BaseHTTPRequestHandler):
    """Keeps what is PUT in memory, for whoever sends the token."""

    objects: dict[str, bytes]

    def _reply(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self) -> None:
        body = self._body()
        if self.headers.get("X-Token") != "secret":
            return self._reply(403)
        self.objects[self.path] = body
        return self._reply(201)

    def do_GET(self) -> None:
        if self.headers.get("X-Token") != "secret":
            return self._reply(403)
        body = self.objects.get(self.path)
        return self._reply(404) if body is None else self._reply(200, body)

    do_HEAD = do_GET

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def bucket() -> Iterator[str]:
    handler = type("Bucket", (_Bucket,), {"objects": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/models"
        server.shutdown()
        thread.join()


def test_a_remote_elsewhere_is_proven_with_its_own_credentials(paths: ArtifactPaths, bucket: str) -> None:
    (paths.root / ".dvc/config").write_text(
        f"[core]\n remote = far\n['remote \"far\"']\n url = {bucket}\n method = PUT\n auth = custom\n"
        " custom_auth_header = X-Token\n"
    )
    (paths.root / ".dvc/config.local").write_text("['remote \"far\"']\n password = secret\n")
    identity = trained(paths)
    store("full", identity, paths, None)
    assert "secret" not in pointer_path(identity, paths).read_text()
    lose_bytes(paths)
    assert (materialise(identity, paths) / "model.safetensors").read_text() == "first"
