"""The compute node: zones made of Linux namespaces, their network and their metadata."""
