"""Airflow's accounts with the passwords of AIRFLOW_USERS_FILE: {"viewer": "…", "operator": "…", "admin": "…"}.

Run with Airflow's Python after `airflow db migrate`. An account that exists gets the password of the file, and its role
again; accounts that the file does not name are left as they are.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

# FAB's own role `User` starts, clears and pauses, and sees neither connections nor variables.
ROLES = {"viewer": "Viewer", "operator": "User", "admin": "Admin"}

if __name__ == "__main__":
    passwords = json.loads(Path(os.environ["AIRFLOW_USERS_FILE"]).read_text(encoding="utf-8"))
    unknown = sorted(set(passwords) - set(ROLES))
    if unknown:
        raise SystemExit(f"{', '.join(unknown)}: the accounts are {', '.join(ROLES)}")
    with get_application_builder() as builder:
        manager = builder.sm
        for name, password in passwords.items():
            role = manager.find_role(ROLES[name])
            user = manager.find_user(username=name)
            if user is None:
                if not manager.add_user(name, name, "", f"{name}@localhost", role, password):
                    raise SystemExit(f"{name}: Airflow made no account of it; its log says why")
            else:
                user.roles = [role]
                if manager.update_user(user) is False or manager.reset_password(user.id, password) is False:
                    raise SystemExit(f"{name}: Airflow did not change the account; its log says why")
