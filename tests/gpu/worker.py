"""A process that holds a known amount of GPU memory and keeps the card busy for a known share of the time.

Usage: `python3 worker.py MEMORY_MIB BUSY_MS IDLE_MS SECONDS`. It speaks to the driver alone (`libcuda` through ctypes;
the kernel is PTX text that the driver compiles), so it needs no toolkit and no framework. It prints `ready` when the
memory is held and the load runs, and at the end `busy_seconds=…`: the time its kernels ran, for the reader to compare.
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
    """The few driver calls a load needs; each raises RuntimeError naming the call and CUDA's error."""

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


def main(memory_mib: int, busy_ms: float, idle_ms: float, seconds: float) -> None:
    """Hold the memory and alternate between busy and idle."""
    cuda = Cuda()
    cuda.hold(memory_mib << 20)
    print("ready", flush=True)  # noqa: T201
    busy, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        if busy_ms:
            start = time.monotonic()
            cuda.spin(busy_ms / 1000)
            busy += time.monotonic() - start
        time.sleep(idle_ms / 1000)
    print(f"busy_seconds={busy:.3f}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
