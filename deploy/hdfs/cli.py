"""The command `milepost hdfs-initializer`: the arguments, the progress, the one line that a failed pod shows."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Coroutine
from pathlib import Path

import click

from deploy.hdfs.address import Source, source_of
from deploy.hdfs.errors import FetchError, Refused
from deploy.hdfs.fetch import Fetch, Progress
from deploy.hdfs.settings import GROUPS, Hdfs
from deploy.hdfs.target import Target
from deploy.hdfs.webhdfs import WebHdfs, opened_session
from milepost.settings import SettingsError, add_options, load
from milepost.termination import TERMINATION_LOG, leave

EXIT_REFUSED = 1
EXIT_UNREACHABLE = 4
EXIT_STOPPED = 143
PROGRESS_S = 10.0
PARALLEL_MAX = 64


@click.command("hdfs-initializer", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("pairs", nargs=-1, required=True, metavar="SOURCE FOLDER [SOURCE FOLDER]...")
@click.option("--termination-log", type=click.Path(path_type=Path), default=TERMINATION_LOG, show_default=True)
@add_options(GROUPS)
def hdfs_initializer(pairs: tuple[str, ...], termination_log: Path, config: Path | None, **flags: str | None) -> None:
    """Download a model from HDFS into a folder, checked (the init container of a model server).

    SOURCE is hdfs://NAMESERVICE/PATH, webhdfs://HOST:PORT/PATH or swebhdfs://HOST:PORT/PATH, a folder or a file. FOLDER
    becomes what SOURCE is: it must be empty, or of an earlier download, which goes on where it broke off.

    Exit codes: 0 the model is there · 1 refused, trying again changes nothing · 2 wrong usage · 4 HDFS did not answer,
    or the model changed meanwhile: try again · 143 stopped by SIGTERM; what is there is kept for the next time.
    """
    if len(pairs) % 2:
        raise click.UsageError(f"the folder for {pairs[-1]} is missing")
    try:
        settings: Hdfs = load(GROUPS, flags=flags, env=os.environ, file=config)["hdfs"]
        if not 1 <= settings.parallel <= PARALLEL_MAX:
            raise Refused(f"--hdfs-parallel is {settings.parallel}; it must be 1 to {PARALLEL_MAX}")
        wanted = [(source_of(uri, settings), Path(folder)) for uri, folder in zip(pairs[::2], pairs[1::2], strict=True)]
        asyncio.run(_until_sigterm(_download(wanted, settings)))
    except (FetchError, SettingsError) as error:
        _tell(str(error), termination_log)
        code = EXIT_REFUSED if isinstance(error, Refused | SettingsError) else EXIT_UNREACHABLE
        raise SystemExit(code) from error
    except asyncio.CancelledError:
        _tell("stopped by SIGTERM", termination_log)
        raise SystemExit(EXIT_STOPPED) from None


async def _until_sigterm(work: Coroutine[None, None, None]) -> None:
    # The first process of a container gets no signal that it has not asked for.
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


async def _download(wanted: list[tuple[Source, Path]], settings: Hdfs) -> None:
    async with opened_session(settings) as session:
        for source, folder in wanted:
            click.echo(f"{source.uri} to {folder}, asking {', '.join(source.servers)}")
            fetch = Fetch(WebHdfs(session, source, settings), Target(folder), settings, click.echo)
            teller = asyncio.create_task(_tell_progress(fetch.progress))
            try:
                await fetch.run(source.uri, source.path)
            finally:
                teller.cancel()
            click.echo(_summary(fetch.progress))


async def _tell_progress(progress: Progress) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        part = progress.bytes_done / progress.bytes if progress.bytes else 0
        click.echo(
            f"{progress.files_done} of {progress.files} files, {_size(progress.bytes_done)} of {_size(progress.bytes)} "
            f"({part:.0%}), {_rate(progress)}"
        )


def _summary(progress: Progress) -> str:
    took_s = time.monotonic() - progress.started
    said = [f"{progress.files_done} files, {_size(progress.bytes_done)} in {took_s:.1f} s, {_rate(progress)}"]
    checked = progress.files_done - progress.unchecked
    said.append(f"{checked} with the checksum that HDFS has" if checked else "none of them checked by a checksum")
    if progress.unchecked and checked:
        said.append(f"{progress.unchecked} by their length only: HDFS has no checksum of them that can be recomputed")
    if progress.retries:
        said.append(f"failed tries: {progress.retries}")
    if progress.removed:
        said.append(f"files removed that the model no longer has: {progress.removed}")
    return "; ".join(said)


def _rate(progress: Progress) -> str:
    return f"{_size(progress.bytes_done / max(time.monotonic() - progress.started, 1e-3))}/s"


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _tell(message: str, termination_log: Path) -> None:
    click.echo(f"Error: {message}", err=True)
    leave(message, termination_log)
