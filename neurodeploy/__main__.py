"""``python -m neurodeploy``."""

import os
import sys

if __name__ == "__main__":
    # Python looks for modules in the working directory first, which may be a stranger's.
    if sys.path and sys.path[0] == os.getcwd():
        del sys.path[0]
    from neurodeploy.cli import main

    main()
