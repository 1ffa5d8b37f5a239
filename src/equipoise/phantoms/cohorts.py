"""The tables of a bench: the cohort that its files tell, its labels, and its truth."""

import polars as pl

from equipoise.phantoms.observer import THRESHOLD
from equipoise.phantoms.options import Options
from equipoise.phantoms.population import IDENTIFIABILITY, contrasts

FINDING = "opacity"


def cohort(table: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Return scenes as the table *cohort*: what the files tell, and no more.

    Parameters
    ----------
    table
        Scenes.
    options
        The bench they were drawn from.

    Returns
    -------
    A row per image in the order of `table`; sex is ``unknown`` and age and view are null where
    the file does not say. The label is the recorded one.

    Examples
    --------
    >>> from equipoise.phantoms.draws import scenes
    >>> options = Options(patients=2)
    >>> cohort(scenes(options), options)["label:opacity"].dtype
    Boolean
    """
    sites = pl.DataFrame(
        {
            "site": [site.name for site in options.sites],
            "modality": [site.modality for site in options.sites],
            "manufacturer": [site.manufacturer for site in options.sites],
            "device_model": [site.model for site in options.sites],
            "photometric": [site.photometric for site in options.sites],
            "bits_stored": [site.bits for site in options.sites],
        }
    )
    joined = table.join(sites, on="site", how="left", maintain_order="left")
    return joined.select(
        "image_id",
        pl.concat_str("site", pl.lit("/"), "patient_code").alias("patient_id"),
        "site",
        "study_id",
        "acquired_on",
        pl.when("age_known").then(pl.col("age_years").cast(pl.Float64)),
        *sites.columns[1:],
        pl.when("view_known").then("view"),
        pl.lit(options.size).alias("rows"),
        pl.lit(options.size).alias("columns"),
        pl.when("sex_known").then("sex").otherwise(pl.lit("unknown")).alias("sex"),
        pl.col("recorded").alias(f"label:{FINDING}"),
    )


def labels_text(table: pl.DataFrame) -> str:
    """Return the recorded labels as CSV, by image: 1, 0, or empty where not assessed.

    The clean label is not in it: whoever audits has recorded labels only.

    Examples
    --------
    >>> from equipoise.phantoms.draws import scenes
    >>> labels_text(scenes(Options(patients=1))).splitlines()[0]
    'sop_instance_uid,label:opacity'
    """
    said = pl.col("recorded").cast(pl.Int8)
    return (
        table.select(pl.col("image_id").alias("sop_instance_uid"), said.alias(f"label:{FINDING}"))
        .sort("sop_instance_uid")
        .write_csv(line_terminator="\n")
    )


def truth(table: pl.DataFrame, observed: pl.DataFrame, options: Options) -> dict[str, object]:
    """Return the truth of a bench, in JSON.

    What was declared; clean and recorded label of every image; and, from an independent draw,
    the contrasts of a fixed model against both. A difference in how labels were recorded is
    identifiable only by comparing the two; see `contrasts`.

    Parameters
    ----------
    table
        Scenes of the bench.
    observed
        Scenes of the population, with scores.
    options
        The bench.

    Examples
    --------
    >>> from equipoise.phantoms.draws import scenes
    >>> from equipoise.phantoms.population import population
    >>> options = Options(patients=2, truth_patients=4, size=32)
    >>> sorted(truth(scenes(options), population(options), options))
    ['declaration', 'identifiability', 'images', 'population']
    """
    told = ("image_id", "clean", "recorded", "sex", "age_years", "view", "month", "marker")
    return {
        "declaration": options.model_dump(mode="json"),
        "identifiability": IDENTIFIABILITY,
        "images": table.select(told).sort("image_id").to_dicts(),
        "population": {
            "model": "observer: best spot within the lungs, fixed template and threshold",
            "threshold": THRESHOLD,
            "n_patients": observed.height,
            "contrasts": contrasts(observed, options.groups()),
        },
    }
