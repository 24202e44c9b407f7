# SPDX-License-Identifier: Apache-2.0
"""What a run looks like: on the terminal, as JSON and JUnit XML for machines, as HTML for people."""
