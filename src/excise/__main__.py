"""`python -m excise` is the same as `excise`."""

import sys

from excise.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
