"""What a database's catalogue says of our schemas, a set for each kind of thing, so that two databases can be compared.

The order of columns is no part of it: a column that a migration added is the last.
"""

from __future__ import annotations

from retail.warehouse.connection import Warehouse

_OURS = "('star', 'marts', 'ops')"

STRUCTURE = {
    "relations": f"""
        SELECT c.oid::regclass::text, c.relkind, pg_get_partkeydef(c.oid), c.reloptions
        FROM pg_class AS c WHERE c.relnamespace::regnamespace::text IN {_OURS}
            AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
        """,
    "columns": f"""
        SELECT c.oid::regclass::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace::regnamespace::text IN {_OURS} AND c.relkind IN ('r', 'p', 'v', 'm')
        """,
    "indexes": f"SELECT schemaname, indexname::text, indexdef FROM pg_indexes WHERE schemaname IN {_OURS}",
    "constraints": f"""
        SELECT conrelid::regclass::text, conname::text, contype, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace::regnamespace::text IN {_OURS}
        """,
}

EVERYTHING = {
    **STRUCTURE,
    "views": f"""
        SELECT oid::regclass::text, pg_get_viewdef(oid)
        FROM pg_class WHERE relnamespace::regnamespace::text IN {_OURS} AND relkind IN ('v', 'm')
        """,
    "comments": f"""
        SELECT c.oid::regclass::text, a.attname::text, d.description
        FROM pg_description AS d JOIN pg_class AS c ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid
        LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
        WHERE c.relnamespace::regnamespace::text IN {_OURS}
        """,
    "grants on relations": f"""
        SELECT c.oid::regclass::text, c.relowner::regrole::text, acl.grantee, acl.privilege_type, acl.is_grantable
        FROM pg_class AS c LEFT JOIN LATERAL aclexplode(c.relacl) AS acl ON true
        WHERE c.relnamespace::regnamespace::text IN {_OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
        """,
    "grants on schemas": f"""
        SELECT n.nspname::text, n.nspowner::regrole::text, acl.grantee, acl.privilege_type, acl.is_grantable
        FROM pg_namespace AS n LEFT JOIN LATERAL aclexplode(n.nspacl) AS acl ON true WHERE n.nspname IN {_OURS}
        """,
    "default privileges": """
        SELECT defaclrole::regrole::text, defaclnamespace::regnamespace::text, defaclobjtype, defaclacl::text
        FROM pg_default_acl
        """,
}

Catalogue = dict[str, set[tuple[object, ...]]]


def catalogue_of(warehouse: Warehouse, questions: dict[str, str] = EVERYTHING) -> Catalogue:
    """The answers to `questions`; a list in an answer is told as text."""
    with warehouse.connect("read the catalogue") as connection, connection.cursor() as cursor:
        found = {}
        for kind, statement in questions.items():
            cursor.execute(statement)
            found[kind] = {tuple(str(v) if isinstance(v, list) else v for v in row) for row in cursor}
        return found


def differences(one: Catalogue, other: Catalogue) -> dict[str, set[tuple[object, ...]]]:
    """What only one of the two has, by kind; empty where they are equal."""
    return {kind: one[kind] ^ other[kind] for kind in one if one[kind] != other[kind]}
