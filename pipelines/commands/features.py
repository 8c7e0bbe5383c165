"""What the experts say, kept for training and comparing deciders: `capitoline features`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capitoline.pipelines.commands.common import Where, told_plainly


def features(
    out: Annotated[Path, typer.Option(help="Folder of the features; the same command again computes what changed.")],
    paths: Annotated[
        list[str] | None, typer.Argument(help="Manifests, folders, archives, as for `capitoline rate`.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--from", help="Output folder of a finished `capitoline rate` instead of PATHS.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings: the experts.")] = None,
    columns: Annotated[str, typer.Option(help="What a manifest's columns mean, as for `capitoline rate`.")] = "",
    media: Annotated[str, typer.Option(help="Folder or archive that holds a manifest's media.")] = "",
    label: Annotated[str, typer.Option(help="Column of the true rating; without one nothing is known of it.")] = "",
    split: Annotated[str, typer.Option(help="Column that says `train`, `val` or `test`.")] = "",
    group: Annotated[
        str, typer.Option(help="Column whose rows must stay together, such as a film's title; that of the folds.")
    ] = "",
    folds: Annotated[
        str,
        typer.Option(
            help="Experts trained in folds, `text=DIR,image=DIR`, DIR as `capitoline train --folds` wrote it: "
            "each row of the split train is told of by the weights that did not see it."
        ),
    ] = "",
    where: Annotated[Where | None, typer.Option(help="`auto`: in this process below a few hundred items.")] = None,
    address: Annotated[str, typer.Option(help="Ray cluster to run on; this machine if not given.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no counts.")] = False,
) -> None:
    """Keep what every expert says about labelled items, pre-logits included, for fusion and ablation.

    capitoline features films.jsonl --out features --columns text=plot,tags=genres --label rating --split split

    capitoline features --from results --out features --label rating
    """
    from capitoline.configs.settings import load_settings
    from capitoline.pipelines.features.compute import compute_features
    from capitoline.pipelines.features.folds import Labelling, folded_by_name, one_cut
    from capitoline.pipelines.features.imported import import_job
    from capitoline.pipelines.job import Request
    from capitoline.pipelines.progress import progress_bar
    from capitoline.pipelines.sources.columns import Columns
    from capitoline.pipelines.units import counted

    with told_plainly():
        if (results is None) == (not paths):
            raise ValueError("give either what to look at, or --from RESULTS")
        if results is not None:
            if folds:
                raise ValueError("--from RESULTS has no features of folds; give the manifest and --folds")
            count = import_job(results, out, Labelling(label, split, group))
            if not quiet:
                typer.echo(f"{out}: {counted(count, 'item')} from {results}")
            return
        settings = load_settings(config)
        if where:
            settings = settings.model_copy(update={"running": settings.running.model_copy(update={"where": where})})
        folded = folded_by_name(folds)
        labelling = one_cut(Labelling(label, split, group), folded)
        request = Request(tuple(paths or ()), out, Columns.parse(columns), media, address=address)
        with progress_bar(quiet) as progress:
            computed = compute_features(request, settings, labelling, folded, progress)
        if not quiet:
            for name, now in computed.by_expert.items():
                typer.echo(f"{name}: {now:,} computed, {computed.items - now:,} kept")
