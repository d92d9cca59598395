"""``python -m flows.cli``: the command where the script is not on the path, as on another node."""

from evalsuite.core.terminal import own_encoding
from flows.cli.app import main

own_encoding()
main()
