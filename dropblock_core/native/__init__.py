# SPDX-License-Identifier: Apache-2.0
"""Lines 5 to 8 in C, for NumPy and for adapters on the CPU: the masks and products of the pure path, bit for bit.

`library` loads the shared library if there is one, `calls` calls it, `numpy` is the way of NumPy's arrays. Everything
works without it: what it computes, `mask` and `apply` compute too.
"""
