"""The one command, `milepost`: each program's commands are loaded only when they are called.

A subcommand is a row of `COMMANDS`: its name, where its click command lives, and one line of help. Loading lazily
keeps `milepost logs` quick: it never imports a database engine.
"""

from __future__ import annotations

import importlib

import click

from milepost import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "logserver": ("logserver.cli:logserver", "Run the log-server: Kafka to store to HTTP."),
    "logs": ("logserver.client.cli:logs", "Search and follow the logs of a model or a pod."),
    "demo": ("logserver.demo.cli:demo", "Run everything on this machine with believable model logs."),
    "exporter": ("exporter.cli:exporter", "Run the Prometheus exporter (node or cluster mode)."),
    "model": ("deploy.cli:model", "Deploy, roll out, roll back and explain models."),
    "platform": ("deploy.app:platform", "Run the model platform's HTTP API."),
    "dubbo": ("deploy.dubbo.cli:dubbo", "Serve models to callers that speak Dubbo."),
    "install": ("deploy.install.cli:install", "Check what a cluster lacks for Milepost."),
    "hdfs-initializer": ("deploy.hdfs.cli:hdfs_initializer", "Download a model from HDFS (init container)."),
    "preflight": ("milepost.preflight:preflight", "Check a node before a model server starts (init container)."),
}


class LazyGroup(click.Group):
    """A click group whose subcommands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None when there is no such name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="milepost")
def main() -> None:
    """Milepost: logs, metrics and rollouts for every model served on Kubernetes."""


if __name__ == "__main__":
    main()
