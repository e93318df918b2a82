"""Hessian 2.0, the serialization of Dubbo, as hessian-lite of Dubbo 2.6 to 3.3 reads and writes it. Pure.

Format: http://hessian.caucho.com/doc/hessian-serialization.html, with three things that only the Java code tells:

- A string's length counts UTF-16 units, and each unit is encoded by itself (`text`).
- The double of code 0x5f is 0.001 times a 32-bit integer, by multiplication, and not a 32-bit float.
- Each list, map and object takes the next number for references when it begins; strings, dates and bytes take none.

The library python-hessian was tried and is not used: what it writes is Hessian 1, which hessian-lite does not read; it
divides where Java multiplies, which changes the last digit of some doubles; and it bounds neither depth nor size.
"""

from deploy.dubbo.hessian.read import Bounds, Reader
from deploy.dubbo.hessian.values import Date, HessianError, JavaObject, Long, TypedList, TypedMap, Value
from deploy.dubbo.hessian.write import Writer, encode

__all__ = [
    "Bounds",
    "Date",
    "HessianError",
    "JavaObject",
    "Long",
    "Reader",
    "TypedList",
    "TypedMap",
    "Value",
    "Writer",
    "encode",
]
