"""Accounts and their SSH keys."""

from __future__ import annotations

import json
import sqlite3

from localdc.api.model import Account, Key

_COLUMNS = "uuid, login, email, profile, cns_enabled, default_network, created, updated, disabled"


class Accounts:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def find(self, login_or_uuid: str) -> Account | None:
        return self._one("login = ?1 OR uuid = ?1", login_or_uuid)

    def labelled(self, label: str) -> Account | None:
        """The account whose uuid, or login as DNS has it, is `label`."""
        return self._one("uuid = ?1 OR dns_label(login) = ?1", label)

    def _one(self, where: str, value: str) -> Account | None:
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM accounts WHERE {where}", (value,)
        ).fetchone()
        if row is None:
            return None
        uuid, login, email, profile, cns, network, created, updated, disabled = row
        return Account(
            uuid,
            login,
            email,
            created,
            updated,
            json.loads(profile),
            bool(cns),
            network,
            bool(disabled),
        )

    def save(self, account: Account) -> None:
        self._db.execute(
            f"INSERT INTO accounts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (uuid) DO UPDATE SET email = excluded.email,"
            " profile = excluded.profile, cns_enabled = excluded.cns_enabled,"
            " default_network = excluded.default_network, updated = excluded.updated,"
            " disabled = excluded.disabled",
            (
                account.uuid,
                account.login,
                account.email,
                json.dumps(account.profile),
                int(account.cns_enabled),
                account.default_network,
                account.created,
                account.updated,
                int(account.disabled),
            ),
        )

    def keys(self, account: str) -> list[Key]:
        """The keys of an account (its uuid), oldest first."""
        rows = self._db.execute(
            "SELECT name, fingerprint, line FROM keys WHERE account = ? ORDER BY rowid", (account,)
        )
        return [Key(*row) for row in rows]

    def add_key(self, account: str, key: Key) -> bool:
        """False when the account has a key of this name or this fingerprint."""
        try:
            self._db.execute(
                "INSERT INTO keys (account, name, fingerprint, line) VALUES (?, ?, ?, ?)",
                (account, key.name, key.fingerprint, key.line),
            )
        except sqlite3.IntegrityError:
            return False
        return True

    def remove_key(self, account: str, fingerprint: str) -> None:
        self._db.execute(
            "DELETE FROM keys WHERE account = ? AND fingerprint = ?", (account, fingerprint)
        )
