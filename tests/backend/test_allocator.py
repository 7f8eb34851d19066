"""Freed memory is used again, and given back after a job."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, threading
import torch
from backend.allocator import keep_freed_memory, return_freed_memory

if "keep" in sys.argv:
    keep_freed_memory()

def resident():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

def work():
    for _ in range(20):
        [torch.ones(8 << 20) for _ in range(2)]  # 64 MB

work()
threading.Thread(target=work).run()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread = threading.Thread(target=work)
thread.start()
thread.join()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
kept = resident()
return_freed_memory()
print(faults, kept, resident())
"""


def measure(*arguments: str) -> list[float]:
    """Page faults of 20 rounds with 64 MB each, and the process's MB before and after its memory was returned."""
    result = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    return [float(word) for word in result.stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_freed_memory_is_used_again_and_then_returned():
    faults, kept, returned = measure("keep")
    usual, _, _ = measure()
    assert faults < usual / 4
    assert kept - returned > 50


@pytest.mark.skipif(platform.libc_ver()[0] == "glibc", reason="glibc has these settings")
def test_nothing_happens_elsewhere():
    measure("keep")
