"""`python -m unlearnbench`."""

import sys

from unlearnbench.cli import main

sys.exit(main())
