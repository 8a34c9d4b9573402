"""Floor 3, memory: the fold from events to commands, and the journal.

The only floor that writes run state. It also tells the core, which knows no environment, which packages of
users SUITE_PLUGINS admits, and how a command's output is guarded.
"""

import os

from suite.core import command, plugins
from suite.run import output

plugins.admit(lambda: os.environ.get("SUITE_PLUGINS", ""))
command.guard_output(output.guarded)
