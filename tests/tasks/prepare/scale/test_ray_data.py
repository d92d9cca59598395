"""A Ray cluster of two nodes of one CPU each writes the bytes that this process writes.

Ray runs in a process of its own, since its threads outlive it.
"""

from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import pytest

from evalsuite.core.errors import StageError
from tests.tasks.prepare.scale.test_engine import prepared

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


def on_two_nodes(root: Path, model: Path) -> dict[str, str]:
    """Hash of each file that is written with the work done on a cluster."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.prepare.scale.engine.MANY_ROWS", 1)
        patch.setattr("tasks.prepare.sources.MANY_BYTES", 1)
        patch.setattr("tasks.prepare.sources.BATCH_ROWS", 100)
        patch.setattr("tasks.prepare.scale.stored.BATCH_ROWS", 50)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        try:
            cluster.add_node(num_cpus=1)
            return prepared(root, model, engine="ray", ray_address=cluster.address)
        finally:
            cluster.shutdown()


def at_no_cluster() -> str:
    """What is said where nobody answers."""
    from tasks.prepare.scale.ray_data import RayData

    try:
        RayData("127.0.0.1:9")
    except StageError as error:
        return str(error)
    return ""


@needs_ray
@pytest.mark.slow
def test_two_nodes_write_the_bytes_that_one_process_writes(tmp_path: Path, tiny_model: Path) -> None:
    alone = prepared(tmp_path / "alone", tiny_model, processes=1)
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        assert other.submit(on_two_nodes, tmp_path / "ray", tiny_model).result() == alone


@needs_ray
def test_no_cluster_at_the_address_is_one_clear_error() -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        said = other.submit(at_no_cluster).result()
    assert said.startswith("prepare.ray_address 127.0.0.1:9: no Ray cluster answers there (")
    assert said.endswith("; start one (`ray start --head`), or correct the address")
