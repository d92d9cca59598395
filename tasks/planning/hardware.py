"""Devices: memory, speed and links, from their makers' data sheets; nothing here is measured.

Rates are dense 16-bit tensor operations with fp32 accumulation, as the data sheets of NVIDIA (B200, H200, H100, A100,
L40S, L4, RTX A6000, V100, T4; the architecture whitepapers of Ada and Ampere for RTX 4090 and 3090), AWS (A10G) and AMD
(MI300X) state them; half of the figure where a sheet counts sparsity. Memory is what the name says, in GiB.
"""

import os
import re
import reprlib
from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import UsageError
from tasks.config.hardware import HardwareParams
from tasks.config.launch import LaunchParams


class Device(NamedTuple):
    """One kind of accelerator, or this machine's processor."""

    name: str
    memory_bytes: int
    flops: float
    """Dense 16-bit operations a second (fp32 on a CPU)."""
    link_bytes_per_second: float
    """To its neighbours in one machine, one direction."""
    bf16: bool = True
    cuda: bool = True
    assumed: str = ""
    """What of it was guessed, in words."""


def _device(name: str, gib: int, teraflops: float, link_gigabytes: float, bf16: bool = True) -> Device:
    return Device(name, gib * 2**30, teraflops * 1e12, link_gigabytes * 1e9, bf16)


NVLINK_4, NVLINK_3, PCIE_4, PCIE_3 = 450, 300, 32, 16
"""Gigabytes a second in one direction: NVLink of H100 and A100, PCIe of sixteen lanes."""
MOST_NODES = 100_000
HOST_LINK_BYTES = PCIE_3 * 1e9
"""To the host's memory, as ZeRO-Offload counts it (Ren et al. 2021, arXiv:2101.06840, section 4)."""
NODE_LINK_BYTES = 25e9
"""Between machines, for each device: one 200 Gbit/s port, assumed."""
CPU_FLOPS_PER_CORE = 64e9
"""fp32 GEMM of one core with AVX2, measured on the machine that wrote this."""

DEVICES = {
    device.name: device
    for device in (
        _device("B200-180GB", 180, 2250, 900),
        _device("H200-141GB", 141, 989, NVLINK_4),
        _device("H100-80GB", 80, 989, NVLINK_4),
        _device("H100-PCIE-80GB", 80, 756, 64),
        _device("A100-80GB", 80, 312, NVLINK_3),
        _device("A100-40GB", 40, 312, NVLINK_3),
        _device("MI300X-192GB", 192, 1307, 64),
        _device("L40S-48GB", 48, 362, PCIE_4),
        _device("A6000-48GB", 48, 155, PCIE_4),
        _device("RTX4090-24GB", 24, 165, PCIE_4),
        _device("RTX3090-24GB", 24, 71, PCIE_4),
        _device("L4-24GB", 24, 121, PCIE_4),
        _device("A10G-24GB", 24, 70, PCIE_4),
        _device("V100-32GB", 32, 125, 150, bf16=False),
        _device("T4-16GB", 16, 65, PCIE_3, bf16=False),
    )
}


class Machines(NamedTuple):
    """Where a training runs."""

    device: Device
    per_node: int
    nodes: int

    @property
    def devices(self) -> int:
        """On all nodes together."""
        return self.per_node * self.nodes

    @property
    def text(self) -> str:
        """As a person writes it."""
        count = f"{self.per_node} x {self.device.name}"
        return count if self.nodes == 1 else f"{self.nodes} nodes of {count}"


def read_machines(gpus: str, nodes: int) -> Machines:
    """``8xA100-80GB``, ``A100`` where one size exists, ``4x24GB`` of any make, or ``cpu``.

    Raises:
        UsageError: Not of this form, or no such device.
    """
    if not 1 <= nodes <= MOST_NODES:
        raise UsageError(f"--nodes {reprlib.repr(nodes)}: from 1 to {MOST_NODES}")
    if gpus.lower() == "cpu":
        return Machines(this_cpu(), 1, nodes)
    match = re.fullmatch(r"(?:(\d{1,4})x)?([A-Za-z0-9-]{1,40})", gpus)
    if match is None or (match[1] is not None and int(match[1]) == 0):
        raise UsageError(f"--gpus {gpus!r}: give COUNTxDEVICE, such as 8xA100-80GB, 4x24GB or cpu")
    return Machines(find_device(match[2]), int(match[1] or 1), nodes)


def find_device(name: str) -> Device:
    """A device of the table by its name, by the start of it where that is enough, or by its memory alone.

    Raises:
        UsageError: None or several.
    """
    wanted = name.upper()
    if size := re.fullmatch(r"(\d{1,4})G(?:I?B)?", wanted):
        return _any_with(int(size[1]))
    found = [device for device in DEVICES.values() if device.name == wanted]
    for make in ("", "RTX"):
        found = found or [device for device in DEVICES.values() if device.name.rsplit("-", 1)[0] == f"{make}{wanted}"]
    if len(found) != 1:
        what = "several devices fit" if found else "no such device"
        raise UsageError(f"--gpus: {what} {name!r}; known: {', '.join(DEVICES)}, a memory size such as 24GB, or cpu")
    return found[0]


def _any_with(gib: int) -> Device:
    """An unnamed device: as slow as the slowest in the table with no more memory, so that no plan is too hopeful."""
    below = [device for device in DEVICES.values() if device.memory_bytes <= gib * 2**30 and device.bf16]
    slowest = min(below or [DEVICES["RTX3090-24GB"]], key=lambda device: device.flops)
    return Device(
        f"{gib}GB", gib * 2**30, slowest.flops, PCIE_4 * 1e9, assumed=f"speed of {slowest.name}, links of PCIe 4"
    )


def this_cpu() -> Device:
    """This machine's processor and memory."""
    cores = os.cpu_count() or 1
    return Device(
        "cpu",
        host_memory(),
        cores * CPU_FLOPS_PER_CORE,
        10e9,
        bf16=False,
        cuda=False,
        assumed=f"{CPU_FLOPS_PER_CORE / 1e9:.0f} GFLOP/s for each of {cores} cores",
    )


def host_memory() -> int:
    """Bytes of the machine, or of the container where its limit is lower."""
    import psutil

    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="ascii").strip() if limit.is_file() else "max"
    machine = int(psutil.virtual_memory().total)
    return min(machine, int(text)) if text.isdigit() else machine


def detect_machines(nodes: int = 1) -> Machines:
    """What this machine has: its GPUs, or its processor."""
    import torch

    if not torch.cuda.is_available():
        return Machines(this_cpu(), 1, nodes)
    properties = torch.cuda.get_device_properties(0)
    memory = int(properties.total_memory)
    words = re.sub(r"[^A-Z0-9]", "", str(properties.name).upper())
    near = [
        device
        for device in DEVICES.values()
        if device.name.split("-")[0] in words and abs(device.memory_bytes - memory) < 0.15 * device.memory_bytes
    ]
    device = near[0] if near else _any_with(round(memory / 2**30))
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return Machines(device._replace(memory_bytes=memory, bf16=bf16), torch.cuda.device_count(), nodes)


def launch_machines(hardware: HardwareParams, launch: LaunchParams) -> Machines:
    """A device for each process, with the memory that params.yaml gives it; processes on a CPU share it."""
    device = detect_machines().device
    processes = launch.processes_per_node
    if not device.cuda:
        share = device.memory_bytes // processes
        device = device._replace(memory_bytes=share, flops=device.flops / processes)
    if hardware.memory_gib is not None:
        device = device._replace(memory_bytes=int(hardware.memory_gib * 2**30))
    return Machines(device, processes, launch.nodes)
