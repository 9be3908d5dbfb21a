"""Step 5: the five dimensions and the fact, from staged rows, each merged exactly once even across kills."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pyspark.sql import DataFrame

from retail.lake import delta, layout
from retail.runs import table_rewrites
from retail.runs.counts import HopCount
from retail.runs.lake_context import LakeContext
from retail.runs.ledger import Ledger
from retail.star import master_data, merge, staging
from retail.star.table import Table
from retail.star.tables import dim_customer, dim_date, dim_product, dim_retailer, dim_store, fact_sales


@dataclass(frozen=True)
class Built:
    """The star after the merge: version and rows per action of each table, and the fact's money for the tie-out.

    `months` are the fact's partitions that were read and possibly changed.
    """

    versions: dict[str, int]
    actions: dict[str, dict[str, int]]
    months: list[str]
    counts: list[HopCount]


# Checks the fact's planned counts, and raises if they must not be committed.
Judge = Callable[[list[HopCount]], None]


def accept(counts: list[HopCount]) -> None:
    """Accepts any counts."""
    del counts


def build(context: LakeContext, staged: staging.Staged, *, judge: Judge = accept) -> Built:
    """Merge the staged rows into all tables of the star, the fact only once `judge` has seen its plan."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        of_dimensions = pool.map(
            lambda each: (each[0].name, _merge_once(context, *each)), _dimensions(context, staged)
        )
        merged = dict(of_dimensions)
    sales = delta.read(context.session, context.storage, layout.STAGED_SALES, at=staged.sales_version)
    merged[fact_sales.TABLE.name] = _merge_once(
        context, fact_sales.TABLE, lambda: fact_sales.derive(sales), judge
    )
    plan, version, counts = merged[fact_sales.TABLE.name]
    after = merge.totals(context.session, context.storage, fact_sales.TABLE, plan.partitions, at=version)
    return Built(
        versions={name: each[1] for name, each in merged.items()},
        actions={name: each[0].rows for name, each in merged.items()},
        months=plan.partitions,
        counts=[*counts, *(count.as_hop("delta_after") for count in after)],
    )


def months_of_run(ledger: Ledger, run_id: str) -> list[str]:
    """The fact's partitions that a run planned to merge into, whether it completed or not."""
    planned = ledger.step(run_id, _plan_step(fact_sales.TABLE))
    return list(planned["partitions"]) if planned else []


def merged_by(context: LakeContext, run_id: str) -> list[HopCount]:
    """Counts of the fact's merge planned by that run, and what its partitions hold now; empty if it never merged.

    If no later run has merged, these are the figures before and after.
    """
    planned = context.ledger.step(run_id, _plan_step(fact_sales.TABLE))
    if planned is None or delta.version(context.storage, fact_sales.TABLE.path) == planned["version"]:
        return []
    now = merge.totals(context.session, context.storage, fact_sales.TABLE, planned["partitions"], at=None)
    counts = [HopCount.from_json(count) for count in planned["counts"]]
    return [*counts, *(count.as_hop("delta_after") for count in now)]


def _dimensions(context: LakeContext, staged: staging.Staged) -> list[tuple[Table, Callable[[], DataFrame]]]:
    """How to derive each dimension's rows. They see every good line, whichever version of it won.

    A description that arrives late reaches a product in the star once the product sells again.
    """
    session, storage = context.session, context.storage
    lines = delta.read(session, storage, layout.STAGED_LINES, at=staged.lines_version).transform(staging.good)

    def days() -> DataFrame:
        dates = lines.select("business_date").distinct().collect()
        return dim_date.derive(session, [row.business_date for row in dates])

    def products() -> DataFrame:
        described = master_data.read(context, dim_product.TABLE, "products")
        return _staged_once(context, dim_product.TABLE, dim_product.derive(lines, described))

    def stores() -> DataFrame:
        described = master_data.read(context, dim_store.TABLE, "stores")
        return _staged_once(context, dim_store.TABLE, dim_store.derive(lines, described))

    return [
        (dim_product.TABLE, products),
        (
            dim_customer.TABLE,
            lambda: _staged_once(context, dim_customer.TABLE, dim_customer.derive(lines)),
        ),
        (dim_store.TABLE, stores),
        (dim_date.TABLE, days),
        (dim_retailer.TABLE, lambda: dim_retailer.derive(session, context.settings.retailers)),
    ]


def _staged_once(context: LakeContext, table: Table, rows: DataFrame) -> DataFrame:
    """`rows`, written and read back: planning and MERGE read their source several times."""
    key = layout.staged_table(table.name)
    delta.replace(rows, context.storage, key, statistics=False)
    return delta.read(context.session, context.storage, key)


def _merge_once(
    context: LakeContext, table: Table, derive: Callable[[], DataFrame], judge: Judge = accept
) -> tuple[merge.Plan, int, list[HopCount]]:
    """Plan, record the plan, merge; after a kill, the table's version shows whether the merge was committed."""
    merge.create(context, table)
    rows = derive()
    recorded = context.ledger.step(context.run_id, _plan_step(table))
    if recorded is None or table_rewrites.begun_on(context.storage, table.path, recorded["version"]):
        plan = merge.plan(context, table, rows)
        # A rewrite begun on the newest version was killed: the next commit will be this merge.
        table_rewrites.give_up(context.storage, table.path, plan.version)
        counts = _count(context, table, rows, plan)
        judge(counts)  # before the plan is kept, because only reconciled figures get one
        recorded = {
            "version": plan.version,
            "partitions": plan.partitions,
            "rows": plan.rows,
            "counts": [count.to_json() for count in counts],
        }
        context.ledger.end_step(context.run_id, _plan_step(table), recorded, seconds=0)
    plan = merge.Plan(recorded["version"], recorded["partitions"], recorded["rows"])
    counts = [HopCount.from_json(count) for count in recorded["counts"]]
    version = delta.version(context.storage, table.path)
    if version is None or version == plan.version:
        version = merge.into(context, table, rows, plan)
    return plan, version, counts


def _count(context: LakeContext, table: Table, rows: DataFrame, plan: merge.Plan) -> list[HopCount]:
    if table is not fact_sales.TABLE:
        return []
    before = merge.totals(context.session, context.storage, table, plan.partitions, at=plan.version)
    money = merge.count_money(context, table, rows, plan)
    return [*(count.as_hop("delta_before") for count in before), *money]


def _plan_step(table: Table) -> str:
    return layout.merge_plan(table.name)
