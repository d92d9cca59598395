"""Keep the memory that a CPU computation frees, in large pages, instead of returning it to the kernel each time."""

import os
import platform
import sys
from pathlib import Path

TUNABLES = {
    "glibc.malloc.hugetlb": "1",  # ask for transparent huge pages
    "glibc.malloc.mmap_max": "0",  # large blocks come from the heap, where they are used again
    "glibc.malloc.trim_threshold": str(1 << 40),
}
"""glibc's allocator settings (GNU C library manual, "Memory Allocation Tunables")."""


def keep_freed_memory() -> None:
    """Start this process again with the settings, where they help and are not set yet.

    A training step on a CPU frees and takes its gradients and activations again; fresh pages that the kernel must
    zero cost it a tenth of its time and more. The C library reads the settings at the start of a process only. The
    process keeps its id, its arguments and its standard streams.
    """
    if platform.libc_ver()[0] != "glibc" or Path("/dev/nvidiactl").exists():
        return
    current = os.environ.get("GLIBC_TUNABLES", "")
    if "glibc.malloc." in current:
        return
    ours = ":".join(f"{name}={value}" for name, value in TUNABLES.items())
    os.environ["GLIBC_TUNABLES"] = f"{current}:{ours}" if current else ours
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606  # this very program
