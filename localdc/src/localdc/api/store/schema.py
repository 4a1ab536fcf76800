"""Tables of the state file."""

VERSION = 4

SCHEMA = (
    """
    CREATE TABLE accounts (
        uuid TEXT PRIMARY KEY,
        login TEXT NOT NULL UNIQUE,
        email TEXT NOT NULL,
        profile TEXT NOT NULL,
        cns_enabled INTEGER NOT NULL,
        default_network TEXT NOT NULL,
        created TEXT NOT NULL,
        updated TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE keys (
        account TEXT NOT NULL REFERENCES accounts (uuid),
        name TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        line TEXT NOT NULL,
        UNIQUE (account, name),
        UNIQUE (account, fingerprint)
    ) STRICT
    """,
    # `record` is the whole machine, `doc` what clients see of it, ready to be
    # sent; the other columns are there to be searched.
    """
    CREATE TABLE machines (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        uuid TEXT NOT NULL UNIQUE,
        account TEXT NOT NULL REFERENCES accounts (uuid),
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        type TEXT NOT NULL,
        brand TEXT NOT NULL,
        image TEXT NOT NULL,
        memory INTEGER NOT NULL,
        tags TEXT NOT NULL,
        record TEXT NOT NULL,
        doc TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX live_names ON machines (account, name)
        WHERE state NOT IN ('deleted', 'failed')
    """,
    "CREATE INDEX machines_by_state ON machines (account, state, seq)",
    # An address is an integer; machine is NULL for one that is only reserved.
    """
    CREATE TABLE addresses (
        network TEXT NOT NULL,
        address INTEGER NOT NULL,
        machine TEXT REFERENCES machines (uuid),
        account TEXT REFERENCES accounts (uuid),
        reserved INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (network, address)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX addresses_by_machine ON addresses (machine)",
    "CREATE TABLE macs (mac INTEGER PRIMARY KEY, machine TEXT NOT NULL) STRICT",
    "CREATE INDEX macs_by_machine ON macs (machine)",
    # Where the search for a free address begins, so that an address is not
    # given away again at once.
    "CREATE TABLE cursors (network TEXT PRIMARY KEY, address INTEGER NOT NULL) STRICT",
    """
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        machine TEXT NOT NULL REFERENCES machines (uuid),
        action TEXT NOT NULL,
        params TEXT NOT NULL,
        caller TEXT NOT NULL,
        internal INTEGER NOT NULL,
        state TEXT NOT NULL,
        resumed INTEGER NOT NULL DEFAULT 0,
        reason TEXT,
        finished TEXT
    ) STRICT
    """,
    "CREATE INDEX jobs_by_machine ON jobs (machine, state)",
    "CREATE INDEX jobs_open ON jobs (state) WHERE state IN ('queued', 'running')",
)

# What has to be done to a file of the version that is the key.
MIGRATIONS = {
    1: (
        # Things of an account or a machine (its scope) that are only ever looked up:
        # snapshots, firewall rules, volumes, fabric VLANs and networks, access keys.
        """
        CREATE TABLE documents (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            id TEXT NOT NULL,
            scope TEXT NOT NULL,
            name TEXT NOT NULL,
            record TEXT NOT NULL,
            UNIQUE (kind, id),
            UNIQUE (kind, scope, name)
        ) STRICT
        """,
        """
        CREATE INDEX machines_with_firewall ON machines (account)
            WHERE json_extract(record, '$.firewall_enabled') = 1
        """,
    ),
    2: ("ALTER TABLE accounts ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0",),
    3: (
        "ALTER TABLE machines ADD COLUMN compute_node TEXT",
        "UPDATE machines SET compute_node = json_extract(record, '$.compute_node')",
        """
        CREATE INDEX machines_by_node ON machines (compute_node, account, memory)
            WHERE state NOT IN ('deleted', 'failed')
        """,
    ),
}
