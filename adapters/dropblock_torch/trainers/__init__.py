# SPDX-License-Identifier: Apache-2.0
"""Scheduled DropBlock under other people's trainers: a module each, which imports the trainer's library."""
