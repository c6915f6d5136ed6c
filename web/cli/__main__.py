"""`python -m web.cli` is `inference-service`."""

from web.cli.main import cli

if __name__ == "__main__":
    cli()
