"""The command `reelgraph`. Heavy modules are imported where they are needed, so that --help stays quick."""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from domain.refusals import Refusal
from persistence.settings import SettingError, Settings
from reelgraph.home import Home, StartError
from reelgraph.storage import storage

_SCHEMA = Path("schema.graphql")
_FIRST_ADMIN = "admin@localhost"

app = typer.Typer(
    name="reelgraph",
    help="A self-hosted media backend behind one GraphQL API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
admin = typer.Typer(help="Administrators.", no_args_is_help=True)
app.add_typer(admin, name="admin")
client = typer.Typer(help="OAuth clients: the programs that sign users in or act for them.", no_args_is_help=True)
app.add_typer(client, name="client")
app.add_typer(storage, name="storage")

Port = Annotated[int | None, typer.Option(min=0, max=65535, show_default=False, help="0 takes any free one.")]


def main() -> None:
    """Run the command; what the user can put right is one line on stderr, without a traceback."""
    try:
        app()
    except SettingError as error:
        _fail(str(error), code=2)
    except (StartError, Refusal) as error:
        _fail(str(error), code=1)


@app.command()
def up(port: Port = None) -> None:
    """Start everything on this machine, PostgreSQL and Redis included, and keep it running. Ctrl-C stops it."""
    from reelgraph.stack import stack

    _stop_on_signals()
    home = Home.chosen(os.environ)
    try:
        with stack(home, port=port, say=_say) as running:
            _say("")
            _say(f"  Reelgraph   {running.url}")
            _say(f"  GraphQL     {running.url}/graphql")
            _say(f"  GraphiQL    {running.url}/graphiql")
            _say(f"  Data, logs  {home.path}")
            if password := running.first_admin(_FIRST_ADMIN):
                _say(f"  Sign in as  {_FIRST_ADMIN} with {password} (shown only this once)")
            _say("")
            _say("Ctrl-C stops all of it; the data stays.")
            running.watch()
    except KeyboardInterrupt:
        _say("Stopped.")


@app.command()
def env() -> None:
    """Print what the processes of `reelgraph up` are configured with: eval "$(reelgraph env)" in a shell."""
    import shlex

    from reelgraph.stack import environment_of

    for name, value in environment_of(Home.chosen(os.environ)).items():
        print(f"export {name}={shlex.quote(value)}")


@app.command()
def demo() -> None:
    """Start everything, act as a client from registration to a finished video, and check the video."""
    from reelgraph.demo import run

    _stop_on_signals()
    try:
        run(Home.chosen(os.environ))
    except KeyboardInterrupt:
        sys.exit(130)


@app.command()
def api(host: str | None = None, port: Port = None) -> None:
    """Run one API process. Configured by the environment: DATABASE_URL, REDIS_URL, SECRET_KEY, PUBLIC_URL and more."""
    settings = _settings()
    from reelgraph.serve import serve

    serve(settings, host=host, port=port, public_url_is_set=bool(os.environ.get("PUBLIC_URL", "").strip()))


@app.command()
def worker() -> None:
    """Run one worker process. Configured by the environment, as the API is."""
    settings = _settings()
    import uvloop

    from reelgraph.memory import settle
    from reelgraph.process import WORKING
    from tasks.worker import run

    def ready() -> None:
        settle()
        print(WORKING, flush=True)

    uvloop.run(run(settings, ready=ready))


@app.command()
def migrate() -> None:
    """Bring the database to the newest version."""
    settings = _settings(redis=False)
    from persistence.migrate import upgrade

    upgrade(settings.database_url)


@app.command()
def doctor() -> None:
    """Look at everything that the settings name, and say of each thing whether it is fit, and what to do."""
    import uvloop
    from rich.console import Console

    from reelgraph.doctor import examine

    sys.exit(0 if uvloop.run(examine(os.environ, Console())) else 1)


@app.command()
def schema(*, check: bool = False, write: bool = False) -> None:
    """Print the GraphQL schema; --check compares schema.graphql with it, --write writes that file."""
    from graph.schema import sdl

    text = sdl()
    if write:
        _SCHEMA.write_text(text)
    elif check:
        _compare(text)
    else:
        print(text, end="")


@admin.command()
def create(
    email: str,
    name: str = "Administrator",
    *,
    first: Annotated[bool, typer.Option("--first", help="Only if there is no administrator yet.")] = False,
) -> None:
    """Create an administrator with a random password, and print that: it is kept nowhere."""
    settings = _settings(redis=False)
    import uvloop

    from reelgraph.administrator import create_administrator

    password = uvloop.run(create_administrator(settings, email=email, name=name, only_if_none=first))
    if password is not None:
        print(password)


@client.command("create")
def create_oauth_client(
    name: str,
    *,
    redirect_uri: Annotated[list[str] | None, typer.Option(help="Where users come back to; may be repeated.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="May be repeated; all but admin if not said.")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="It runs where no secret is safe: in browsers, on phones.")
    ] = False,
    owner: Annotated[str | None, typer.Option(help="The address of the user a script acts for.")] = None,
) -> None:
    """Register a program that signs users in (--redirect-uri) or acts for one user (--owner), and print its secret."""
    settings = _settings(redis=False)
    import uvloop

    from domain.viewer import Scope
    from reelgraph.clients import create_client

    known = {each.value: each for each in Scope}
    if wrong := [each for each in scope or () if each not in known]:
        _fail(f"there is no scope {wrong[0]!r}; there are {', '.join(known)}", code=2)
    client_id, secret = uvloop.run(
        create_client(
            settings,
            name=name,
            redirect_uris=redirect_uri or (),
            scopes=[known[each] for each in scope or ()],
            public=public,
            owner_email=owner,
        )
    )
    print(f"client_id {client_id}")
    if secret is not None:
        print(f"client_secret {secret} (shown only this once)")


def _settings(*, redis: bool = True) -> Settings:
    """Read the environment, begin to log, and make sure that the servers it names are there."""
    settings = Settings.read(os.environ, needless=() if redis else ("redis_url", "secret_key"))
    logging.basicConfig(
        level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    if redis:
        logging.getLogger("alembic").setLevel(logging.WARNING)  # whoever does not migrate only looks, and often
    logging.getLogger("taskiq.receiver").setLevel(logging.ERROR)  # it warns of being stopped, which is what we do
    import uvloop

    from reelgraph.reach import reach

    uvloop.run(reach(settings, redis=redis))
    return settings


def _compare(text: str) -> None:
    import difflib

    kept = _SCHEMA.read_text() if _SCHEMA.exists() else ""
    if kept == text:
        return
    lines = difflib.unified_diff(kept.splitlines(), text.splitlines(), str(_SCHEMA), "the code", lineterm="")
    print("\n".join(lines))
    _fail(f"{_SCHEMA} is not what the code says. If the change is meant: make schema", code=1)


def _stop_on_signals() -> None:
    """Let SIGTERM and a closed terminal do what Ctrl-C does: unwind, and stop every child on the way out."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:  # nohup asked to stay
            signal.signal(each, signal.default_int_handler)


def _say(text: str) -> None:
    print(text, flush=True)


def _fail(message: str, *, code: int) -> None:
    print(f"reelgraph: {message}", file=sys.stderr)
    sys.exit(code)
