# SPDX-License-Identifier: Apache-2.0
"""The command line: a file a command, in `commands`."""

import click

from dropblock_conformance.commands.badge import badge
from dropblock_conformance.commands.diff import diff
from dropblock_conformance.commands.explain import explain, list_
from dropblock_conformance.commands.run import run
from dropblock_conformance.commands.verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dropblock-core")
def main() -> None:
    """Certify a DropBlock: is it the paper's?"""


for command in (run, diff, verify, badge, list_, explain):
    main.add_command(command)
