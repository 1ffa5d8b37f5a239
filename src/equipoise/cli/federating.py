"""``equipoise federate``: one audit over several sites, simulated or between real processes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from equipoise.errors import InvalidConfiguration

_Study = Annotated[
    Path, typer.Argument(help="The declared study, a YAML file.", metavar="FEDERATION")
]
_Deployment = Annotated[
    Path, typer.Argument(help="Folder of the deployment.", metavar="DEPLOYMENT")
]
_Site = Annotated[
    list[str],
    typer.Option(
        help="Where a site's data lie, as harbour=FOLDER: a table of predictions, or a folder "
        "with cohort.parquet and predictions.parquet. Repeat for each site."
    ),
]
_Out = Annotated[Path, typer.Option(help="Folder for the results.")]
_Only = Annotated[
    list[str] | None, typer.Option(help="Only this participant; all by default. Repeat for more.")
]


def commands() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    for command in (simulate, provision, start, status, submit, stop, prepare, job, demo):
        app.command()(command)
    return app


def simulate(study: _Study, site: _Site, out: _Out) -> None:
    """Run the audit in FLARE's simulator: real messages, no certificates."""
    from equipoise.federate import load
    from equipoise.federate.simulating import simulated

    declared = load(study)
    simulated(declared, _places(site), out, out.with_name(f"{out.name}.work"))
    _show(out)


def provision(
    study: _Study,
    site: _Site,
    out: _Out,
    ports: Annotated[
        str | None,
        typer.Option(help="Of the server, as 8002,8003: for sites, for analysts. Free ones else."),
    ] = None,
) -> None:
    """Make certificates and kits for a deployment on this machine."""
    from equipoise.cli.showing import talk
    from equipoise.federate import load
    from equipoise.federate.provisioning import provisioned

    made = provisioned(load(study), _places(site), out, ports=_ports(ports))
    talk().print(
        f"{out}: kits of {', '.join(made.kits)}; ports {made.ports[0]} and {made.ports[1]}\n"
        "This is for one machine. Between hospitals use 'nvflare cert', so that no private key "
        "leaves where it was made; see docs/federation.md. Keep root-keep-offline offline.",
        markup=False,
        soft_wrap=True,
    )


def start(deployment: _Deployment, only: _Only = None) -> None:
    """Start the processes of a deployment: the server and all sites."""
    from equipoise.cli.showing import say
    from equipoise.federate import processes
    from equipoise.federate.provisioning import deployment as opened

    for name, pid in processes.start(opened(deployment), only).items():
        say(f"{name}: process {pid}")


def status(deployment: _Deployment) -> None:
    """Say which processes run, and which sites the server sees."""
    from equipoise.cli.showing import say
    from equipoise.federate import analysing, processes
    from equipoise.federate.provisioning import SERVER
    from equipoise.federate.provisioning import deployment as opened

    made = opened(deployment)
    up = processes.process(made, SERVER) is not None
    seen = analysing.connected(made) if up else []
    for name in (SERVER, *made.sites):
        running = processes.process(made, name)
        word = "not running" if running is None else f"process {running.pid}"
        tail = "" if name == SERVER else ", connected" if name in seen else ", not connected"
        say(f"{name}: {word}{tail}")


def submit(
    deployment: _Deployment,
    study: _Study,
    out: _Out,
    sites: Annotated[
        int | None,
        typer.Option(help="Sites that must be connected first; all by default.", min=1),
    ] = None,
    seconds: Annotated[
        int, typer.Option(help="How long is waited for sites, and for the end.", min=1)
    ] = 300,
) -> None:
    """Hand the job to the server, wait for its end, fetch the result."""
    from equipoise.errors import Refused
    from equipoise.federate import load, processes
    from equipoise.federate.analysing import audited
    from equipoise.federate.provisioning import SERVER
    from equipoise.federate.provisioning import deployment as opened

    declared = load(study)
    made = opened(deployment)
    if processes.process(made, SERVER) is None:
        raise Refused(
            f"{deployment}: the server does not run", hint=f"equipoise federate start {deployment}"
        )
    audited(made, declared, out, sites=sites or len(declared.sites), seconds=seconds)
    _show(out)


