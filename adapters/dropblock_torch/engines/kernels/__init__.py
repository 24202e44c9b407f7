# SPDX-License-Identifier: Apache-2.0
"""The Triton kernels: lines 5 to 8 in three launches.

:mod:`drawing` draws the seeds, :mod:`growing` grows each to its block, counts, and makes line 8's factor, and
:mod:`applying` reads, scales, drops and writes. Nothing waits for the host: loops whose length depends on what was
drawn run on the device. No kernel sets a bit in a word that another program writes.

Numbers that change from call to call are not specialised on: one compilation serves a whole schedule, and every size.
Those that may pass 2^31 say that they have 64 bits, since Triton would otherwise compile again for the larger ones.
"""
