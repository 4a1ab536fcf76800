"""`python -m localdc`."""

import sys

from localdc.cli import main

sys.exit(main())
