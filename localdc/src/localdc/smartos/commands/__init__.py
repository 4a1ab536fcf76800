"""Commands an operator expects in a zone that belong neither to SMF, pkgsrc nor mdata."""

ARGUMENTS = 79
"""Characters of a process's arguments that there are: PRARGSZ of <sys/procfs.h> without the NUL."""
