"""The data center's one process, what it is asked for, and its name server."""
