"""A Ray cluster of two nodes of one CPU each writes the bytes that this process writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import StageError
from tasks.prepare.scale.ray_data import RayData
from tests.tasks.prepare.scale.test_engine import few_are_many, prepared

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = pytest.mark.filterwarnings("default")  # Ray's own are not ours to mend
_ = few_are_many


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    found.add_node(num_cpus=1)
    yield found
    found.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("few_are_many")
def test_two_nodes_write_the_bytes_that_one_process_writes(tmp_path: Path, tiny_model: Path, cluster: Any) -> None:
    alone = prepared(tmp_path / "alone", tiny_model, processes=1)
    assert prepared(tmp_path / "ray", tiny_model, engine="ray", ray_address=cluster.address) == alone


@pytest.mark.slow
def test_no_cluster_at_the_address_is_one_clear_error() -> None:
    with pytest.raises(StageError, match=r"prepare\.ray_address 127\.0\.0\.1:9: no Ray cluster answers there"):
        RayData("127.0.0.1:9")
