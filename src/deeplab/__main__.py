"""``python -m deeplab`` is the ``deeplab`` command."""

from deeplab.cli import main

if __name__ == "__main__":
    main()
