"""Interim."""

from sink.db import models


def upsert_from_stage(model: type[models.Base], stage: str) -> str:
    cols = [*(c.name for c in models.contract_columns(model)), *models.LINEAGE]
    pk = [c.name for c in models.table_of(model).primary_key]
    t = models.table_of(model).name
    sets = ", ".join(f"{c} = EXCLUDED.{c}" for c in cols if c not in pk)
    return f"INSERT INTO public.{t} AS t ({', '.join(cols)}) SELECT {', '.join(cols)} FROM {stage} ON CONFLICT ({', '.join(pk)}) DO UPDATE SET {sets} WHERE (EXCLUDED.observed_at, EXCLUDED.source_offset, EXCLUDED.source_partition) > (t.observed_at, t.source_offset, t.source_partition)"
