"""Lets ``python -m equipoise`` do what the command ``equipoise`` does."""

from equipoise.cli import main

if __name__ == "__main__":
    main()
