# SPDX-License-Identifier: Apache-2.0
"""DropBlocks of others: each with its claims, its deviations declared as measured, and lines that show them."""