def stop(deployment: _Deployment, only: _Only = None) -> None:
    """Stop the processes of a deployment, and those of its jobs."""
    from equipoise.cli.showing import say
    from equipoise.federate import processes
    from equipoise.federate.provisioning import deployment as opened

    say(f"{processes.stop(opened(deployment), only)} processes ended")


def prepare(
    kit: Annotated[Path, typer.Argument(help="A kit that FLARE made.", metavar="KIT")],
    study: Annotated[
        Path | None, typer.Option(help="The declared study that this site agrees to.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Where this site's data lie.")] = None,
    linkage_key: Annotated[
        Path | None, typer.Option(help="File of 32 random bytes that the sites share.")
    ] = None,
) -> None:
    """Make the kit of a server, or of a site with its study and data, ready for these audits."""
    from equipoise.cli.showing import talk
    from equipoise.federate import load
    from equipoise.federate.local import local
    from equipoise.federate.provisioning import restrict
    from equipoise.federate.simulating import write_site

    given = [one for one in (study, data, linkage_key) if one is not None]
    if given and (study is None or data is None or linkage_key is None):
        raise InvalidConfiguration("prepare: a site needs --study, --data and --linkage-key")
    restrict(kit)
    if study is not None and data is not None and linkage_key is not None:
        write_site(kit / "local", load(study), data.resolve(), linkage_key.read_bytes())
        found = local(kit / "local", kit.name)
        talk().print(f"{kit}: {found.frame.height} rows are as the study declares")
    talk().print(f"{kit}: runs our two classes and no code that comes with a job")


def job(study: _Study, out: _Out) -> None:
    """Write the job of a study, for ``nvflare job submit``."""
    from equipoise.cli.showing import say
    from equipoise.federate import load, write_job

    say(str(write_job(load(study), out)))


def demo(
    out: _Out = Path("demo-federate"),
    patients: Annotated[int, typer.Option(help="Phantom patients over all sites.", min=300)] = 1500,
) -> None:
    """Audit three phantom hospitals: pooled, simulated, and between four processes with TLS."""
    from equipoise.cli.federated_demo import demonstrate

    raise typer.Exit(demonstrate(out, patients))


def _places(said: Sequence[str]) -> dict[str, Path]:
    places: dict[str, Path] = {}
    for one in said:
        name, equals, path = one.partition("=")
        if not equals or not path:
            raise InvalidConfiguration(f"--site {one}: expected site=FOLDER")
        if name in places:
            raise InvalidConfiguration(f"--site {name}: is said twice")
        places[name] = Path(path)
    return places


def _ports(said: str | None) -> tuple[int, int] | None:
    if said is None:
        return None
    try:
        one, other = (int(port) for port in said.split(","))
    except ValueError as error:
        raise InvalidConfiguration(f"--ports {said}: expected two numbers, as 8002,8003") from error
    return one, other


def _show(out: Path) -> None:
    """Print the worst groups of the result, and who is in it."""
    from equipoise import tables
    from equipoise.cli.showing import talk
    from equipoise.cli.tabulating import show

    said = tables.read_json(out / "audit.json")
    show(tables.read(out / "estimates.parquet", tables.ESTIMATES), exploratory=False)
    contributing = said["contributing"]
    names = ", ".join(map(str, contributing)) if isinstance(contributing, list) else "?"
    talk().print(f"in the sum: {names}", markup=False, soft_wrap=True)
    left = said["left"]
    for one in left if isinstance(left, list) else []:
        talk().print(
            f"not in the sum: {one['site']}, left in the round '{one['round']}': {one['reason']}",
            markup=False,
            soft_wrap=True,
        )
    talk().print(f"{out}: estimates, counts, subgroups and evidence", markup=False, soft_wrap=True)
