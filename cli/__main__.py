"""`python -m cli` is the `remit` command, also where the project is not installed."""

from cli.main import main

if __name__ == "__main__":
    main()
