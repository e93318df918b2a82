"""A process that holds a known amount of GPU memory and keeps the card busy when told to.

Usage: `python3 worker.py MEMORY_MIB`. It prints `ready` when the memory is held. Each line `BUSY_MS IDLE_MS SECONDS` on
its standard input makes it alternate between the two for that long and print the seconds its kernels took; it ends
with its input. It speaks to the driver alone (`libcuda` through ctypes; the kernel is PTX text that the driver
compiles), so it needs no toolkit and no framework.
"""

from __future__ import annotations

import ctypes
import sys
import time

# One thread that spins until %globaltimer (nanoseconds) has advanced by its parameter: busy for a time, not for a
# number of instructions, so the duty cycle is the same on every card.
PTX = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry busy(.param .u64 nanoseconds)
{
    .reg .u64 %limit, %start, %now, %spent;
    .reg .pred %more;
    ld.param.u64 %limit, [nanoseconds];
    mov.u64 %start, %globaltimer;
spin:
    mov.u64 %now, %globaltimer;
    sub.u64 %spent, %now, %start;
    setp.lt.u64 %more, %spent, %limit;
    @%more bra spin;
    ret;
}
\0"""


class Cuda:
    """The few driver calls that a load needs; each raises RuntimeError naming the call and CUDA's error."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libcuda.so.1")
        self("cuInit", 0)
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self("cuDeviceGet", ctypes.byref(device), 0)
        self("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self("cuCtxSetCurrent", context)
        module, self._busy = ctypes.c_void_p(), ctypes.c_void_p()
        self("cuModuleLoadData", ctypes.byref(module), PTX)
        self("cuModuleGetFunction", ctypes.byref(self._busy), module, b"busy")

    def __call__(self, name: str, *arguments: object) -> None:
        """Call the driver."""
        code = getattr(self._library, name)(*arguments)
        if code:
            text = ctypes.c_char_p()
            self._library.cuGetErrorName(code, ctypes.byref(text))
            raise RuntimeError(f"{name} failed: {(text.value or b'?').decode()} ({code})")

    def hold(self, size: int) -> None:
        """Allocate this many bytes until the process ends."""
        self("cuMemAlloc_v2", ctypes.byref(ctypes.c_uint64()), ctypes.c_size_t(size))

    def spin(self, seconds: float) -> None:
        """Keep the card busy for this long."""
        nanoseconds = ctypes.c_uint64(int(seconds * 1e9))
        parameters = (ctypes.c_void_p * 1)(ctypes.cast(ctypes.byref(nanoseconds), ctypes.c_void_p))
        self("cuLaunchKernel", self._busy, 1, 1, 1, 1, 1, 1, 0, None, parameters, None)
        self("cuCtxSynchronize")


def alternate(cuda: Cuda, busy_ms: float, idle_ms: float, seconds: float) -> float:
    """Return the seconds that kernels took."""
    busy, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        cuda.spin(busy_ms / 1000)
        busy += time.monotonic() - start
        time.sleep(idle_ms / 1000)
    return busy


def main(memory_mib: int) -> None:
    """Hold the memory and do as told."""
    cuda = Cuda()
    cuda.hold(memory_mib << 20)
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        busy_ms, idle_ms, seconds = map(float, line.split())
        print(alternate(cuda, busy_ms, idle_ms, seconds), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]))
